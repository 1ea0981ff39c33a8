/**
 * What fsync writes, and what is there after a power cut, on a real btrfs (Linux 6.18, btrfs-progs 6.2: test/data/btrfs/logs.ndjson, recorded with
 * test/kernel/btrfs-record.py): each script runs here too. A sync that is logged writes as many nodes and as much data, and the first superblock alone; after each cut
 * the tree is the kernel's, inode by inode, and so is the space when all is settled.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type Answer, Historian, type History, type Left } from "./btrfs-history.ts";
import { syncsIn } from "./btrfs-syncs.ts";

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
const NODE_BYTES = 16_384;

function leftOf(answer: Pick<Answer, "r"> | undefined, nodesMore: number): Left {
  const left = answer?.r as Left;
  return { ...left, metadata: [left.metadata[0], left.metadata[1] + nodesMore * NODE_BYTES] };
}

for (const recorded of RECORDED) {
  const { name, steps, answers } = recorded;
  test(name, () => {
    const historian = new Historian(recorded);
    const here = historian.run();
    const [syncedHere, syncedThere] = [here, answers].map((told) => syncsIn(told, historian.lab.fs.state.space));
    for (const [index, there] of answers.entries()) {
      const step = steps[index - 1];
      const what = `step ${index} ${JSON.stringify(step)}`;
      if (step?.do === "cut") expect(here[index]?.r, what).toEqual(leftOf(there, NODES_MORE[name] ?? 0));
      else expect(here[index]?.r, what).toEqual(there.r);
      expect(syncedHere?.[index], what).toEqual(syncedThere?.[index]);
    }
  });
}
