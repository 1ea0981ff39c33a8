/**
 * Growing a pool when it is resumed and its devices are larger than its metadata says (drivers/md/dm-thin.c, maybe_resize_*).
 */
import { EINVAL, type Errno } from "../core/errno.ts";
import type { ThinMetadata } from "./thin-metadata.ts";

/** What of a pool is needed here. */
interface Growing {
  readonly name: string;
  readonly mode: string;
  readonly metadata: ThinMetadata;
  log(line: string): void;
  setMode(mode: "write"): void;
  metadataFailed(operation: string, error: Errno): Errno;
}

/** @param blocks - what the table's length holds. @returns whether it grew; EINVAL where it would shrink. */
export function growData(pool: Growing, blocks: number): boolean | Errno {
  const { metadata, name } = pool;
  const known = metadata.dataBlocks;
  if (blocks < known) {
    pool.log(`${name}: pool target (${blocks} blocks) too small: expected ${known}`);
    return EINVAL;
  }
  if (blocks === known) return false;
  if (metadata.needsCheck) {
    pool.log(`${name}: unable to grow the data device until repaired.`);
    return false;
  }
  if (known > 0) pool.log(`${name}: growing the data device from ${known} to ${blocks} blocks`);
  const failed = metadata.growData(blocks - known);
  return failed === undefined ? true : pool.metadataFailed("dm_pool_resize_data_dev", failed);
}

/** @returns whether it grew; EINVAL where the device is smaller than before. */
export function growMetadata(pool: Growing): boolean | Errno {
  const { metadata, name } = pool;
  const blocks = metadata.usableMetadataBlocks;
  const known = metadata.metadataBlocks;
  if (blocks < known) {
    pool.log(`${name}: metadata device (${blocks} blocks) too small: expected ${known}`);
    return EINVAL;
  }
  if (blocks === known) return false;
  if (metadata.needsCheck) {
    pool.log(`${name}: unable to grow the metadata device until repaired.`);
    return false;
  }
  pool.log(`${name}: growing the metadata device from ${known} to ${blocks} blocks`);
  if (pool.mode === "outOfMetadataSpace") pool.setMode("write");
  const failed = metadata.growMetadata(blocks - known);
  return failed === undefined ? true : pool.metadataFailed("dm_pool_resize_metadata_dev", failed);
}
