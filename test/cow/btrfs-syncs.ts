/** What a btrfs wrote in each step that ended with a superblock, told so that two of them can be compared that place their nodes elsewhere. */
import type { Space } from "../../sim/cow/btrfs/space.ts";
import type { Answer, Bio } from "./btrfs-history.ts";

/** A log's: how many nodes, how many flushes, and how many sectors of data since the last such step. Of a commit it hangs on when the flusher ran how often a node was written. */
type Sync = { readonly nodes: number; readonly flushes: number; readonly data: number } | "commit" | "nothing";

/** Where the copies of the superblock are, in sectors. */
const SUPERBLOCKS: readonly number[] = [128, 131_072];

/** @param space - whose chunks tell where nodes are, and in how many copies. */
export function syncsIn(answers: readonly Pick<Answer, "w">[], space: Space): Sync[] {
  const copies = space.groups
    .filter(({ type }) => type !== "data")
    .flatMap(({ stripes, length }) => stripes.map((at) => ({ at, length })));
  const isNode = (sector: number): boolean => copies.some(({ at, length }) => sector * 512 >= at && sector * 512 < at + length);
  let data = 0;
  return answers.map(({ w = [] }) => {
    const writes = w.filter((bio): bio is Exclude<Bio, "flush"> => bio !== "flush");
    const superblocks = writes.filter(([sector]) => SUPERBLOCKS.includes(sector)).length;
    const nodes = writes.filter(([sector]) => isNode(sector)).length / 2;
    const rest = writes.filter(([sector]) => !isNode(sector) && !SUPERBLOCKS.includes(sector));
    data += rest.reduce((sum, [, sectors]) => sum + sectors, 0);
    if (superblocks === 0) return "nothing";
    const sync = superblocks > 1 ? "commit" : { nodes, flushes: w.length - writes.length, data };
    data = 0;
    return sync;
  });
}
