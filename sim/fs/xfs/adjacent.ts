/**
 * Where new blocks of a file should lie: by the extents before and behind them in their fork, else near the inode (libxfs/xfs_bmap.c: xfs_bmap_adjacent,
 * Linux 6.18).
 */
import type { ExtentList } from "../extent-list.ts";
import type { PromisedBlocks } from "../promised-blocks.ts";
import { blockOfInode, type Geometry } from "./layout.ts";

/** A gap so many times as long as what is allocated counts (XFS_ALLOC_GAP_UNITS). */
const GAP_UNITS = 4;

/** What is allocated: `count` blocks of a fork from `block` on. */
export interface Place {
  readonly list: ExtentList;
  readonly promised: PromisedBlocks | undefined;
  readonly block: number;
  readonly count: number;
  /** Whether they fill a hole. Else they were promised, and their promise hides what follows. */
  readonly isHole: boolean;
}

/** A place on the disk, and how far from where it should be. */
interface Candidate {
  readonly goal: number;
  readonly distance: number;
}

function isInGroup({ groupBlocks }: Geometry, block: number, of: number): boolean {
  return block >= 0 && Math.floor(block / groupBlocks) === Math.floor(of / groupBlocks);
}

/** The last extent before a block, unless what was promised lies between; -1: none. */
function extentBefore({ list, promised, block }: Place): number {
  const index = list.find(block) - 1;
  const end = index < 0 ? 0 : list.end(index);
  return (promised?.nextCovered(end) ?? block) < block ? -1 : index;
}

/** The first extent behind blocks that fill a hole, unless what was promised comes first; -1: none. */
function extentBehind({ list, promised, block, isHole }: Place): number {
  const index = list.find(block);
  if (!isHole || index >= list.count) return -1;
  return (promised?.nextCovered(block) ?? Number.POSITIVE_INFINITY) < list.logical(index) ? -1 : index;
}

function behind(geometry: Geometry, { list, block, count }: Place, index: number): Candidate {
  const gap = block - list.end(index);
  const end = list.physical(index) + list.length(index);
  const fits = gap <= GAP_UNITS * count && isInGroup(geometry, end + gap, list.physical(index));
  return fits ? { goal: end + gap, distance: gap } : { goal: end, distance: 2 * gap };
}

function before(geometry: Geometry, { list, block, count }: Place, index: number): Candidate {
  const gap = list.logical(index) - block;
  const start = list.physical(index);
  if (gap <= GAP_UNITS * count && isInGroup(geometry, start - gap, start)) return { goal: start - gap, distance: gap };
  if (isInGroup(geometry, start - count, start)) return { goal: start - count, distance: 2 * gap - count };
  return { goal: start, distance: 2 * gap };
}

/** The block on the disk that blocks of a file should begin at. */
export function dataGoal(geometry: Geometry, ino: number, place: Place): number {
  const { list, promised, block, isHole } = place;
  const [prior, next] = [extentBefore(place), extentBehind(place)];
  const isLast = isHole && list.find(block) >= list.count && promised?.nextCovered(block) === undefined;
  if (isLast && prior >= 0) {
    const end = list.physical(prior) + list.length(prior);
    const gap = block - list.end(prior);
    return isInGroup(geometry, end + gap, list.physical(prior)) ? end + gap : end;
  }
  const following = prior < 0 ? undefined : behind(geometry, place, prior);
  const preceding = next < 0 ? undefined : before(geometry, place, next);
  if (following !== undefined && (preceding === undefined || following.distance <= preceding.distance)) return following.goal;
  return preceding?.goal ?? blockOfInode(geometry, ino);
}
