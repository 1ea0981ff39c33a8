/**
 * Files whose only extent is kept as two numbers once they are written back (sim/fs/ext4/file-data.ts, `fold`): whatever is done to them, they are as any
 * other file.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Disk } from "../../sim/block/disk.ts";
import { Clock } from "../../sim/core/clock.ts";
import { Content } from "../../sim/core/content.ts";
import { EventStream } from "../../sim/core/events.ts";
import { NameTable } from "../../sim/core/names.ts";
import { deviceNumber, seconds } from "../../sim/core/units.ts";
import { convertExtents } from "../../sim/fs/convert-extents.ts";
import { Ext4 } from "../../sim/fs/ext4/ext4.ts";
import { FileData } from "../../sim/fs/ext4/file-data.ts";
import { loadCounts, superblockOf } from "../../sim/fs/ext4/mount.ts";
import { Ext4State } from "../../sim/fs/ext4/state.ts";
import {
  FALLOC_FL_COLLAPSE_RANGE,
  FALLOC_FL_INSERT_RANGE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
} from "../../sim/vfs/filesystem.ts";
import { PageCache } from "../../sim/vfs/page-cache.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { Vfs } from "../../sim/vfs/vfs.ts";
import { runs } from "../runs.ts";
import { Ext4Host, ext4Disk } from "./ext4-lab.ts";
import { must } from "./ext4-mounted.ts";

const PAGE = 4096;

const BLOCKS = 12;
const change = fc.record({
  what: fc.constantFrom("insert", "insert", "remove", "convert", "shift", "fold"),
  first: fc.oneof(fc.constant(0), fc.nat(BLOCKS)),
  count: fc.integer({ min: 1, max: 8 }),
  unwritten: fc.boolean(),
});

/** Changes extents as a filesystem may: blocks come where there are none, and only extents are converted. */
function apply(
  data: FileData,
  { what, first, count, unwritten }: { what: string; first: number; count: number; unwritten: boolean },
): void {
  const end = first + count;
  const tree = data.ownTree();
  if (what === "insert" && data.missing(first, end) === count)
    tree.list.insert({ logical: first, physical: 1000 + first, count, unwritten }, tree);
  if (what === "remove") tree.list.remove(first, end, () => undefined, tree);
  if (what === "convert" && data.missing(first, end) === 0) convertExtents(tree.list, first, end, { unwritten, growth: tree });
  if (what === "shift" && !tree.list.has(first)) tree.list.shift(first, count);
}

test("A file that is folded between changes has the extents of one that never is", () => {
  let folded = 0;
  fc.assert(
    fc.property(fc.array(change, { maxLength: 30, size: "max" }), (changes) => {
      const one = new FileData();
      const other = new FileData();
      for (const each of changes) {
        if (each.what === "fold") one.fold();
        else for (const data of [one, other]) apply(data, each);
        if (one.isFolded) folded += 1;
        expect(one.tree.list.items).toEqual(other.tree.list.items);
        expect(one.tree.root()).toEqual(other.tree.root());
        expect(one.missing(each.first, each.first + each.count)).toBe(other.missing(each.first, each.first + each.count));
        expect(one.tree.list.fault()).toBeUndefined();
      }
    }),
    runs(100),
  );
  expect(folded).toBeGreaterThan(10);
});

/** An ext4 and the state that it works on. */
class Stated {
  readonly disk: Disk;
  readonly clock: Clock = new Clock();
  readonly fs: Ext4;
  readonly task: Task;
  readonly #state: Ext4State;

  constructor(disk: Disk) {
    this.disk = disk;
    const { clock } = this;
    const events = new EventStream(() => clock.now);
    const names = new NameTable();
    const cache = new PageCache(clock, events);
    const { geometry, journal } = must(superblockOf(disk));
    this.#state = new Ext4State(disk, geometry, { names, clock, events, cache, device: deviceNumber(254, 0) }, journal);
    must(this.#state.journal.recover());
    expect(loadCounts(this.#state)).toBeUndefined();
    this.fs = new Ext4(this.#state);
    const vfs = new Vfs({ names, clock, events, cache });
    this.task = vfs.task(vfs.mountRoot(this.fs));
  }

  /** Whether a file's extents are kept without a tree. */
  isFolded(path: string): boolean {
    const data = this.#state.data(must(this.task.stat(path)).inodeNumber);
    return data instanceof FileData && data.isFolded;
  }
}

test("A file that is written back is folded, but not where its only extent begins later or was not written", () => {
  const on = new Stated(ext4Disk());
  const { task } = on;
  const fd = must(task.open("/f", O_RDWR | O_CREAT));
  must(task.write(fd, Content.pattern(1, 20 * PAGE)));
  expect(on.isFolded("/f")).toBe(false);
  expect(task.fsync(fd)).toBeUndefined();
  expect(on.isFolded("/f")).toBe(true);
  task.close(fd);
  const again = must(task.open("/f", O_RDWR));
  must(task.fallocate(again, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE));
  must(task.pwrite(again, Content.pattern(2, PAGE), 2 * PAGE));
  expect(task.fsync(again)).toBeUndefined();
  task.close(again);
  expect(on.isFolded("/f")).toBe(false);
  const unwritten = must(task.open("/g", O_RDWR | O_CREAT));
  must(task.fallocate(unwritten, 0, 0, 20 * PAGE));
  task.close(unwritten);
  expect(on.isFolded("/g")).toBe(false);
  on.fs.check();
});

test("A small file that the flusher has written is folded, and so is one that a mount reads", () => {
  const on = new Stated(ext4Disk());
  const content = Content.pattern(1, 100);
  const fd = must(on.task.open("/f", O_RDWR | O_CREAT));
  must(on.task.write(fd, content));
  on.task.close(fd);
  expect(on.isFolded("/f")).toBe(false);
  on.clock.advance(seconds(60));
  expect(on.isFolded("/f")).toBe(true);
  expect(on.fs.unmount()).toBeUndefined();
  const later = new Stated(on.disk);
  expect(later.isFolded("/f")).toBe(true);
  expect(contentOf(later, "/f").equals(content)).toBe(true);
  later.fs.check();
});

function contentOf(on: { readonly task: Task }, path: string): Content {
  const fd = must(on.task.open(path, O_RDONLY));
  const found = must(on.task.pread(fd, 2 ** 22, 0));
  on.task.close(fd);
  return found;
}

const ACTS = [
  "write",
  "write",
  "append",
  "truncate",
  "fallocate",
  "punch",
  "zero",
  "collapse",
  "insert",
  "fsync",
  "tick",
  "read",
];
const act = fc.record({
  what: fc.constantFrom(...ACTS),
  file: fc.nat(2),
  at: fc.nat(40 * PAGE),
  length: fc.integer({ min: 1, max: 20 * PAGE }),
});
type Act = { readonly what: string; readonly file: number; readonly at: number; readonly length: number };

/** Makes a call through a descriptor of its own. @returns the size that the file has then */
function run(on: Ext4Host, { what, file, at, length }: Act, seed: number): number {
  const { task } = on;
  const fd = must(task.open(`/f${file}`, O_RDWR | O_CREAT));
  const page = at - (at % PAGE);
  const pages = Math.max(PAGE, length - (length % PAGE));
  const size = must(task.fstat(fd)).size;
  const calls: Record<string, () => unknown> = {
    write: () => task.pwrite(fd, Content.pattern(seed, length), at),
    append: () => task.pwrite(fd, Content.pattern(seed, length), size),
    truncate: () => task.ftruncate(fd, at),
    fallocate: () => task.fallocate(fd, 0, at, length),
    punch: () => task.fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, length),
    zero: () => task.fallocate(fd, FALLOC_FL_ZERO_RANGE, at, length),
    collapse: () => task.fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, page, pages),
    insert: () => task.fallocate(fd, FALLOC_FL_INSERT_RANGE, page, pages),
    fsync: () => task.fsync(fd),
    tick: () => on.clock.advance(seconds(40)),
    read: () => undefined,
  };
  calls[what]?.();
  task.close(fd);
  return must(task.stat(`/f${file}`)).size;
}

/** What a file is after such a call. */
function after(before: Uint8Array, { what, at, length }: Act, seed: number): Uint8Array {
  const size = before.length;
  const page = at - (at % PAGE);
  const pages = Math.max(PAGE, length - (length % PAGE));
  const sized = (bytes: number): Uint8Array => {
    const out = new Uint8Array(bytes);
    out.set(before.subarray(0, bytes));
    return out;
  };
  const longer = (end: number): Uint8Array => sized(Math.max(size, end));
  const joined = (...parts: Uint8Array[]): Uint8Array => Uint8Array.from(Buffer.concat(parts));
  if (what === "write" || what === "append") {
    const start = what === "write" ? at : size;
    const out = longer(start + length);
    out.set(Content.pattern(seed, length).toBytes(), start);
    return out;
  }
  if (what === "truncate") return sized(at);
  if (what === "fallocate") return longer(at + length);
  if (what === "punch") return sized(size).fill(0, at, at + length);
  if (what === "zero") return longer(at + length).fill(0, at, at + length);
  if (what === "collapse" && page + pages < size) return joined(before.subarray(0, page), before.subarray(page + pages));
  if (what === "insert" && page < size) return joined(before.subarray(0, page), new Uint8Array(pages), before.subarray(page));
  return before;
}

test("Files that are folded whenever they are written back hold what calls have put there, also after the power has failed", () => {
  fc.assert(
    fc.property(fc.constantFrom(16, 65_536), fc.array(act, { minLength: 5, maxLength: 20, size: "max" }), (memoryPages, acts) => {
      const on = new Ext4Host(ext4Disk(), { memoryPages });
      const model = new Map<number, Uint8Array>();
      for (const [seed, each] of acts.entries()) {
        model.set(each.file, after(model.get(each.file) ?? new Uint8Array(0), each, seed));
        expect([each, run(on, each, seed)]).toEqual([each, model.get(each.file)?.length]);
        on.check();
      }
      expect(on.fs.sync()).toBeUndefined();
      on.disk.powerCut();
      const later = new Ext4Host(on.disk);
      for (const [file, bytes] of model)
        expect([file, contentOf(later, `/f${file}`).equals(Content.literal(bytes))]).toEqual([file, true]);
      later.check();
    }),
    runs(60),
  );
});
