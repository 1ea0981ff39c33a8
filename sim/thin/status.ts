/**
 * `dmsetup status` of a pool, character by character (drivers/md/dm-thin.c, pool_status; spec/block-cow.md §1.2).
 */
import type { ThinPool } from "./pool.ts";

/** What a pool's status line says. All counts are in blocks. */
export interface PoolStatus {
  readonly transaction: number;
  readonly usedMetadata: number;
  readonly totalMetadata: number;
  readonly usedData: number;
  readonly totalData: number;
  /** Where the held metadata snapshot lies; undefined: there is none. */
  readonly held: number | undefined;
  readonly mode: "rw" | "ro" | "out_of_data_space";
  readonly discard: "discard_passdown" | "no_discard_passdown" | "ignore_discard";
  readonly noSpace: "queue_if_no_space" | "error_if_no_space";
  readonly needsCheck: boolean;
  readonly metadataLowWater: number;
}

/**
 * A pool's status; it commits first, so that the figures are those of the device.
 * @returns undefined for a pool that failed. The reserve counts as used.
 */
export function poolStatus(pool: ThinPool): PoolStatus | undefined {
  if (pool.mode === "fail") return undefined;
  if (!pool.suspended) pool.commit();
  const { metadata, features } = pool;
  const mode = pool.mode === "outOfDataSpace" ? "out_of_data_space" : pool.mode === "write" ? "rw" : "ro";
  const discard = features.discard ? (features.discardPassdown ? "discard_passdown" : "no_discard_passdown") : "ignore_discard";
  return {
    transaction: metadata.transaction,
    usedMetadata: Math.max(0, metadata.metadataBlocks - metadata.freeMetadataBlocks),
    totalMetadata: metadata.metadataBlocks,
    usedData: metadata.dataBlocks - metadata.freeDataBlocks,
    totalData: metadata.dataBlocks,
    held: metadata.held === 0 ? undefined : metadata.held,
    mode,
    discard,
    noSpace: features.errorIfNoSpace ? "error_if_no_space" : "queue_if_no_space",
    needsCheck: metadata.needsCheck,
    metadataLowWater: metadata.metadataThreshold,
  };
}

/** The line that `dmsetup status` prints behind "thin-pool", with its trailing space. */
export function poolStatusLine(pool: ThinPool): string {
  const status = poolStatus(pool);
  if (status === undefined) return "Fail";
  const words = [
    status.transaction,
    `${status.usedMetadata}/${status.totalMetadata}`,
    `${status.usedData}/${status.totalData}`,
    status.held ?? "-",
    status.mode,
    status.discard,
    status.noSpace,
    status.needsCheck ? "needs_check" : "-",
    status.metadataLowWater,
  ];
  return `${words.join(" ")} `;
}
