/**
 * What fsync writes, and what is there after a power cut, on a real btrfs (Linux 6.18, btrfs-progs 6.2: test/data/btrfs/logs.ndjson, recorded with
 * test/kernel/btrfs-record.py): each script runs here too. A sync that is logged writes as many nodes and as much data, and the first superblock alone; after each cut
 * the tree is the kernel's, inode by inode, and so is the space when all is settled.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type Answer, type Bio, Historian, type History, type Left } from "./btrfs-history.ts";

interface Recorded extends History {
  readonly name: string;
  readonly answers: readonly Pick<Answer, "r" | "w">[];
}

const RECORDED = readFileSync(new URL("../data/btrfs/logs.ndjson", import.meta.url), "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as Recorded);

/** Scripts behind whose replay leaves are filled otherwise: nodes more than the kernel has. */
const NODES_MORE: Readonly<Record<string, number>> = { "many files go, the directory synced": 2, "many links": 1 };
const NODE_SECTORS = 32;
const NODE_BYTES = 16_384;
const SUPERBLOCKS: readonly number[] = [128, 131_072];

/** What a step wrote: how many nodes, how many flushes, which superblocks; and how many sectors of data, those of the steps since the last such one included. */
interface Synced {
  readonly nodes: number;
  readonly flushes: number;
  readonly superblocks: readonly number[];
  readonly data: number;
}

/** Each step's writes that ended with a superblock; undefined where none was written. */
function syncedIn(answers: readonly Pick<Answer, "w">[]): (Synced | undefined)[] {
  let data = 0;
  return answers.map(({ w = [] }) => {
    const writes = w.filter((bio): bio is Exclude<Bio, "flush"> => bio !== "flush");
    const superblocks = writes.map(([sector]) => sector).filter((sector) => SUPERBLOCKS.includes(sector));
    // A run of data may be as long as a node; it is not written twice.
    const places = new Set(writes.map(([sector]) => sector));
    const distance = COPY_DISTANCES.find((by) => writes.some(([at]) => places.has(at + by))) ?? 0;
    const isNode = ([at, sectors]: readonly [number, number]): boolean =>
      sectors === NODE_SECTORS && (places.has(at + distance) || places.has(at - distance));
    const nodes = writes.filter(isNode).length / 2;
    const rest = writes.filter((bio) => !isNode(bio) && !SUPERBLOCKS.includes(bio[0]));
    data += rest.reduce((sum, [, sectors]) => sum + sectors, 0);
    if (superblocks.length === 0) return undefined;
    const synced = { nodes, flushes: w.length - writes.length, superblocks, data };
    data = 0;
    return synced;
  });
}

/** How far behind its first copy the second one of a node lies: in the metadata chunk of a disk of 900 MiB. */
const COPY_DISTANCES: readonly number[] = [92_160];

/** Of a commit it hangs on when the flusher ran how often a node was written. */
const told = (synced: Synced | undefined): unknown => (synced?.superblocks.length === 2 ? "commit" : (synced ?? "nothing"));

function leftOf(answer: Pick<Answer, "r"> | undefined, nodesMore: number): Left {
  const left = answer?.r as Left;
  return { ...left, metadata: [left.metadata[0], left.metadata[1] + nodesMore * NODE_BYTES] };
}

for (const recorded of RECORDED) {
  const { name, steps, answers } = recorded;
  test(name, () => {
    const here = new Historian(recorded).run();
    const [syncedHere, syncedThere] = [syncedIn(here), syncedIn(answers)];
    for (const [index, there] of answers.entries()) {
      const step = steps[index - 1];
      const what = `step ${index} ${JSON.stringify(step)}`;
      if (step?.do === "cut") expect(here[index]?.r, what).toEqual(leftOf(there, NODES_MORE[name] ?? 0));
      else expect(here[index]?.r, what).toEqual(there.r);
      expect(told(syncedHere[index]), what).toEqual(told(syncedThere[index]));
    }
  });
}
