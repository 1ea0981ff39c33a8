/**
 * SEEK_DATA and SEEK_HOLE of filesystems with extents: blocks are looked at in stretches of one answer (fs/iomap/seek.c, Linux 6.18).
 *
 * Rule: an extent that is not written yet is a hole but for the pages of it that are in the cache, whether they were written or only read
 * (mm/filemap.c: mapping_seek_hole_data).
 */
import { type Mapping, PAGE_SIZE } from "../vfs/address-space.ts";
import type { ExtentList } from "./extent-list.ts";

/** What a block is, and the first block behind it of which that is not known. */
export interface Stretch {
  readonly isData: boolean;
  readonly end: number;
}

/** What an extent says of a block; undefined where none covers it. @param index - the first extent that ends behind the block */
export function extentStretch(list: ExtentList, index: number, block: number, mapping: Mapping | undefined): Stretch | undefined {
  if (index >= list.count || list.logical(index) > block) return undefined;
  if (!list.isUnwritten(index)) return { isData: true, end: list.endOfWritten(index) };
  return {
    isData: mapping?.isCached(block) ?? false,
    end: (mapping?.cachedPages ?? 0) > 0 ? block + 1 : list.end(index),
  };
}

/**
 * The first byte from `offset` on, which lies in the file, that is data, or a hole. @param stretch - tells of a block before `end`
 * @returns -1 where only a hole is left; for a hole at the latest the size
 */
export function seekStretches(
  file: { readonly size: number; readonly stretch: (block: number, end: number) => Stretch },
  offset: number,
  hole: boolean,
): number {
  const end = Math.ceil(file.size / PAGE_SIZE);
  for (let block = Math.floor(offset / PAGE_SIZE); block < end; ) {
    const step = file.stretch(block, end);
    if (step.isData !== hole) return Math.max(offset, block * PAGE_SIZE);
    block = step.end;
  }
  return hole ? file.size : -1;
}
