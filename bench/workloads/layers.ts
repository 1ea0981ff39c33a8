/** What depth costs: the files of the lowest layer, and names that no layer has, looked up through 1 to 127 lower layers. */
import { flat, Series, shuffled } from "../measure.ts";
import type { Bench } from "../workload.ts";

const DEPTHS = [1, 8, 64, 127];
/** Files in the lowest layer, and in each above it. */
const LOWEST = 2000;
const EACH = 8;
const EMPTY = new Uint8Array(0);

/** The engine compiles for one tree alone until it meets another; so one that is not reported comes first, with layers of its own. */
export function layers(bench: Bench): void {
  if (bench.peer.layersMax >= 2)
    throughLayers({ ...bench, count: (full, least) => bench.count(full, least), report: () => {} }, 2);
  for (const depth of DEPTHS) if (depth <= bench.peer.layersMax) throughLayers(bench, depth);
}

function throughLayers(bench: Bench, depth: number): void {
  const count = bench.count(LOWEST, 100);
  const names = Array.from({ length: count }, (_, index) => flat(`/usr/share/doc/lowest-${index}`));
  const tree = bench.peer.mount(depth, (layer, number) => {
    layer.mkdirp("/usr/share/doc");
    if (number === 0) for (const name of names) layer.writeFile(name, EMPTY);
    for (let index = 0; index < EACH; index++) layer.writeFile(`/usr/share/doc/layer-${number}-${index}`, EMPTY);
  });
  const asked = shuffled(names);
  bench.report(
    new Series(`stat-first-L${depth}`).rounds(1, count, (from, to) => {
      for (let index = from; index < to; index++) tree.stat(asked[index] as string);
    }),
  );
  bench.report(
    new Series(`stat-L${depth}`).rounds(bench.rounds + 2, count * 25, (from, to) => {
      for (let index = from; index < to; index++) tree.stat(asked[index % count] as string);
    }),
  );
  const absent = shuffled(names.map((name) => flat(`${name}.absent`)));
  bench.report(
    new Series(`miss-L${depth}`).rounds(bench.rounds + 2, count * 25, (from, to) => {
      for (let index = from; index < to; index++) {
        if (!tree.missing(absent[index % count] as string)) throw new Error("a name that nobody made is there");
      }
    }),
  );
  const listed = count + EACH * depth;
  bench.report(
    new Series(`readdir-L${depth}`, "entry").rounds(
      bench.rounds,
      bench.count(40, 4),
      (from, to) => {
        for (let index = from; index < to; index++) {
          const found = tree.readdir("/usr/share/doc");
          if (found !== listed) throw new Error(`readdir gave ${found} of ${listed} names`);
        }
      },
      listed,
    ),
  );
  tree.dispose();
}
