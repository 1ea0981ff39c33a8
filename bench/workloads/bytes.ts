/** Bytes that move: copy-up of lower files, and scattered writes into a large file. */
import { type Body, flat, Series, weigh } from "../measure.ts";
import type { Tree } from "../peer.ts";
import type { Bench } from "../workload.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const ONE = Uint8Array.of(0x21);

/** Opens for writing, which copies the file up, and writes one byte at its end. */
function touch(tree: Tree, path: string): void {
  const handle = tree.open(path, "append");
  tree.append(handle, ONE);
  tree.close(handle);
}

/** 1,000 lower files of 1 MiB, all of real bytes. */
export function copyUp(bench: Bench): void {
  if (!bench.peer.copiesUp) return;
  const count = bench.count(1000, 20);
  const paths = Array.from({ length: count }, (_, index) => flat(`/data/file-${index}.bin`));
  const content = new Uint8Array(MIB).map((_, index) => Math.imul(index, 2654435761) >>> 24);
  const tree = bench.peer.mount(1, (layer) => {
    layer.mkdirp("/data");
    for (const path of paths) layer.writeFile(path, content);
  });
  const series = new Series("copy-up-1-MiB");
  const bytes = weigh(() =>
    series.round(count, (from, to) => {
      for (let index = from; index < to; index++) touch(tree, paths[index] as string);
    }),
  );
  bench.report(series.weigh(bytes));
  tree.dispose();
}

/**
 * Files of 1 MiB that are copied up before any is measured: a copy-up passes through some three hundred functions, which the engine goes on
 * compiling for the first thousands of calls, and compiles anew when it meets a second tree and a third.
 */
const WARM_UPS = 4000;
const WARM_TREES = 4;
/** The fewest rounds of a workload before the first measured one: large files take ways that small ones do not, and numbers of bytes beyond 31 bits. */
const WARM_ROUNDS = 3;

/**
 * Described files of each size: 1 MiB, 64 MiB, 1 GiB, 64 GiB; each round has a tree of its own. One more is weighed: the collector's threads go on
 * for some milliseconds after a collection, which is as long as a round of the largest takes.
 */
export function copyUpAnySize(bench: Bench): void {
  const warmUps = bench.count(WARM_UPS, 20);
  for (let tree = 0; tree < WARM_TREES; tree++) describedFiles(bench, warmUps, MIB).touchAll(0, warmUps);
  for (const [name, length, files] of [
    ["1-MiB", MIB, 2000],
    ["64-MiB", 64 * MIB, 1000],
    ["1-GiB", GIB, 400],
    ["64-GiB", 64 * GIB, 8],
  ] as const) {
    const count = Math.min(files, bench.count(files * 10, 8));
    const series = new Series(`copy-up-described-${name}`);
    const warmRounds = Math.max(WARM_ROUNDS, Math.ceil(warmUps / count));
    for (let round = -warmRounds; round < bench.rounds && !series.exhausted; round++) {
      const { tree, touchAll } = describedFiles(bench, count, length);
      if (round < 0) touchAll(0, count);
      else series.round(count, touchAll);
      tree.dispose();
    }
    const { tree, touchAll } = describedFiles(bench, count, length);
    const bytes = weigh(() => {
      touchAll(0, count);
      return count;
    });
    bench.report(series.weigh(bytes));
    tree.dispose();
  }
}

/** A tree over a layer of described files, and what touches them; two more have been copied up before. */
function describedFiles(bench: Bench, count: number, length: number): { readonly tree: Tree; readonly touchAll: Body } {
  const paths = Array.from({ length: count }, (_, index) => flat(`/data/disk-${index}.img`));
  const warmUps = ["/data/warm-up-0", "/data/warm-up-1"];
  const tree = bench.peer.mount(1, (layer) => {
    layer.mkdirp("/data");
    for (const path of [...warmUps, ...paths]) layer.described?.writeFile(path, length);
  });
  for (const path of warmUps) touch(tree, path);
  const touchAll = (from: number, to: number): void => {
    for (let index = from; index < to; index++) touch(tree, paths[index] as string);
  };
  return { tree, touchAll };
}

const WRITES = 200_000;
const PAGES = GIB / 4096;

/** The page that the write number `index` goes to: scattered, the same for each peer. */
function pageOf(index: number): number {
  return (Math.imul(index ^ (index >>> 7), 0x9e3779b1) >>> 0) % PAGES;
}

/** 200,000 writes of 4 KiB into a file of 1 GiB; each brings bytes of its own. */
export function scatteredWrites(bench: Bench): void {
  const tree = bench.peer.mount(1, (layer) => layer.mkdirp("/db"));
  const count = bench.count(WRITES, 200);
  tree.mkdirp("/db");
  tree.writeFile("/db/table.ibd", new Uint8Array(0));
  const page = new Uint8Array(4096).map((_, index) => (index * 7) & 0xff);
  const series = new Series("write-4-KiB-scattered");
  const bytes = weigh(() => {
    tree.truncate("/db/table.ibd", GIB);
    const handle = tree.open("/db/table.ibd", "write");
    series.round(count, (from, to) => {
      for (let index = from; index < to; index++) {
        page[index & 4095] = index & 0xff;
        tree.write(handle, page, pageOf(index) * 4096);
      }
    });
    tree.close(handle);
    return 1;
  });
  bench.report(series.weigh(bytes));
  tree.dispose();
}

/**
 * The same with described bytes: what a simulation needs, since nobody reads a benchmark's bytes. Each round has a table of its own; the first
 * ones are not measured: the engine compiles meanwhile, and anew when it meets a second tree.
 */
export function scatteredWritesDescribed(bench: Bench): void {
  const count = bench.count(WRITES, 200);
  const series = new Series("write-4-KiB-scattered-described");
  for (let round = -WARM_ROUNDS; round < bench.rounds && !series.exhausted; round++) {
    const tree = bench.peer.mount(1, (layer) => layer.mkdirp("/db"));
    const { described } = tree;
    if (described === undefined) return;
    tree.mkdirp("/db");
    tree.writeFile("/db/table.ibd", new Uint8Array(0));
    tree.truncate("/db/table.ibd", GIB);
    const handle = tree.open("/db/table.ibd", "write");
    const write = (from: number, to: number): void => {
      for (let index = from; index < to; index++) described.write4k(handle, pageOf(index) * 4096);
    };
    if (round < 0) write(0, count);
    else {
      const bytes = weigh(() => {
        series.round(count, write);
        return 1;
      });
      series.weigh(bytes);
    }
    tree.close(handle);
    tree.dispose();
  }
  bench.report(series);
}
