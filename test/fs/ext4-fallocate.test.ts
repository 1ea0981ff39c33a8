/**
 * fallocate(2) on small disks of ext4 that fill up: how many blocks are free after each step, as Linux 6.18 told (test/data/ext4-fallocate.json, which
 * test/kernel/ext4-fallocate.py records). One block more or less is a block of a file's tree: whether it has one depends on which free runs it got.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { BlockBitmap } from "../../sim/block/allocator.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { MIB } from "../../sim/core/units.ts";
import { type Found, scanGroup, smallestChunk } from "../../sim/fs/ext4/buddy.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { O_CREAT, O_RDWR } from "../../sim/vfs/filesystem.ts";
import { must } from "../../src/testing/expect.ts";

type Step = readonly [what: string, name: string, first: number, count: number, answer: string, free: number];
interface Case {
  readonly size: number;
  readonly steps: readonly Step[];
}

const CASES = (JSON.parse(readFileSync(new URL("../data/ext4-fallocate.json", import.meta.url), "utf8")) as Case[]).map(
  (one, index) => [index, one.size, one] as const,
);
const BLOCK = 4096;

function act({ task }: Host, [what, name, first, count]: Step): string {
  const path = `/m/${name}`;
  if (what === "sync") must(must(task.resolve("/m")).mount.fs.sync() as undefined);
  else if (what === "unlink") must(task.unlink(path) as undefined);
  else {
    const fd = task.open(path, O_RDWR | O_CREAT, 0o644);
    if (isErrno(fd)) return fd.code;
    const failed = task.fallocate(fd, 0, first * BLOCK, count * BLOCK);
    task.close(fd);
    return failed?.code ?? "ok";
  }
  return "ok";
}

test.each(CASES)("case %i, on a disk of %i MiB: each step leaves as many blocks as on Linux", (_index, size, { steps }) => {
  const host = createHost();
  must(host.task.mkdir("/m"));
  const { name } = host.addDisk({ size: MIB(size) });
  must(host.mkfs("ext4", name));
  must(host.mount({ type: "ext4", source: name, target: "/m" }) as undefined);
  const got = steps.map((step) => [...step.slice(0, 4), act(host, step), must(host.task.statfs("/m")).blocksFree]);
  host.check();
  expect(got).toEqual(steps);
});

/** A group of 64 blocks in which those of `runs`, pairs of first block and count, are free. */
function group(runs: readonly (readonly [number, number])[]): BlockBitmap {
  const bits = new BlockBitmap(64);
  bits.take(0, 64);
  for (const [start, count] of runs) bits.free(start, count);
  return bits;
}

function chosen(bits: BlockBitmap, wanted: number, skips = false): readonly [over: boolean, start: number, count: number] {
  const found: Found = { pieces: 0, group: 0, start: 0, count: 0 };
  const over = scanGroup(0, bits, { wanted, skips }, found);
  return [over, found.start, found.count];
}

test("a run as long as what is wanted is taken, though a longer one lies before it", () => {
  const bits = group([
    [1, 17],
    [40, 5],
  ]);
  expect(chosen(bits, 5)).toEqual([true, 40, 5]);
});

test("of longer ones the piece is taken that is least too long: a run's chunks, up to the one that suffices", () => {
  // From 1 on chunks of 1, 2 and 4 blocks are a piece; from 32 on those of 4 and 2.
  expect(chosen(group([[1, 17]]), 5)).toEqual([true, 1, 7]);
  const bits = group([
    [1, 17],
    [32, 6],
  ]);
  expect(chosen(bits, 5)).toEqual([true, 32, 6]);
});

test("a long run has a piece that is exactly as long as what is wanted, and not where it begins", () => {
  expect(chosen(group([[1, 20]]), 5)).toEqual([true, 16, 5]);
});

test("where none is long enough the longest is kept, and the search goes on", () => {
  expect(
    chosen(
      group([
        [1, 3],
        [10, 4],
        [20, 4],
      ]),
      9,
    ),
  ).toEqual([false, 10, 4]);
  expect(
    chosen(
      group([
        [1, 3],
        [10, 4],
      ]),
      9,
      true,
    ),
  ).toEqual([false, 0, 0]);
});

test("of chunks the first of the smallest order that suffices is taken", () => {
  expect(
    smallestChunk(
      group([
        [0, 16],
        [33, 6],
        [48, 4],
      ]),
      1,
    ),
  ).toBe(34);
  expect(
    smallestChunk(
      group([
        [0, 16],
        [33, 6],
        [48, 4],
      ]),
      2,
    ),
  ).toBe(48);
  expect(smallestChunk(group([[33, 2]]), 1)).toBe(-1);
});
