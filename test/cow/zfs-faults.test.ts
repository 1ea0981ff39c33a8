/**
 * A pool whose devices cannot be read or written from one command on, while one call or one command of zfs(8) is made on it: every command of the
 * devices in turn. The answer is the sound one or EIO, nothing breaks, and when the devices are sound again the pool is one that was before or is
 * after, whole.
 */
import { expect, test } from "vitest";
import { Disk } from "../../sim/block/disk.ts";
import { FaultyDevice } from "../../sim/block/faulty.ts";
import { Content } from "../../sim/core/content.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { deviceNumber, KIB, MIB } from "../../sim/core/units.ts";
import { checkPool, importPool } from "../../sim/cow/zfs/assemble.ts";
import { findDataset, zfsClone, zfsCreate, zfsPromote, zfsSet, zfsSnapshot } from "../../sim/cow/zfs/commands.ts";
import { zfsDestroy } from "../../sim/cow/zfs/destroy.ts";
import { zfsList } from "../../sim/cow/zfs/listing.ts";
import { mountDataset } from "../../sim/cow/zfs/mount.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import { zfsRename } from "../../sim/cow/zfs/rename.ts";
import { zfsRollback } from "../../sim/cow/zfs/rollback.ts";
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, type FileHandle, type Inode, S_IFLNK } from "../../sim/vfs/filesystem.ts";
import { Files, must, ZfsLab } from "./zfs-lab.ts";

/** Too long for a directory of one block. */
const LONG = "n".repeat(60);
const NEW = { mode: 0o100644, uid: 0, gid: 0, rdev: 0, target: "" };

/** A disk with a filesystem tank/a of every kind of block, its snapshot and a clone. */
function made(): Disk {
  const lab = new ZfsLab();
  const disk = new Disk({ size: MIB(96) });
  const pool = lab.create({ tops: [[disk]] });
  zfsCreate(pool, "tank/a", { recordsize: "512" });
  const files = new Files(lab, lab.mount(pool, "tank/a"));
  files.write("/small", Content.text("small"));
  // More than the pointers of one indirect block lead to.
  files.write("/large", Content.pattern(1, KIB(2)));
  files.write("/large", Content.pattern(2, KIB(4)), KIB(600));
  files.mkdir("/d");
  for (const name of ["one", "two", `three${LONG}`]) files.write(`/d/${name}`, Content.text(name));
  files.mkdir("/empty");
  const link = files.at("/link");
  must(files.fs.create(link.directory, link.name, { ...NEW, mode: S_IFLNK | 0o777, target: "small" }));
  zfsSnapshot(pool, "tank/a@first");
  files.write("/small", Content.text("second"));
  zfsSnapshot(pool, "tank/a@s");
  zfsClone(pool, "tank/a@s", "tank/clone");
  files.write("/small", Content.text("later"));
  // The file without a name has its dnode in another block than the root.
  for (let n = 0; n < 60; n++) files.make(`/d/f${n}`);
  must(files.fs.tmpfile(files.at("/x").directory, NEW));
  files.fs.unmount();
  // More than the root of the pool's tables holds beside their tree.
  for (let n = 0; n < 20; n++) expect(zfsCreate(pool, n === 0 ? "tank/b" : `tank/b${n}`)).toBeUndefined();
  expect(pool.export()).toBeUndefined();
  return disk;
}

interface Found {
  readonly lab: ZfsLab;
  readonly pool: Pool;
  readonly device: FaultyDevice;
  readonly disk: Disk;
}

function found(of: Disk): Found {
  const disk = of.clone({ silent: true });
  const device = new FaultyDevice(disk);
  const lab = new ZfsLab();
  return { lab, device, disk, pool: must(importPool({ clock: lab.clock, memory: MIB(64) }, [device])) };
}

/** Every dataset with a digest of its tree. */
function shown(of: Disk): string {
  const { lab, pool } = found(of);
  const rows: unknown[] = zfsList(pool, { columns: ["name", "origin", "atime"], type: "all" });
  for (const [name] of zfsList(pool, { columns: ["name"], type: "all" })) {
    const { fs } = new Files(lab, lab.mount(pool, name as string));
    const visit = (directory: Inode, path: string): void => {
      fs.iterate(directory, (entry, number) => {
        const inode = number as Inode;
        const at = `${path}/${lab.names.text(entry)}`;
        const content = fs.state.isDirectory(inode) || !isErrno(fs.readlink(inode)) ? "" : digest(fs.open(inode, 0), inode);
        rows.push([at, fs.mode(inode), content]);
        if (fs.state.isDirectory(inode)) visit(inode, at);
      });
    };
    const digest = (file: FileHandle | Errno, inode: Inode): string =>
      [0, 6].map((at) => must(fs.read(must(file), at * KIB(100), KIB(8))).sha256()).join(` ${fs.size(inode)} `);
    visit(fs.root, name as string);
    fs.check();
  }
  checkPool(pool);
  pool.stop();
  return JSON.stringify(rows);
}

/** Calls on tank/a, of which only the root has been looked at. */
const CALLS: Readonly<Record<string, (files: Files) => unknown>> = {
  "look up in a large directory": (files) => deep(files, "/d", (directory) => files.fs.lookup(directory, files.at("/one").name)),
  "list a directory": (files) => files.fs.iterate(files.fs.root, () => undefined),
  "list a large directory": (files) => deep(files, "/d", (inode) => files.fs.iterate(inode, () => undefined)),
  read: (files) => deep(files, "/large", (inode) => files.fs.read(opened(files, inode), 0, KIB(8))),
  "read behind a hole": (files) => deep(files, "/large", (inode) => files.fs.read(opened(files, inode), KIB(599), KIB(3))),
  "read a mapping": (files) => deep(files, "/large", (inode) => files.fs.readMapped(opened(files, inode), 0, KIB(8))),
  "seek data": (files) => deep(files, "/large", (inode) => files.fs.seek(opened(files, inode), KIB(16), false)),
  "write a part": (files) => deep(files, "/large", (inode) => files.fs.write(opened(files, inode), 10, Content.text("part"))),
  "write over several blocks": (files) =>
    deep(files, "/large", (inode) => files.fs.write(opened(files, inode), KIB(1) + 100, Content.pattern(9, KIB(2)))),
  "make a block larger": (files) =>
    deep(files, "/small", (inode) => files.fs.write(opened(files, inode), KIB(1), Content.text("more"))),
  "truncate to more": (files) => deep(files, "/small", (inode) => files.fs.setattr(inode, { size: KIB(3) })),
  "truncate within a block": (files) => deep(files, "/large", (inode) => files.fs.setattr(inode, { size: KIB(601) + 5 })),
  punch: (files) =>
    deep(files, "/large", (inode) =>
      files.fs.fallocate(opened(files, inode), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5, KIB(601)),
    ),
  "punch all": (files) =>
    deep(files, "/large", (inode) =>
      files.fs.fallocate(opened(files, inode), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, KIB(700)),
    ),
  create: (files) => deep(files, "/d", (directory) => files.fs.create(directory, files.at("/new").name, NEW)),
  "make a file without a name": (files) => files.fs.tmpfile(files.fs.root, NEW),
  link: (files) => deep(files, "/small", (inode) => deep(files, "/d", (to) => files.fs.link(inode, to, files.at("/new").name))),
  unlink: (files) => deep(files, "/d", (directory) => files.fs.unlink(directory, files.at("/one").name)),
  "unlink a large file": (files) => deep(files, "/large", () => files.unlink("/large")),
  rmdir: (files) => deep(files, "/empty", () => files.fs.rmdir(files.fs.root, files.at("/empty").name)),
  rename: (files) =>
    deep(files, "/small", () =>
      deep(files, "/d", (to) => files.fs.rename(files.fs.root, files.at("/small").name, to, files.at("/two").name, 0)),
    ),
  "rename a directory over another": (files) =>
    deep(files, "/d", () =>
      deep(files, "/empty", () => files.fs.rename(files.fs.root, files.at("/empty").name, files.fs.root, files.at("/d").name, 0)),
    ),
  "set times": (files) => deep(files, "/small", (inode) => files.fs.setattr(inode, { mode: 0o600 })),
};

function opened(files: Files, inode: Inode): FileHandle {
  return must(files.fs.open(inode, 0));
}

function deep(files: Files, path: string, work: (inode: Inode) => unknown): unknown {
  const inode = files.find(path);
  return isErrno(inode) ? inode : work(inode);
}

const COMMANDS: Readonly<Record<string, (of: Found) => unknown>> = {
  "mount, which frees what has no name": ({ lab, pool }) => mounted(lab, pool, "tank/a"),
  "mount of a snapshot": ({ lab, pool }) => mounted(lab, pool, "tank/a@s"),
  create: ({ pool }) => zfsCreate(pool, "tank/new"),
  snapshot: ({ pool }) => zfsSnapshot(pool, "tank/a@t"),
  clone: ({ pool }) => zfsClone(pool, "tank/a@s", "tank/other"),
  rollback: ({ pool }) => zfsRollback(pool, "tank/a@s"),
  promote: ({ pool }) => zfsPromote(pool, "tank/clone"),
  rename: ({ pool }) => zfsRename(pool, "tank/b", "tank/a/b"),
  "rename a snapshot": ({ pool }) => zfsRename(pool, "tank/a@s", "tank/a@r"),
  set: ({ pool }) => zfsSet(pool, "atime", "off", "tank/a"),
  "destroy a filesystem": ({ pool }) => zfsDestroy(pool, "tank/clone"),
  "destroy a snapshot": ({ pool }) => zfsDestroy(pool, "tank/a@first"),
};

function mounted(lab: ZfsLab, pool: Pool, name: string): Errno | undefined {
  const { clock, names, cache } = lab;
  const dataset = findDataset(pool, name);
  if (dataset === undefined) throw new Error(name);
  const made = mountDataset(pool, dataset, { clock, names, cache, device: deviceNumber(0, 9) });
  if (isErrno(made)) return made;
  expect(made.state.isDirectory(made.root)).toBe(true);
  return pool.syncIfDirty();
}

const DISK = made();
const BEFORE = shown(DISK);

/** How many of the commands of one call fail in turn, at most. */
const RUNS_MAX = { read: 4, write: 2, flush: 1 };

/** What a device's error may make a call or a command answer. */
const DECLARED = /EIO|pool I\/O is currently suspended/;

function answer(got: unknown): string {
  return isErrno(got) ? got.code : String(got);
}

/** What goes wrong where a command of the devices fails, and all after it. */
function faults(prepare: (of: Found) => () => unknown): unknown[] {
  const sound = found(DISK);
  const run = prepare(sound);
  sound.pool.arc.clear();
  const counted = { ...sound.disk.counters };
  const wanted = answer(run());
  expect(sound.pool.syncIfDirty()).toBeUndefined();
  sound.pool.stop();
  const { reads, writes, flushes } = sound.disk.counters;
  const commands = { read: reads - counted.reads, write: writes - counted.writes, flush: flushes - counted.flushes };
  const after = shown(sound.disk);
  const wrong: unknown[] = [];
  for (const on of ["read", "write", "flush"] as const) {
    for (let at = 1; at <= commands[on]; at += Math.ceil(commands[on] / RUNS_MAX[on])) {
      const of = found(DISK);
      const work = prepare(of);
      of.pool.arc.clear();
      of.device.inject({ on, at, times: Number.POSITIVE_INFINITY });
      const got = answer(work());
      of.pool.syncIfDirty();
      of.pool.stop();
      const isShort = Number(got) < Number(wanted);
      if (got !== wanted && !isShort && !DECLARED.test(got)) wrong.push([on, at, got, wanted]);
      of.device.heal();
      const left = isShort ? after : shown(of.disk);
      if (left !== BEFORE && left !== after) wrong.push([on, at, "is neither before nor after"]);
    }
  }
  return wrong;
}

test.each(Object.entries(CALLS))("to %s", (_, call) => {
  const prepare = ({ lab, pool }: Found): (() => unknown) => {
    const files = new Files(lab, lab.mount(pool, "tank/a"));
    return () => call(files);
  };
  expect(faults(prepare)).toEqual([]);
});

test.each(Object.entries(COMMANDS))("to %s", (_, command) => {
  expect(faults((of) => () => command(of))).toEqual([]);
});

test("to import", () => {
  const sound = DISK.counters.reads;
  const one = DISK.clone({ silent: true });
  const lab = new ZfsLab();
  must(importPool({ clock: lab.clock, memory: MIB(64) }, [one])).stop();
  const reads = one.counters.reads - sound;
  const answers = new Set<string>();
  for (let at = 1; at <= reads; at += 3) {
    const device = new FaultyDevice(DISK.clone({ silent: true }));
    device.inject({ on: "read", at, times: Number.POSITIVE_INFINITY });
    const got = importPool({ clock: lab.clock, memory: MIB(64) }, [device]);
    answers.add(isErrno(got) ? got.code : "a pool");
    if (!isErrno(got)) got.stop();
  }
  // Without a label there is none at all; what a log might have behind its end is not missed.
  expect([...answers].sort()).toEqual(["EIO", "ENOENT", "a pool"]);
});

test.each(Object.entries({ ...COMMANDS, "write a file": writeSome }))(
  "to %s: a group that finds no place for a block suspends the pool, and leaves the one before",
  (_, command) => {
    for (const at of [1, 2, 3, 5, 8, 13]) {
      const of = found(DISK);
      const { space } = of.pool.store;
      const allocate = space.allocate.bind(space);
      let asked = 0;
      space.allocate = (size, copies) => (++asked >= at ? undefined : allocate(size, copies));
      const got = answer(command(of));
      of.pool.syncIfDirty();
      of.pool.stop();
      if (asked < at) continue;
      expect(got === "undefined" || DECLARED.test(got), `allocation ${at}: ${got}`).toBe(true);
      expect(of.pool.failure?.code, `allocation ${at}`).toBe("EIO");
      expect(shown(of.disk) === BEFORE, `allocation ${at}`).toBe(true);
    }
  },
);

function writeSome({ lab, pool }: Found): unknown {
  const files = new Files(lab, lab.mount(pool, "tank/a"));
  files.write("/large", Content.pattern(5, KIB(2)), KIB(300));
  return undefined;
}
