/** Files that come and go in the writable tree: create, rename, unlink. */
import { type Body, flat, Series, weigh } from "../measure.ts";
import type { Tree } from "../peer.ts";
import type { Bench } from "../workload.ts";

const FILES = 100_000;
/** Files in one directory, so that a peer that rewrites directories is not judged by one huge one. */
const IN_DIRECTORY = 1000;

const EMPTY = new Uint8Array(0);
const HUNDRED = new Uint8Array(100).map((_, index) => (index * 37) & 0xff);

/** Directories for `count` files and the files' paths, four components deep. */
function layOut(tree: Tree, base: string, count: number): string[] {
  const paths: string[] = [];
  for (let index = 0; index < count; index++) {
    const directory = Math.floor(index / IN_DIRECTORY);
    const parent = `${base}/a/${directory}`;
    if (index % IN_DIRECTORY === 0) tree.mkdirp(parent);
    paths.push(flat(`${parent}/file-${index % IN_DIRECTORY}.txt`));
  }
  return paths;
}

export function files(bench: Bench): void {
  const tree = bench.peer.mount(1, (layer) => layer.mkdirp("/etc"));
  const count = bench.count(FILES, 200);
  const createEmpty = new Series("create-empty");
  const createSmall = new Series("create-100-bytes");
  const rename = new Series("rename");
  const unlink = new Series("unlink");
  for (let round = 0; round < bench.rounds && !createEmpty.exhausted; round++) {
    const empty = layOut(tree, `/empty-${round}`, count);
    const made = createEmpty.round(count, (from, to) => {
      for (let index = from; index < to; index++) tree.writeFile(empty[index] as string, EMPTY);
    });
    const renamed = empty.map((path) => flat(`${path}.new`));
    const moved = rename.round(made, (from, to) => {
      for (let index = from; index < to; index++) tree.rename(empty[index] as string, renamed[index] as string);
    });
    unlink.round(moved, (from, to) => {
      for (let index = from; index < to; index++) tree.unlink(renamed[index] as string);
    });
    const small = layOut(tree, `/small-${round}`, count);
    const filled = createSmall.round(count, (from, to) => {
      for (let index = from; index < to; index++) tree.writeFile(small[index] as string, HUNDRED);
    });
    for (const path of small.slice(0, filled)) tree.unlink(path);
  }
  for (const series of [createEmpty, createSmall, rename, unlink]) bench.report(series);
  tree.dispose();
}

/** Of so many files the first tree of a weighing has one: what the engine compiles meanwhile is no file's. */
const WARM_SHARE = 10;

/**
 * What a file weighs: the tree is weighed full. Paths are made on the way and not kept, so that a peer pays for what it holds of
 * them.
 */
function weighFiles(bench: Bench, workload: string, content: Uint8Array): void {
  const count = bench.count(FILES, 500);
  const warmed = emptyTree(bench, count / WARM_SHARE, content);
  warmed.fill(0, count / WARM_SHARE);
  warmed.tree.dispose();
  const { tree, fill } = emptyTree(bench, count, content);
  const series = new Series(workload, "file");
  const bytes = weigh(() => series.round(count, fill));
  tree.stat("/weigh/a/0/file-0.txt");
  bench.report(series.weigh(bytes));
  tree.dispose();
}

/** A tree with the directories for `count` files, and what fills them. */
function emptyTree(bench: Bench, count: number, content: Uint8Array): { readonly tree: Tree; readonly fill: Body } {
  const tree = bench.peer.mount(1, (layer) => layer.mkdirp("/etc"));
  for (let directory = 0; directory * IN_DIRECTORY < count; directory++) tree.mkdirp(`/weigh/a/${directory}`);
  const fill = (from: number, to: number): void => {
    for (let index = from; index < to; index++) {
      tree.writeFile(`/weigh/a/${Math.floor(index / IN_DIRECTORY)}/file-${index % IN_DIRECTORY}.txt`, content);
    }
  };
  return { tree, fill };
}

export function memoryOfEmptyFiles(bench: Bench): void {
  weighFiles(bench, "memory-empty-files", EMPTY);
}
export function memoryOfSmallFiles(bench: Bench): void {
  weighFiles(bench, "memory-100-byte-files", HUNDRED);
}
