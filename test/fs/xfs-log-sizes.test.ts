/**
 * How much the log takes: Linux 6.18 on 2 GiB, sectors that syncfs wrote behind each step once inodes without names were freed
 * (`log` of /sys/fs/xfs/DEVICE/stats/stats).
 */
import { expect, test } from "vitest";
import { GIB } from "../../sim/core/units.ts";
import type { Xfs } from "../../sim/fs/xfs/xfs.ts";
import { type Inode, inodeHandle, S_IFLNK } from "../../sim/vfs/filesystem.ts";
import { folder, type Lab, make, must } from "./disk-helpers.ts";
import { lab, ROOT } from "./xfs-helpers.ts";

class Steps {
  readonly on: Lab<Xfs> = lab(GIB(2));
  readonly a: Inode;
  readonly b: Inode;
  /** Of each step: what it was, the sectors that the kernel wrote, those written here. */
  readonly rows: [string, number, number][] = [];

  constructor() {
    must(this.on.fs.sync());
    this.a = this.step("mkdir a", 5, () => folder(this.on, ROOT, "a"));
    this.b = this.step("mkdir b", 5, () => folder(this.on, ROOT, "b"));
  }
  step<T>(what: string, sectors: number, act: () => T): T {
    const { disk, fs } = this.on;
    const result = act();
    const before = disk.counters.writtenBytes;
    must(fs.sync());
    this.rows.push([what, sectors, (disk.counters.writtenBytes - before) / 512]);
    return result;
  }
  create(count: number, from: number, sectors: number): void {
    this.step(`create ${count} behind ${from}`, sectors, () => {
      for (let n = from; n < from + count; n++) make(this.on, this.a, `f${n}`);
    });
  }
  /** Does something to every so many of the files [from, to). */
  each(what: string, sectors: number, files: readonly [number, number, number?], act: (name: string) => void): void {
    const [from, to, by = 1] = files;
    this.step(what, sectors, () => {
      for (let n = from; n < to; n += by) act(`f${n}`);
    });
  }
}

test("what changed of blocks since they were written in place is logged with each checkpoint: within a tenth, or two sectors, of what the kernel wrote", () => {
  const steps = new Steps();
  const { a, b, on } = steps;
  const { fs, names } = on;
  const named = (name: string) => names.intern(name);
  const unlink = (from: Inode) => (name: string) => must(fs.unlink(from, named(name)));
  const rename = (to: Inode, by: string) => (name: string) => must(fs.rename(a, named(name), to, named(by + name), 0));
  const chmod = (name: string) => must(fs.setattr(must(fs.lookup(a, named(name))), { mode: 0o600 }));
  steps.create(1, 0, 4);
  steps.create(1, 1, 4);
  steps.create(10, 2, 8);
  steps.create(50, 12, 33);
  steps.create(100, 62, 62);
  steps.create(1000, 162, 592);
  steps.create(3000, 1162, 1805);
  steps.create(1, 4162, 19);
  steps.each("unlink one", 19, [77, 78], unlink(a));
  steps.each("unlink a hundred", 86, [200, 300], unlink(a));
  steps.each("unlink every second", 685, [1000, 3000, 2], unlink(a));
  steps.each("chmod one", 2, [1, 2], chmod);
  steps.each("chmod a hundred", 52, [300, 400], chmod);
  steps.each("rename one", 22, [1, 2], rename(a, "g"));
  steps.each("rename a hundred elsewhere", 88, [300, 400], rename(b, ""));
  steps.each("unlink them all", 59, [300, 400], unlink(b));
  steps.step("rmdir b", 5, () => must(fs.rmdir(inodeHandle(ROOT), named("b"))));
  steps.step("mkdir two hundred", 136, () => {
    for (let n = 0; n < 200; n++) folder(on, ROOT, `d${n}`);
  });
  const d0 = must(fs.lookup(ROOT, named("d0")));
  steps.step("symlink a hundred", 71, () => {
    for (let n = 0; n < 100; n++) make(on, d0, `s${n}`, S_IFLNK | 0o777, "x".repeat(40));
  });
  const off = steps.rows.filter(([, wanted, got]) => Math.abs(got - wanted) > Math.max(2, wanted / 10));
  expect(off).toEqual([]);
  fs.check();
});

test("a checkpoint that has grown to an eighth of the log is written: on a log of 64 MiB behind about 29,200 new files", () => {
  const on = lab(GIB(2));
  must(on.fs.sync());
  const before = on.fs.counters.commits;
  let files = 0;
  for (; on.fs.counters.commits === before && files < 60_000; files++) {
    const n = files % 1000;
    const directory = n === 0 ? folder(on, ROOT, `d${files}`) : must(on.fs.lookup(ROOT, on.names.intern(`d${files - n}`)));
    make(on, directory, `f${n}`);
  }
  expect(Math.abs(files - 29_200) / 29_200).toBeLessThan(0.05);
  must(on.fs.sync());
  on.fs.check();
});
