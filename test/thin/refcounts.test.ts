/**
 * Counts of references: ranges beside the same blocks one by one, and beside an array.
 */
import { expect, test } from "vitest";
import { EINVAL, isErrno } from "../../sim/core/errno.ts";
import { Random } from "../../sim/core/random.ts";
import type { DataSpace } from "../../sim/thin/data-space.ts";
import { PoolMetadata } from "../../sim/thin/metadata.ts";
import { MetadataBlocks } from "../../sim/thin/metadata-blocks.ts";
import { disks } from "./thin-lab.ts";

const BLOCKS = 20_000;
/** Near the border of two bitmaps. */
const FIRST = 16_192;

function counts(): PoolMetadata {
  const { metadata } = disks({ data: 1, metadata: 2000 });
  const made = PoolMetadata.open(new MetadataBlocks(metadata), { dataBlockSectors: 128, format: true, reserve: "none" });
  if (isErrno(made)) throw new Error(made.code);
  expect(made.growData(BLOCKS)).toBeUndefined();
  return made;
}

function dataOf(metadata: PoolMetadata): DataSpace {
  return metadata.state.data;
}

test("a range's counts change as those of its blocks one by one, over words of equal and of other counts, and across bitmaps", () => {
  const [ranges, singles] = [counts(), counts()];
  // All below is in use, so that a bitmap's note of where nothing is free before is put to use.
  const model = new Array<number>(BLOCKS).fill(0).fill(1, 0, FIRST);
  expect(ranges.incData(0, FIRST)).toBeUndefined();
  for (let block = 0; block < FIRST; block++) expect(singles.incData(block, block + 1)).toBeUndefined();
  const random = new Random(11);
  for (let round = 0; round < 150; round++) {
    // Every other time on a word's border.
    const begin = FIRST + random.below(20) * 16 + (random.below(2) === 0 ? 0 : random.below(16));
    const end = begin + 1 + random.below(random.pick([3, 40, 200]));
    const step = model.slice(begin, end).every((count) => count > 0) && random.below(2) === 0 ? -1 : 1;
    for (let block = begin; block < end; block++) {
      model[block] = (model[block] as number) + step;
      expect(step > 0 ? singles.incData(block, block + 1) : singles.decData(block, block + 1)).toBeUndefined();
    }
    expect(step > 0 ? ranges.incData(begin, end) : ranges.decData(begin, end)).toBeUndefined();
    for (const metadata of [ranges, singles]) {
      dataOf(metadata).refcounts.check(`round ${round}`);
      expect(dataOf(metadata).refcounts.allocated).toBe(model.filter((count) => count > 0).length);
    }
    if (round % 30 === 0) for (const metadata of [ranges, singles]) expect(metadata.commit()).toBeUndefined();
  }
  for (const [block, count] of model.entries())
    if (block >= 16_000 && block < 17_000) expect([block, dataOf(ranges).count(block)]).toEqual([block, count]);
  expect(dataOf(ranges).free).toBe(dataOf(singles).free);
  for (const metadata of [ranges, singles]) {
    expect(metadata.decData(0, 16)).toBeUndefined();
    dataOf(metadata).refcounts.check("with free blocks at the beginning");
    // Of blocks without a reference none can be given back.
    expect(metadata.decData(0, 16)).toBe(EINVAL);
  }
});
