/** What btrfs tells of its space: statfs(2), btrfs filesystem df and usage (fs/btrfs/super.c: btrfs_statfs; spec/block-cow.md 2.3). */
import { MIB } from "../../core/units.ts";
import type { StatFs } from "../../vfs/filesystem.ts";
import { BTRFS_MAGIC } from "../../vfs/magic.ts";
import { SECTOR_SIZE } from "./layout.ts";
import type { Totals } from "./space.ts";
import type { BtrfsState } from "./state.ts";

/** Free metadata below which nothing is said to be available. */
const METADATA_THRESHOLD = MIB(4);

export function statfs(state: BtrfsState): Omit<StatFs, "blockSize" | "nameLength"> {
  const { space } = state;
  const metadata = space.totals("metadata");
  const used = space.totals("data").used + 2 * (metadata.used + space.totals("system").used);
  const free = space.deviceBytes - used - state.globalReserve.size;
  // The device's bytes, of both copies, are held against what one copy needs (disk_total).
  const metadataFree = 2 * (metadata.total - metadata.used);
  const isFull = space.chunkBytes("metadata") === 0 && metadataFree - METADATA_THRESHOLD < state.globalReserve.size;
  return {
    type: BTRFS_MAGIC,
    blocks: Math.floor(space.deviceBytes / SECTOR_SIZE),
    blocksFree: Math.max(0, Math.floor(free / SECTOR_SIZE)),
    blocksAvailable: isFull ? 0 : Math.floor(space.dataAvailable / SECTOR_SIZE),
    files: 0,
    filesFree: 0,
  };
}

/** The figures of `btrfs filesystem usage`, in bytes of the device. */
interface Usage {
  readonly data: Totals;
  readonly system: Totals;
  readonly metadata: Totals;
  readonly globalReserve: number;
  readonly deviceBytes: number;
  readonly allocated: number;
  readonly unallocated: number;
  readonly used: number;
  /** Free (estimated), and its minimum: if all that is unallocated became DUP. */
  readonly free: number;
  readonly freeMin: number;
}

export function usage(state: BtrfsState): Usage {
  const { space } = state;
  const data = space.totals("data");
  const system = space.totals("system");
  const metadata = space.totals("metadata");
  const { unallocated } = space;
  const inChunks = data.total - data.used;
  return {
    data,
    system,
    metadata,
    globalReserve: state.globalReserve.size,
    deviceBytes: space.deviceBytes,
    allocated: space.allocated,
    unallocated,
    used: data.used + 2 * (metadata.used + system.used),
    free: inChunks + unallocated,
    freeMin: inChunks + Math.floor(unallocated / 2),
  };
}
