/**
 * Discarding whole virtual blocks (drivers/md/dm-thin.c, process_discard_cell_*; spec/block-cow.md §1.7).
 */
import { EIO, type Errno, isErrno } from "../core/errno.ts";
import { bytes, startOf } from "../core/units.ts";
import type { ThinPool } from "./pool.ts";
import type { MappedRange, ThinDevice } from "./thin-metadata.ts";

/** Unmaps [begin, end) of a device, and passes the discard down where the pool does that. @returns EIO where the metadata failed. */
export function discardBlocks(pool: ThinPool, device: ThinDevice, begin: number, end: number): Errno | undefined {
  const before = device.details.mapped;
  const failed = pool.features.discardPassdown ? passDown(pool, device, begin, end) : unmap(pool, device, begin, end);
  pool.counters.unmapped += before - device.details.mapped;
  return failed;
}

function unmap(pool: ThinPool, device: ThinDevice, begin: number, end: number): Errno | undefined {
  const failed = pool.metadata.unmap(device, begin, end);
  return failed === undefined ? undefined : fail(pool, "dm_thin_remove_range", failed);
}

function fail(pool: ThinPool, operation: string, error: Errno): Errno {
  pool.metadataFailed(operation, error);
  return EIO;
}

/**
 * Each mapped range is unmapped with a reference more for its data blocks, so that they are not given out before the data device has
 * discarded them; the references go when all ranges are discarded.
 */
function passDown(pool: ThinPool, device: ThinDevice, begin: number, end: number): Errno | undefined {
  const done: MappedRange[] = [];
  for (let at = begin; at < end; ) {
    const range = pool.metadata.findRange(device, at, end);
    if (isErrno(range)) break;
    const failed = unmap(pool, device, range.begin, range.end);
    if (failed !== undefined) return failed;
    const dataEnd = range.data + (range.end - range.begin);
    const held = pool.metadata.incData(range.data, dataEnd);
    if (held !== undefined) return fail(pool, "dm_pool_inc_data_range", held);
    visitUnused(pool, range, (from, to) => {
      // Whether the device could do it does not matter: the blocks are unmapped all the same.
      pool.data.discard(startOf(from, pool.blockSize), bytes((to - from) * pool.blockSize));
    });
    pool.noteUnmapped(dataEnd - range.data);
    done.push(range);
    at = range.end;
  }
  // A commit by time comes between: the blocks are unmapped, but not yet free.
  pool.commitByTime();
  for (const { begin: first, end: last, data } of done) {
    const failed = pool.metadata.decData(data, data + (last - first));
    if (failed !== undefined) return fail(pool, "dm_pool_dec_data_range", failed);
    pool.noteUnmapped(first - last);
  }
  return undefined;
}

/** Calls `discard` for the runs of a range's data blocks that nobody else uses; a range that was not shared is not looked at. */
function visitUnused(pool: ThinPool, range: MappedRange, discard: (from: number, to: number) => void): void {
  const end = range.data + (range.end - range.begin);
  if (!range.shared) {
    discard(range.data, end);
    return;
  }
  for (let block = range.data; block < end; ) {
    let to = block;
    while (to < end && pool.metadata.countData(to) === 1) to += 1;
    if (to > block) discard(block, to);
    block = to + 1;
  }
}
