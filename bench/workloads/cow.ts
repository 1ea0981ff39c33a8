/** Copy-on-write trees: snapshots and clones of few and of many files, each with the commit that makes it durable, and what a snapshot weighs. */
import { Series, weigh } from "../measure.ts";
import type { MeasuredTree } from "../peer.ts";
import type { Bench } from "../workload.ts";

const SIZES = [
  ["1000", 1000],
  ["1000000", 1_000_000],
] as const;
const SNAPSHOTS = 2000;
/** How many the large tree has when it is weighed: blocks of earlier commits stay on the disk until their place is used again, so that the first snapshots keep the most. */
const WEIGHED = 10_000;

function measure(bench: Bench, kind: string, make: ((files: number) => MeasuredTree) | undefined): void {
  if (make === undefined) return;
  for (const [name, size] of SIZES) {
    const tree = make(bench.count(size, 100));
    const count = bench.count(SNAPSHOTS, 20);
    let made = 0;
    let cloned = 0;
    const snapshots = new Series(`${kind}-snapshot-of-${name}`, "snapshot");
    const bytes = weigh(() => {
      snapshots.rounds(bench.rounds, count, (from, to) => {
        for (let index = from; index < to; index++) tree.snapshot(`s${made++}`);
      });
      if (size > SNAPSHOTS) while (made < bench.count(WEIGHED, 100)) tree.snapshot(`s${made++}`);
      return made;
    });
    bench.report(snapshots.weigh(bytes));
    const { clone } = tree;
    if (clone === undefined) continue;
    const clones = new Series(`${kind}-clone-of-${name}`, "clone");
    clones.rounds(bench.rounds, Math.floor(made / bench.rounds), (from, to) => {
      for (let index = from; index < to; index++) clone(`s${cloned++}`);
    });
    bench.report(clones);
  }
}

export function treeSnapshots(bench: Bench): void {
  measure(bench, "tree", bench.peer.trees?.tree);
}

export function btrfsSnapshots(bench: Bench): void {
  measure(bench, "btrfs", bench.peer.trees?.btrfs);
}

export function zfsSnapshots(bench: Bench): void {
  measure(bench, "zfs", bench.peer.trees?.zfs);
}
