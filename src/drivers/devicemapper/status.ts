/**
 * The rows that `docker info` shows for devicemapper (moby daemon/graphdriver/devmapper/driver.go, Status).
 */
import { METADATA_BLOCK_SIZE } from "../../../sim/thin/metadata-block.ts";
import { poolStatus } from "../../../sim/thin/status.ts";
import { humanSize } from "../human-size.ts";
import type { DevmapperOptions } from "./options.ts";
import type { PoolStorage } from "./storage.ts";

/** The library that Debian 12 has. */
const LIBRARY_VERSION = "1.02.185 (2022-05-18)";

export interface StatusSource {
  readonly storage: PoolStorage;
  readonly options: DevmapperOptions;
  /** The pool's name. */
  readonly name: string;
  /** Bytes of the base device. */
  readonly baseSize: number;
  readonly filesystem: string;
  /** Devices that wait to be deleted. */
  readonly deleted: number;
  /** Free bytes of the filesystem that holds the loop files: no more than that is available. */
  readonly hostFree: number | undefined;
}

/** Label and value, in Docker's order. */
export function statusRows(from: StatusSource): readonly (readonly [string, string])[] {
  const { storage, options, hostFree } = from;
  const { pool, loopFiles } = storage;
  const status = poolStatus(pool);
  const block = pool.blockSize;
  const total = (status?.totalData ?? 0) * block;
  const used = (status?.usedData ?? 0) * block;
  const metadataTotal = (status?.totalMetadata ?? 0) * METADATA_BLOCK_SIZE;
  const metadataUsed = (status?.usedMetadata ?? 0) * METADATA_BLOCK_SIZE;
  const available = (left: number): string => humanSize(hostFree === undefined ? left : Math.min(left, hostFree));
  const minFree = Math.floor(((status?.totalData ?? 0) * options.minFreePercent) / 100) * block;
  const rows: (readonly [string, string])[] = [
    ["Pool Name", from.name],
    ["Pool Blocksize", humanSize(block)],
    ["Base Device Size", humanSize(from.baseSize)],
    ["Backing Filesystem", from.filesystem],
    ["Udev Sync Supported", "true"],
  ];
  if (storage.dataFile !== "") rows.push(["Data file", storage.dataFile]);
  if (storage.metadataFile !== "") rows.push(["Metadata file", storage.metadataFile]);
  if (loopFiles !== undefined) rows.push(["Data loop file", loopFiles.data], ["Metadata loop file", loopFiles.metadata]);
  rows.push(
    ["Data Space Used", humanSize(used)],
    ["Data Space Total", humanSize(total)],
    ["Data Space Available", available(total - used)],
    ["Metadata Space Used", humanSize(metadataUsed)],
    ["Metadata Space Total", humanSize(metadataTotal)],
    ["Metadata Space Available", available(metadataTotal - metadataUsed)],
    ["Thin Pool Minimum Free Space", humanSize(minFree)],
    ["Deferred Removal Enabled", String(options.deferredRemoval)],
    ["Deferred Deletion Enabled", String(options.deferredDeletion)],
    ["Deferred Deleted Device Count", String(from.deleted)],
    ["Library Version", LIBRARY_VERSION],
  );
  return rows;
}
