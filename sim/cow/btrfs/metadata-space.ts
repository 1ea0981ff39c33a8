/**
 * Room for nodes: what calls reserve before they change trees, and what is flushed, and in which order, where too little is left
 * (fs/btrfs/space-info.c, block-rsv.c, delayed-ref.h, delalloc-space.c; Linux 6.18).
 *
 * Words: what *may be used* is promised and has no node yet: to dirty data, to changes of inodes that wait, to changes of references that wait, and the global reserve, which is kept for
 * what must not fail. *Overcommit*: more may be promised than chunks have, as long as new chunks could be made.
 *
 * Interface: a call reserves at its beginning and holds nothing behind its end: what it has left undone is counted where it waits. The kernel flushes in a thread of its own, whose work
 * goes on while who waited goes on too; here a flush comes to its end first.
 */
import { ENOSPC, type Errno, isErrno } from "../../core/errno.ts";
import { GIB } from "../../core/units.ts";
import type { GlobalReserve } from "./global-reserve.ts";
import type { InodeState } from "./inode-state.ts";
import { checksumLeaves, EXTENT_BYTES_MAX, ITEM_RESERVE, NODATASUM_FLAG, SECTOR_SIZE } from "./layout.ts";
import type { Space } from "./space.ts";

/** For an item that is changed where it is: half of what an insertion may split (btrfs_calc_metadata_size). */
export const UPDATE_RESERVE: number = ITEM_RESERVE / 2;
/** What a task promises at once to a sector that it makes dirty: an extent, its checksums, the inode (btrfs_delalloc_reserve_metadata). */
export const SECTOR_RESERVE: number = 2 * ITEM_RESERVE + UPDATE_RESERVE;
/** What the largest chunk of data takes of the device, and which part of it at most (calc_effective_data_chunk_size). */
const DATA_CHUNK_MAX = GIB(1);
const DATA_CHUNK_PART = 10;
/** How often all is flushed before a reservation is given up. */
const CYCLES = 3;

/**
 * How hard a reservation tries: *all* flushes; *steal* too, and takes of the global reserve in the end, so that one can always remove; *none* takes what there is
 * (enum btrfs_reserve_flush_enum).
 */
export type Flushing = "all" | "steal" | "none";

/** What can be flushed of a filesystem. */
export interface Flushable {
  readonly space: Space;
  readonly globalReserve: Pick<GlobalReserve, "size" | "referenceBytes">;
  /** Bytes of data that are dirty. */
  readonly delayedBytes: number;
  readonly delayedInodes: { readonly reserved: number };
  readonly references: { readonly pending: number };
  /** Settles what waits of so many inodes. */
  settleInodes(most: number): void;
  /** Brings so many changes of references to the extent tree. */
  settleReferences(most: number): void;
  /** Writes dirty data of inodes until so many bytes are written. */
  flushSome(most: number): Errno | undefined;
  commit(): Errno | undefined;
}

/** What the dirty data of an inode has promised to it in nodes (btrfs_calculate_inode_block_rsv_size). */
export function delallocReserve(inode: InodeState): number {
  return reserveFor(inode, inode.delayed?.size ?? 0, inode.delayed?.covered ?? 0);
}

/** For dirty bytes of an inode in so many runs. */
function reserveFor({ flags }: InodeState, runs: number, dirty: number): number {
  if (dirty === 0) return 0;
  const extents = runs + Math.floor(dirty / EXTENT_BYTES_MAX);
  const checksums = (flags & NODATASUM_FLAG) === 0 ? checksumLeaves(dirty / SECTOR_SIZE) : 0;
  return (extents + checksums) * ITEM_RESERVE + UPDATE_RESERVE;
}

/** How much more that is when whole sectors from `start` to `end` are dirty too. */
export function moreReserve(inode: InodeState, start: number, end: number): number {
  if (start >= end) return 0;
  const { delayed } = inode;
  if (delayed === undefined) return reserveFor(inode, 1, end - start);
  let more = end - start;
  delayed.visit(start, end, (from, to) => {
    more -= to - from;
  });
  const joins = (delayed.nextCovered(Math.max(0, start - 1)) ?? Number.POSITIVE_INFINITY) <= end;
  return Math.max(0, reserveFor(inode, delayed.size + (joins ? 0 : 1), delayed.covered + more) - delallocReserve(inode));
}

export class MetadataSpace {
  readonly #of: Flushable;
  /** What dirty data has promised to it. */
  delalloc = 0;

  constructor(of: Flushable) {
    this.#of = of;
  }

  /** Bytes that are promised and have no node yet (bytes_may_use). */
  get mayUse(): number {
    const { globalReserve, delayedInodes, references } = this.#of;
    const forReferences = references.pending * globalReserve.referenceBytes;
    return globalReserve.size + this.delalloc + delayedInodes.reserved + forReferences;
  }

  /** How much may be promised beyond what chunks have (calc_available_free_space). */
  #overcommit(flushing: Flushing): number {
    const { space } = this.#of;
    const dataChunk = Math.min(Math.floor(space.deviceBytes / DATA_CHUNK_PART), DATA_CHUNK_MAX);
    const left = Math.floor(space.unallocated / 2) - dataChunk;
    return left <= 0 ? 0 : Math.floor(left / (flushing === "all" ? 8 : 2));
  }

  #fits(bytes: number, flushing: Flushing): boolean {
    const { space } = this.#of;
    const { total } = space.totals("metadata");
    const need = space.taken("metadata") + this.mayUse + bytes;
    return need <= total || need < total + this.#overcommit(flushing);
  }

  /** Reserves for a transaction that changes up to `items` items, and what refers to their nodes (btrfs_reserve_trans_metadata). @returns ENOSPC, or why flushing failed. */
  begin(items: number, flushing: Flushing): Errno | undefined {
    const refused = this.reserve(items * (ITEM_RESERVE + this.#of.globalReserve.referenceBytes), flushing);
    if (refused !== ENOSPC || flushing !== "steal") return refused;
    return this.reserve(items * ITEM_RESERVE, flushing);
  }

  /** Makes room for so many bytes of nodes. @returns ENOSPC, or why flushing failed. */
  reserve(bytes: number, flushing: Flushing): Errno | undefined {
    if (this.#fits(bytes, flushing)) return undefined;
    if (flushing === "none") return ENOSPC;
    for (let cycle = 0; cycle < CYCLES; cycle++) {
      const done = this.#flush(bytes, flushing, cycle > 0);
      if (isErrno(done)) return done;
      if (done) return undefined;
    }
    return flushing === "steal" && this.#canSteal(bytes) ? undefined : ENOSPC;
  }

  /** Goes once through all that can be flushed, the cheapest first, until there is room (btrfs_async_reclaim_metadata_space). */
  #flush(bytes: number, flushing: Flushing, isPressed: boolean): boolean | Errno {
    const of = this.#of;
    const { space } = of;
    const wanted = (): number => this.#toReclaim(bytes);
    const stages: readonly (() => unknown)[] = [
      () => of.settleInodes(2 * Math.max(1, Math.floor(wanted() / ITEM_RESERVE))),
      () => of.settleInodes(Number.POSITIVE_INFINITY),
      () => of.settleReferences(Math.max(1, Math.floor(wanted() / of.globalReserve.referenceBytes))),
      () => of.settleReferences(Number.POSITIVE_INFINITY),
      () => of.flushSome(Math.max(wanted(), of.delayedBytes / 8)),
      () => (isPressed ? of.flushSome(Number.POSITIVE_INFINITY) : undefined),
      () => space.wantsChunk("metadata") && space.makeChunk("metadata"),
      () => isPressed && space.makeChunk("metadata"),
      () => of.commit(),
    ];
    for (const stage of stages) {
      const failed = stage();
      if (isErrno(failed)) return failed;
      if (this.#fits(bytes, flushing)) return true;
    }
    return false;
  }

  /** What is waited for, and by how much more is promised than may be by now (btrfs_calc_reclaim_metadata_size). */
  #toReclaim(bytes: number): number {
    const { space } = this.#of;
    const { total } = space.totals("metadata");
    return bytes + Math.max(0, space.taken("metadata") + this.mayUse - total - this.#overcommit("all"));
  }

  /** Whether the global reserve has as much, and a tenth beside it (steal_from_global_rsv). */
  #canSteal(bytes: number): boolean {
    const { size } = this.#of.globalReserve;
    return size >= size / 10 + bytes;
  }
}
