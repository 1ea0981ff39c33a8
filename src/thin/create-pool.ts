/**
 * A thin pool in memory in one call, and its volumes.
 */
import { Disk } from "../../sim/block/disk.ts";
import { METADATA_BLOCK_SIZE } from "../../sim/thin/metadata-block.ts";
import { ThinPool } from "../../sim/thin/pool.ts";
import { parsePoolTable, TargetError } from "../../sim/thin/pool-options.ts";
import { ThinVolume } from "../../sim/thin/volume.ts";

export interface PoolRequest {
  /** Bytes of a block: a multiple of 64 KiB up to 1 GiB. Default 64 KiB. */
  readonly blockSize?: number;
  /** Blocks of the data device. */
  readonly blocks: number;
  /** Blocks of 4 KiB of the metadata device. Default 1024. */
  readonly metadataBlocks?: number;
  /** Words of the pool's table, such as "skip_block_zeroing" or "error_if_no_space". */
  readonly features?: readonly string[];
}

const SECTOR = 512;

export interface CreatedPool {
  readonly pool: ThinPool;
  /** The disks that it stands on; the thin tools read the metadata's. */
  readonly data: Disk;
  readonly metadata: Disk;
}

/** Makes a pool on two empty disks. @throws RangeError with the kernel's reason for a table that it refuses */
export function createPool(request: PoolRequest): CreatedPool {
  const { blockSize = 65_536, blocks, metadataBlocks = 1024, features = [] } = request;
  const words = ["metadata", "data", String(blockSize / SECTOR), "0", String(features.length), ...features];
  const table = parsePoolTable(words);
  if (table instanceof TargetError) throw new RangeError(table.reason);
  const data = new Disk({ name: "data", size: blocks * blockSize });
  const metadata = new Disk({ name: "metadata", size: metadataBlocks * METADATA_BLOCK_SIZE });
  const pool = ThinPool.open({ name: "pool", table, data, metadata });
  if (pool instanceof TargetError) throw new RangeError(`${pool.errno.code}: ${pool.reason}`);
  return { pool, data, metadata };
}

/**
 * Activates a volume that a message has made.
 * @param id - its device id
 * @param size - in bytes
 * @throws RangeError where the pool has no such device
 */
export function openVolume(pool: ThinPool, id: number, size: number): ThinVolume {
  const volume = ThinVolume.open(pool, { name: `thin${id}`, id, size });
  if (volume instanceof TargetError) throw new RangeError(`${volume.errno.code}: ${volume.reason}`);
  return volume;
}
