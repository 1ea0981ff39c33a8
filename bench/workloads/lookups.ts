/** Files that are only looked at: stat, open-read-close, readdir of a lower layer's files; and appends to one open file. */
import { flat, Series, shuffled } from "../measure.ts";
import type { Tree } from "../peer.ts";
import type { Bench } from "../workload.ts";

const FILES = 100_000;
/** Files that are read: 4 KiB each, all held at once by peers that hold bytes. */
const READ_FILES = 5000;
const ENTRIES = 10_000;
const APPENDS = 200_000;
const EMPTY = new Uint8Array(0);

/** `count` paths of `depth` components below `base` (one component), 100 files to a directory. */
function paths(base: string, depth: number, count: number): string[] {
  const between = Array.from({ length: depth - 4 }, (_, index) => `/level-${index}`).join("");
  return Array.from({ length: count }, (_, index) => {
    const directory = Math.floor(index / 100);
    return flat(`${base}${between}/${directory % 32}/${Math.floor(directory / 32)}/file-${index}.js`);
  });
}

function fillWith(tree: Tree, list: readonly string[], content: Uint8Array): void {
  let made = "";
  for (const path of list) {
    const parent = path.slice(0, path.lastIndexOf("/"));
    if (parent !== made) tree.mkdirp(parent);
    made = parent;
    tree.writeFile(path, content);
  }
}

export function stat(bench: Bench): void {
  const count = bench.count(FILES, 200);
  for (const depth of [4, 12]) {
    const list = paths("/src", depth, count);
    const tree = bench.peer.mount(1, (layer) => fillWith(layer, list, EMPTY));
    const asked = shuffled(list);
    bench.report(
      new Series(`stat-depth-${depth}`).rounds(bench.rounds + 2, count, (from, to) => {
        for (let index = from; index < to; index++) tree.stat(asked[index] as string);
      }),
    );
    tree.dispose();
  }
}

export function reads(bench: Bench): void {
  const list = paths("/lib", 4, bench.count(READ_FILES, 100));
  const page = new Uint8Array(4096).map((_, index) => (index * 31 + (index >> 8)) & 0xff);
  const entries = bench.count(ENTRIES, 1000);
  const tree = bench.peer.mount(1, (layer) => {
    fillWith(layer, list, page);
    layer.mkdirp("/many");
    for (let index = 0; index < entries; index++) layer.writeFile(`/many/entry-${index}.json`, EMPTY);
  });
  const asked = shuffled(list);
  const into = new Uint8Array(4096);
  bench.report(
    new Series("open-read4k-close").rounds(bench.rounds + 2, bench.count(READ_FILES * 10, 100), (from, to) => {
      for (let index = from; index < to; index++) {
        const handle = tree.open(asked[index % asked.length] as string, "read");
        tree.read(handle, into, 0);
        tree.close(handle);
      }
    }),
  );
  const listings = bench.count(20, 4);
  bench.report(
    new Series("readdir", "entry").rounds(
      bench.rounds,
      listings,
      (from, to) => {
        for (let index = from; index < to; index++) tree.readdir("/many");
      },
      entries,
    ),
  );
  append(bench, tree);
  tree.dispose();
}

function append(bench: Bench, tree: Tree): void {
  const one = Uint8Array.of(0x2e);
  tree.mkdirp("/log");
  tree.writeFile("/log/access.log", new Uint8Array(2 ** 20).fill(0x2d));
  const handle = tree.open("/log/access.log", "append");
  bench.report(
    new Series("append-1-byte").rounds(bench.rounds, bench.count(APPENDS, 1000), (from, to) => {
      for (let index = from; index < to; index++) tree.append(handle, one);
    }),
  );
  tree.close(handle);
}
