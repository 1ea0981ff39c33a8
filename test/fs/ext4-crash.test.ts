/** A power cut at any device write leaves an ext4 that mounts, adds up, and holds what fsync promised. */
import { expect, test } from "vitest";
import type { CutChoice, Disk } from "../../sim/block/disk.ts";
import { keepAll, keepNone, keepRandom } from "../../sim/block/disk.ts";
import { DiskHistory } from "../../sim/block/history.ts";
import { assert } from "../../sim/core/assert.ts";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { Random } from "../../sim/core/random.ts";
import { seconds } from "../../sim/core/units.ts";
import { readRecord } from "../../sim/fs/ext4/records.ts";
import { type Attributes, O_RDONLY, O_RDWR } from "../../sim/vfs/filesystem.ts";
import { Ext4Host, ext4Disk, type MountOptions, put, readAll, value } from "./ext4-lab.ts";

/** What was promised of a path: its content, by the flush behind the `from`th write, up to the `until`th. */
interface Promise {
  readonly path: string;
  readonly content: Content;
  readonly from: number;
  until: number;
}

/** A run on a disk that is watched, with what its fsyncs promised. */
class Run {
  host: Ext4Host;
  readonly history: DiskHistory;
  readonly promises: Promise[] = [];
  readonly #options: MountOptions;
  readonly #current = new Map<string, Promise>();

  constructor(disk: Disk, options: MountOptions = {}) {
    this.#options = options;
    this.history = new DiskHistory(disk);
    this.host = new Ext4Host(disk, options);
  }

  /** The path's content is about to change, or the path to go: nothing is promised from here on. */
  release(path: string): void {
    for (const [known, promise] of this.#current) {
      if (known !== path && !known.startsWith(`${path}/`)) continue;
      promise.until = this.history.writes;
      this.#current.delete(known);
    }
  }

  /** What the file holds is durable now. */
  promised(path: string): void {
    this.release(path);
    const content = readAll(this.host.task, path);
    const promise = { path, content, from: this.history.writes, until: Number.POSITIVE_INFINITY };
    this.#current.set(path, promise);
    this.promises.push(promise);
  }

  fsync(path: string): void {
    const fd = value(this.host.task.open(path, O_RDONLY)) as number;
    value(this.host.task.fsync(fd));
    value(this.host.task.close(fd));
    this.promised(path);
  }

  remount(): void {
    this.host = this.host.remount(this.#options);
  }

  /** Mounts what a cut after `count` writes leaves, and looks. */
  expectWhole(count: number, choice: CutChoice, name: string): Disk {
    const image = this.history.imageAfter(count, choice);
    this.look(image, count, `${name} after write ${count} of ${this.history.writes}`);
    return image;
  }

  /** Mounts an image of a cut after `count` writes: it adds up, and holds what was promised then. */
  look(image: Disk, count: number, label: string): void {
    let after: Ext4Host;
    try {
      after = new Ext4Host(image);
      after.check();
    } catch (error) {
      throw new Error(`cut, ${label}: ${String(error)}`, { cause: error });
    }
    for (const promise of this.promises) {
      if (promise.from >= count || promise.until < count) continue;
      const found = after.task.lstat(promise.path);
      expect(isErrno(found) ? found.code : "there", `${label}: ${promise.path}`).toBe("there");
      const same = readAll(after.task, promise.path).equals(promise.content);
      expect(same, `${label}: the content of ${promise.path}, promised at ${promise.from}`).toBe(true);
    }
    after.unmount();
  }

  /** Cuts after every `step`th write, keeping everything, nothing, and some of what was not flushed. */
  expectAllWhole(step: number, seed: number): void {
    this.history.stop();
    const random = new Random(seed);
    for (let count = 0; count <= this.history.writes; count += step) {
      this.expectWhole(count, keepAll, "all kept");
      this.expectWhole(count, keepNone, "none kept");
      this.expectWhole(
        count,
        keepRandom(() => random.fraction()),
        `some kept (seed ${seed})`,
      );
    }
  }
}

/** Of what was not flushed only the journal reached the medium. */
function keepJournal(disk: Disk): CutChoice {
  const record = readRecord(disk, 0);
  assert(record !== undefined && "journal" in record, "the disk has a superblock");
  const blocks = new Set<number>();
  for (let at = 0; at < record.journal.length; at += 2)
    for (let n = 0; n < (record.journal[at + 1] as number); n++) blocks.add((record.journal[at] as number) + n);
  return (_write, sector) => blocks.has(Math.floor(sector / 8));
}

const NAMES = ["a", "b", "c", "d"];
const FOLDERS = ["", "/x", "/y"];

/** One random call; the rules of what stays promised are those of the call. */
function act(run: Run, random: Random): void {
  const { task } = run.host;
  const path = `${random.pick(FOLDERS)}/${random.pick(NAMES)}`;
  const to = `${random.pick(FOLDERS)}/${random.pick(NAMES)}`;
  const isThere = !isErrno(task.lstat(path));
  switch (random.below(12)) {
    case 0:
    case 1:
    case 2:
      run.release(path);
      put(task, path, Content.pattern(random.below(1000), 1 + random.below(40_000)), random.below(3) * random.below(60_000));
      return;
    case 3:
    case 4:
      if (isThere) run.fsync(path);
      return;
    case 5:
      run.release(path);
      task.unlink(path);
      return;
    case 6:
      run.release(path);
      run.release(to);
      task.rename(path, to);
      return;
    case 7:
      run.release(path);
      if (isThere) value(task.truncate(path, random.below(50_000)));
      return;
    case 8: {
      if (!isThere) return;
      run.release(path);
      const fd = value(task.open(path, O_RDWR)) as number;
      task.fallocate(fd, random.pick([0, 1, 3, 16]), random.below(50_000), 1 + random.below(50_000));
      value(task.close(fd));
      return;
    }
    case 9:
      if (isThere) value(task.setxattr(path, "user.long", new Uint8Array(random.below(3000)).fill(random.below(256))));
      return;
    case 10:
      run.host.clock.advance(seconds(random.below(12)));
      return;
    default:
      // One that is opened, loses its name, and is closed later or never.
      run.release(path);
      if (isThere) task.open(path, O_RDONLY);
      task.unlink(path);
      for (const fd of task.files.descriptors()) if (random.below(2) === 0) task.close(fd);
      if (random.below(4) === 0) value(task.syncfs());
  }
}

function randomRun(seed: number, steps: number, options: MountOptions = {}): Run {
  const run = new Run(ext4Disk(), options);
  const random = new Random(seed);
  for (const folder of FOLDERS.slice(1)) value(run.host.task.mkdir(folder));
  for (let n = 0; n < steps; n++) {
    act(run, random);
    if (n % 60 === 59) {
      run.host.check();
      run.remount();
    }
  }
  return run;
}

test.each([1, 2, 3, 4, 5, 6])("a power cut after any write of a random run loses nothing that was promised (seed %i)", (seed) => {
  randomRun(seed, 60).expectAllWhole(seed % 2 === 0 ? 1 : 3, seed);
});

test.each([11, 12, 13])("so it is with the discard option, and in little memory (seed %i)", (seed) => {
  randomRun(seed, 120, { discard: true, memoryPages: 8 }).expectAllWhole(9, seed);
});

test("a journal that is full writes its blocks in place before it begins anew, those too that the running transaction frees", () => {
  const run = new Run(ext4Disk());
  const { task, fs } = run.host;
  put(task, "/file", Content.text("a"));
  value(task.syncfs());
  const begun = run.history.writes + 1;
  const fd = value(task.open("/file", O_RDWR)) as number;
  for (let n = 0; n < 180; n++) {
    value(task.fchmod(fd, 0o600));
    value(task.fsetxattr(fd, "user.long", new Uint8Array(2000).fill(n + 1)));
    value(task.fsync(fd));
    value(task.fchmod(fd, 0o644));
    value(task.fremovexattr(fd, "user.long"));
    value(task.fsync(fd));
  }
  const { logBlocks } = (fs as unknown as { counters: { logBlocks: number } }).counters;
  expect(logBlocks).toBeGreaterThan(1100);
  run.history.stop();
  const random = new Random(5);
  const journalAlone = keepJournal(run.host.disk);
  // Every other write, so that each choice meets writes of every kind.
  for (let count = begun; count <= run.history.writes; count += 2) {
    const choices = [keepNone, keepRandom(() => random.fraction()), journalAlone];
    const image = run.expectWhole(count, choices[count % 3] as CutChoice, "full journal");
    const after = new Ext4Host(image);
    const { mode } = value(after.task.stat("/file")) as Attributes;
    const long = after.task.getxattr("/file", "user.long");
    if (mode % 0o1000 === 0o600) expect(isErrno(long) ? long.code : long.length, `write ${count}`).toBe(2000);
    else expect(isErrno(long) ? long.code : long.length, `write ${count}`).toBe("ENODATA");
  }
});

test("a power cut while a mount recovers is recovered by the next mount", () => {
  const run = randomRun(21, 55);
  run.history.stop();
  const random = new Random(21);
  let recoveries = 0;
  for (let count = 5; count <= run.history.writes; count += 5) {
    const image = run.history.imageAfter(count, keepNone);
    const recovery = new DiskHistory(image);
    const first = new Ext4Host(image);
    first.check();
    if (recovery.writes > 1) recoveries += 1;
    for (let n = 0; n <= recovery.writes; n++) {
      run.look(recovery.imageAfter(n, keepNone), count, `none kept of recovery's ${n} writes`);
      run.look(
        recovery.imageAfter(
          n,
          keepRandom(() => random.fraction()),
        ),
        count,
        `some kept of recovery's ${n} writes`,
      );
    }
  }
  expect(recoveries).toBeGreaterThan(3);
});

test("what was open without a name is freed by the mount after a cut, with all its blocks", () => {
  const run = new Run(ext4Disk());
  const { task, fs } = run.host;
  value(task.mkdir("/stays"));
  value(task.syncfs());
  const { blocksFree, filesFree } = fs.statfs();
  put(task, "/file", Content.pattern(1, 300_000));
  value(task.setxattr("/file", "user.long", new Uint8Array(2000)));
  value(task.symlink("z".repeat(100), "/soft"));
  value(task.mkdir("/folder"));
  for (let n = 0; n < 60; n++) value(task.mknod(`/folder/${n}${"-".repeat(200)}`, 0o644));
  for (let n = 0; n < 60; n++) value(task.unlink(`/folder/${n}${"-".repeat(200)}`));
  for (const path of ["/file", "/folder"]) value(task.open(path, O_RDONLY));
  value(task.open("/", 0o20200002));
  value(task.syncfs());
  value(task.unlink("/file"));
  value(task.unlink("/soft"));
  value(task.rmdir("/folder"));
  const fd = value(task.open("/", O_RDONLY)) as number;
  value(task.fsync(fd));
  run.history.stop();
  const after = new Ext4Host(run.history.imageAfter(run.history.writes, keepAll));
  after.check();
  expect(after.fs.statfs().filesFree).toBe(filesFree);
  expect(after.fs.statfs().blocksFree).toBe(blocksFree);
});

test("on a full disk freed blocks hold their old bytes until the commit that frees them", () => {
  const run = new Run(ext4Disk(8 * 2 ** 20), { memoryPages: 16 });
  const { task, clock } = run.host;
  const random = new Random(8);
  for (let n = 0; n < 60; n++) {
    const path = `/file ${random.below(12)}`;
    run.release(path);
    if (random.below(3) === 0) task.unlink(path);
    else {
      const fd = value(task.open(path, 0o102)) as number;
      const answer = task.pwrite(fd, Content.pattern(n, 1 + random.below(1_500_000)), random.below(200_000));
      expect(isErrno(answer) ? answer.code : "ok").toMatch(/ok|ENOSPC/);
      value(task.close(fd));
      if (random.below(2) === 0) run.fsync(path);
    }
    if (random.below(6) === 0) clock.advance(seconds(6));
    run.host.check();
  }
  run.expectAllWhole(11, 8);
});

test("a file's data is on the disk before the transaction that maps it, and its size follows the data", () => {
  const run = new Run(ext4Disk());
  const { task } = run.host;
  const first = Content.pattern(1, 30_000);
  // The first transaction of a log flushes once more, for the log's superblock: it is not the one to look at.
  value(task.mkdir("/before"));
  value(task.fsync(value(task.open("/before", O_RDONLY)) as number));
  put(task, "/late", Content.pattern(2, 30_000));
  put(task, "/new", first);
  value(task.fsync(value(task.open("/new", O_RDONLY)) as number));
  run.history.stop();
  const content = readAll(task, "/new");
  for (let count = 0; count <= run.history.writes; count++) {
    for (const choice of [keepAll, keepJournal(run.host.disk)]) {
      const after = new Ext4Host(run.history.imageAfter(count, choice));
      const found = after.task.stat("/new");
      if (!isErrno(found) && found.size > 0) expect(readAll(after.task, "/new").equals(content), `write ${count}`).toBe(true);
      const late = after.task.stat("/late");
      // Nothing has written its pages: it is committed empty.
      if (!isErrno(late)) expect(late.size).toBe(0);
    }
  }
});

test("on a full disk blocks that metadata had hold data, and data of a file whose removal is not durable stays", () => {
  const run = new Run(ext4Disk(8 * 2 ** 20), { memoryPages: 16 });
  const { task, fs, clock } = run.host;
  for (let n = 0; n < 150; n++) {
    value(task.mknod(`/attributes ${n}`, 0o644));
    value(task.setxattr(`/attributes ${n}`, "user.long", new Uint8Array(2000).fill(n)));
  }
  put(task, "/old", Content.pattern(5, 400_000));
  run.fsync("/old");
  const old = readAll(task, "/old");
  put(task, "/rest", Content.pattern(6, fs.statfs().blocksFree * 4096));
  value(task.syncfs());
  const begun = run.history.writes + 1;
  run.release("/old");
  value(task.unlink("/old"));
  put(task, "/data", Content.pattern(7, 400_000));
  run.fsync("/data");
  for (let n = 0; n < 150; n++) value(task.removexattr(`/attributes ${n}`, "user.long"));
  clock.advance(seconds(6));
  put(task, "/more", Content.pattern(8, 600_000));
  run.fsync("/more");
  value(task.syncfs());
  run.host.check();
  run.history.stop();
  for (let count = begun; count <= run.history.writes; count++) {
    for (const choice of [keepAll, keepNone]) {
      const image = run.expectWhole(count, choice, "full disk");
      const after = new Ext4Host(image);
      if (!isErrno(after.task.stat("/old"))) expect(readAll(after.task, "/old").equals(old), `write ${count}`).toBe(true);
    }
  }
});
