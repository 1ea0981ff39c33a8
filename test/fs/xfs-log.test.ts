/**
 * The log of xfs where it is hard: checkpoints of many records, a log that has gone round, buffers that were freed and used for something else, and
 * devices that fail while it is replayed.
 */
import { expect, test } from "vitest";
import { Disk } from "../../sim/block/disk.ts";
import { FaultyDevice } from "../../sim/block/faulty.ts";
import { Content } from "../../sim/core/content.ts";
import { EBUSY, EIO, isErrno } from "../../sim/core/errno.ts";
import { bytes, MIB } from "../../sim/core/units.ts";
import { growXfs } from "../../sim/fs/xfs/grow.ts";
import { mkfsXfs } from "../../sim/fs/xfs/mkfs.ts";
import { mountXfs } from "../../sim/fs/xfs/mount.ts";
import type { Xfs } from "../../sim/fs/xfs/xfs.ts";
import { fileHandle, type Inode, S_IFMT } from "../../sim/vfs/filesystem.ts";
import { folder, type Mounted, make, must, onOwnHost, put } from "./disk-helpers.ts";
import { lab, mounted, ROOT } from "./xfs-helpers.ts";

/** The modes that the files of a folder have, each once. */
function modes(on: Mounted<Xfs>): number[] {
  const found = new Set<number>();
  const directory = must(on.fs.lookup(on.fs.root, on.names.intern("d")));
  on.fs.iterate(directory, (_name, inode) => void found.add(on.fs.mode(inode as Inode) & ~S_IFMT));
  return [...found];
}
function filled(on: Mounted<Xfs>, files: number): void {
  const directory = folder(on, on.fs.root, "d");
  for (let n = 0; n < files; n++) make(on, directory, `f${n}`);
  must(on.fs.sync());
}
function chmodAll(on: Mounted<Xfs>, mode: number): void {
  const directory = must(on.fs.lookup(on.fs.root, on.names.intern("d")));
  on.fs.iterate(directory, (_name, inode) => void must(on.fs.setattr(inode as Inode, { mode })));
}

test("a checkpoint of many records is replayed whole or not at all, whichever of its writes fails", () => {
  const made = lab(MIB(300));
  filled(made, 800);
  chmodAll(made, 1);
  must(made.fs.sync());
  let failures = 0;
  for (let at = 1; ; at++) {
    const disk = made.disk.clone();
    disk.powerCut(() => true);
    const device = new FaultyDevice(disk);
    const on = onOwnHost((environment) => mountXfs(device, environment));
    chmodAll(on, 2);
    device.inject({ on: "write", at, times: Number.POSITIVE_INFINITY });
    const failed = on.fs.sync();
    disk.powerCut(() => true);
    const again = mounted(disk);
    again.fs.check();
    expect(modes(again)).toEqual([failed === undefined ? 2 : 1]);
    if (failed === undefined) break;
    expect(failed).toBe(EIO);
    failures += 1;
  }
  expect(failures).toBeGreaterThan(5);
});

test("a log that has gone round is replayed across its end", () => {
  // A stripe unit of 256 KiB is what each record takes of a log of 64 MiB.
  const on = lab(MIB(1024), { stripe: { unit: 64, width: 128 } });
  filled(on, 30);
  let blocks = 0;
  const checked: number[] = [];
  for (let round = 1; blocks < 18_000; round++) {
    chmodAll(on, round);
    must(on.fs.sync());
    blocks = on.fs.counters.logBlocks;
    if (round % 40 !== 0 && (blocks < 16_100 || blocks > 16_700)) continue;
    const disk = on.disk.clone();
    disk.powerCut(() => false);
    const again = mounted(disk);
    again.fs.check();
    checked.push(round);
    expect(modes(again)).toEqual([round]);
    // The next mount goes on where recovery ended, in either half of the round.
    chmodAll(again, 7);
    must(again.fs.sync());
    disk.powerCut(() => false);
    expect(modes(mounted(disk))).toEqual([7]);
  }
  expect(checked.length).toBeGreaterThan(10);
});

test("a folder's block that was freed and became a file's is not replayed over the file's data (XFS_BLF_CANCEL)", () => {
  const on = lab(MIB(300));
  const [directory, other] = [folder(on, ROOT, "d"), folder(on, ROOT, "other")];
  // The other folder's block is what keeps the checkpoint in the log.
  for (let n = 0; n < 60; n++) for (const into of [directory, other]) make(on, into, `name-of-a-file-${n}`);
  must(on.fs.sync());
  for (let n = 0; n < 60; n++) must(on.fs.unlink(directory, on.names.intern(`name-of-a-file-${n}`)));
  must(on.fs.sync());
  // So few that the folder needs no block again: one of them lies where it was.
  const files = Array.from({ length: 8 }, (_, n) => make(on, directory, `f${n}`));
  for (const [n, file] of files.entries()) {
    put(on, file, 0, Content.pattern(n, 4096));
    must(on.fs.fsync(fileHandle(file), false));
  }
  on.disk.powerCut(() => false);
  const again = mounted(on.disk);
  again.fs.check();
  const found = must(again.fs.lookup(again.fs.root, again.names.intern("d")));
  for (const n of files.keys()) {
    const file = must(again.fs.lookup(found, again.names.intern(`f${n}`)));
    expect(must(again.fs.read(fileHandle(file), 0, 4096)).equals(Content.pattern(n, 4096))).toBe(true);
  }
});

/** A disk whose log must be replayed. */
function dirty(size: number = MIB(300)): Disk {
  const on = lab(size);
  make(on, ROOT, "f");
  must(on.fs.sync());
  on.disk.powerCut(() => false);
  return on.disk;
}

test("a log that cannot be replayed is an EIO of the mount, and nothing is lost", () => {
  const disk = dirty();
  for (const on of ["write", "flush"] as const) {
    const device = new FaultyDevice(disk.clone(), [{ on, times: Number.POSITIVE_INFINITY }]);
    expect(() => onOwnHost((environment) => mountXfs(device, environment))).toThrow("EIO");
  }
  const again = mounted(disk);
  expect(isErrno(again.fs.lookup(ROOT, again.names.intern("f")))).toBe(false);
});

test("whichever read of a mount fails, it is an EIO or needs nothing of it", () => {
  const on = lab(MIB(300));
  for (let n = 0; n < 80; n++) {
    const file = make(on, ROOT, `f${n}`);
    on.fs.hold(file);
    must(on.fs.unlink(ROOT, on.names.intern(`f${n}`)));
  }
  must(on.fs.sync());
  on.disk.powerCut(() => false);
  let failures = 0;
  for (let at = 1; ; at++) {
    const disk = on.disk.clone();
    const device = new FaultyDevice(disk, [{ on: "read", at }]);
    let failed = "";
    try {
      onOwnHost((environment) => mountXfs(device, environment));
    } catch (error) {
      failed = (error as Error).message;
    }
    if (device.failed === 0) break;
    if (failed !== "") failures += 1;
    expect(failed).toMatch(/^$|got EIO$/);
    mounted(disk).fs.check();
  }
  expect(failures).toBeGreaterThan(20);
});

test("inodes without names leave their chain in any order", () => {
  const on = lab(MIB(300));
  const files = Array.from({ length: 200 }, (_, n) => make(on, ROOT, `f${n}`));
  for (const [n, file] of files.entries()) {
    on.fs.hold(file);
    must(on.fs.unlink(ROOT, on.names.intern(`f${n}`)));
  }
  on.fs.check();
  for (const by of [3, 2, 1]) {
    for (let n = 0; n < files.length; n += by) {
      const [file] = files.splice(n, 1) as [Inode];
      on.fs.drop(file);
    }
    on.fs.check();
  }
  must(on.fs.sync());
  on.disk.powerCut(() => false);
  const again = mounted(on.disk);
  again.fs.check();
  expect(again.fs.statfs().filesFree).toBe(lab(MIB(300)).fs.statfs().filesFree);
});

test("a filesystem is not grown while its log is to be replayed or cannot be read", () => {
  const disk = new Disk({ size: MIB(600) });
  disk.write(bytes(0), must(dirty().read(bytes(0), bytes(MIB(300)))));
  const { clock } = lab(MIB(300));
  expect(growXfs(disk, clock)).toBe(EBUSY);
  must(mounted(disk).fs.unmount());
  for (let at = 2; at <= 8; at++) expect(growXfs(new FaultyDevice(disk.clone(), [{ on: "read", at }]), clock)).toBe(EIO);
  expect(growXfs(disk, clock)).toBeUndefined();
  mounted(disk).fs.check();
});

test("what the timer cannot write shuts the filesystem down", () => {
  const disk = new Disk({ size: MIB(300) });
  must(mkfsXfs(disk));
  const device = new FaultyDevice(disk);
  const on = onOwnHost((environment) => mountXfs(device, environment));
  const file = make(on, ROOT, "f");
  device.inject({ on: "flush", times: Number.POSITIVE_INFINITY });
  on.clock.advance((31 * 1e9) as never);
  device.heal();
  expect(on.fs.setattr(file, { mode: 0o600 })).toBe(EIO);
  expect(on.fs.projects.setProject(file, 7, false)).toBe(EIO);
  expect(on.fs.unmount()).toBe(EIO);
  mounted(disk).fs.check();
});

test("an unmount that cannot write what is dirty says so", () => {
  const disk = new Disk({ size: MIB(300) });
  must(mkfsXfs(disk));
  const device = new FaultyDevice(disk);
  const on = onOwnHost((environment) => mountXfs(device, environment));
  put(on, make(on, ROOT, "f"), 0, Content.pattern(1, 100));
  device.inject({ on: "write" });
  expect(on.fs.unmount()).toBe(EIO);
  mounted(disk).fs.check();
});

test("a log record that reaches the end of the log goes on at its beginning, and is replayed whole", () => {
  const on = lab(MIB(300));
  filled(on, 1500);
  const logged = (): number => on.fs.counters.logBlocks * 4096;
  let [mode, checked] = [0, 0];
  while (logged() < MIB(66)) {
    mode += 1;
    chmodAll(on, mode);
    must(on.fs.sync());
    if (logged() < MIB(63)) continue;
    const disk = on.disk.clone();
    disk.powerCut(() => false);
    expect(modes(mounted(disk))).toEqual([mode]);
    checked += 1;
  }
  expect(checked).toBeGreaterThan(4);
});
