/** What depth costs: the files of the lowest layer, and names that no layer has, looked up through 1 to 127 lower layers. */
import { type Body, flat, Series, shuffled } from "../measure.ts";
import type { Tree } from "../peer.ts";
import type { Bench } from "../workload.ts";

const DEPTHS = [1, 8, 64, 127];
/** Files in the lowest layer, and in each above it. */
const LOWEST = 2000;
const EACH = 8;
/** How often each name is looked up in a round. */
const REPEATS = 25;
const EMPTY = new Uint8Array(0);

/** One workload on one tree. */
interface Work {
  readonly series: Series;
  readonly rounds: number;
  readonly operations: number;
  readonly body: Body;
  /** Units of an operation. */
  readonly weight: number;
}

interface Mounted {
  readonly tree: Tree;
  readonly first: Series;
  readonly works: readonly Work[];
}

/**
 * Depths are compared with each other, and a round takes a few milliseconds: a moment in which the machine is slow would be one depth's alone. So all
 * trees are mounted before any is measured, and take turns, where the peer can have several. The engine compiles for one tree alone until it
 * meets another; so one that is not reported comes first, with layers of its own.
 */
export function layers(bench: Bench): void {
  const { layersMax, mountsOne } = bench.peer;
  if (layersMax >= 2) takeTurns([mountThrough(bench, 2)]);
  const depths = DEPTHS.filter((depth) => depth <= layersMax);
  for (const together of mountsOne === true ? depths.map((depth) => [depth]) : [depths]) {
    const mounted = together.map((depth) => mountThrough(bench, depth));
    takeTurns(mounted);
    for (const { first, works } of mounted)
      for (const series of [first, ...works.map((work) => work.series)]) bench.report(series);
  }
}

/** Mounts a tree; its files are looked up for the first time at once, since everything else makes them known. */
function mountThrough(bench: Bench, depth: number): Mounted {
  const count = bench.count(LOWEST, 100);
  const names = Array.from({ length: count }, (_, index) => flat(`/usr/share/doc/lowest-${index}`));
  const tree = bench.peer.mount(depth, (layer, number) => {
    layer.mkdirp("/usr/share/doc");
    if (number === 0) for (const name of names) layer.writeFile(name, EMPTY);
    for (let index = 0; index < EACH; index++) layer.writeFile(`/usr/share/doc/layer-${number}-${index}`, EMPTY);
  });
  const asked = shuffled(names);
  const absent = shuffled(names.map((name) => flat(`${name}.absent`)));
  const first = new Series(`stat-first-L${depth}`).rounds(1, count, (from, to) => {
    for (let index = from; index < to; index++) tree.stat(asked[index] as string);
  });
  const listed = count + EACH * depth;
  const stat: Body = (from, to) => {
    for (let index = from; index < to; index++) tree.stat(asked[index % count] as string);
  };
  const miss: Body = (from, to) => {
    for (let index = from; index < to; index++) {
      if (!tree.missing(absent[index % count] as string)) throw new Error("a name that nobody made is there");
    }
  };
  const readdir: Body = (from, to) => {
    for (let index = from; index < to; index++) {
      const found = tree.readdir("/usr/share/doc");
      if (found !== listed) throw new Error(`readdir gave ${found} of ${listed} names`);
    }
  };
  const rounds = bench.rounds + 2;
  const operations = count * REPEATS;
  return {
    tree,
    first,
    works: [
      { series: new Series(`stat-L${depth}`), rounds, operations, body: stat, weight: 1 },
      { series: new Series(`miss-L${depth}`), rounds, operations, body: miss, weight: 1 },
      {
        series: new Series(`readdir-L${depth}`, "entry"),
        rounds: bench.rounds,
        operations: bench.count(40, 4),
        body: readdir,
        weight: listed,
      },
    ],
  };
}

/** Measures each workload in rounds, each of which goes through all trees, and gives the trees up. */
function takeTurns(mounted: readonly Mounted[]): void {
  for (const [index, { rounds }] of (mounted[0]?.works ?? []).entries()) {
    for (let round = 0; round < rounds; round++) {
      for (const { works } of mounted) {
        const { series, operations, body, weight } = works[index] as Work;
        if (round === 0 || !series.exhausted) series.round(operations, body, weight);
      }
    }
  }
  for (const { tree } of mounted) tree.dispose();
}
