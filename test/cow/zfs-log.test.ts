/**
 * The intent log: what it brings back after a power cut, whose it is when there are snapshots and clones, and what an fsync does when no log block
 * can be had (module/zfs/zil.c, zfs_log.c, zfs_replay.c).
 */
import { describe, expect, test } from "vitest";
import { Disk, keepNone } from "../../sim/block/disk.ts";
import { FaultyDevice } from "../../sim/block/faulty.ts";
import { Content } from "../../sim/core/content.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { KIB, MIB } from "../../sim/core/units.ts";
import { checkPool, importPool } from "../../sim/cow/zfs/assemble.ts";
import { zfsClone, zfsCreate, zfsSet, zfsSnapshot } from "../../sim/cow/zfs/commands.ts";
import { zfsDestroy } from "../../sim/cow/zfs/destroy.ts";
import { zfsGet } from "../../sim/cow/zfs/listing.ts";
import { mountDataset } from "../../sim/cow/zfs/mount.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import { OPENZFS_2_1, ZFS_V23, type ZfsProfile } from "../../sim/cow/zfs/profile.ts";
import { SIZE } from "../../sim/cow/zfs/records.ts";
import { zfsRollback } from "../../sim/cow/zfs/rollback.ts";
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, type Inode, newAttributes, S_IFLNK } from "../../sim/vfs/filesystem.ts";
import { afterCut, againAfterCut as again, Files, must, ZfsLab } from "./zfs-lab.ts";

interface Machine {
  readonly lab: ZfsLab;
  readonly disk: Disk;
  readonly device: FaultyDevice;
  readonly pool: Pool;
  /** Of tank/a. */
  readonly files: Files;
}

function machine(profile: ZfsProfile = OPENZFS_2_1): Machine {
  const lab = new ZfsLab();
  const disk = new Disk({ size: MIB(128) });
  const device = new FaultyDevice(disk);
  const pool = lab.create({ tops: [[device]], profile });
  expect(zfsCreate(pool, "tank/a")).toBeUndefined();
  return { lab, disk, device, pool, files: new Files(lab, lab.mount(pool, "tank/a")) };
}

function text(words: string): Content {
  return Content.text(words);
}

function fsync(files: Files, path: string): Errno | undefined {
  const handle = must(files.fs.open(must(files.find(path)), 0));
  const failed = files.fs.fsync(handle, false);
  files.fs.close(handle, 0);
  return failed;
}

/** Writes a file and makes it durable. */
function put(files: Files, path: string, words: string): void {
  must(files.write(path, text(words)));
  expect(fsync(files, path)).toBeUndefined();
}

/** A chain has begun, and what was made before is in a group. */
function begun(profile?: ZfsProfile): Machine {
  const made = machine(profile);
  put(made.files, "/f", "one");
  return made;
}

function read(files: Files, path: string): string | undefined {
  return isErrno(files.find(path)) ? undefined : files.read(path).toText();
}

describe.each([OPENZFS_2_1, ZFS_V23])("of $name", (profile) => {
  test("is no part of a snapshot: a clone has nothing that came later, and takes no block of the log", () => {
    const { lab, pool, files } = begun(profile);
    put(files, "/f", "two");
    zfsSnapshot(pool, "tank/a@s");
    put(files, "/f", "three");
    zfsClone(pool, "tank/a@s", "tank/b");
    const clone = new Files(lab, lab.mount(pool, "tank/b"));
    expect(read(clone, "/f")).toBe("two");
    checkPool(pool);
    put(files, "/f", "four");
    clone.fs.unmount();
    files.fs.unmount();
    checkPool(pool);
    // Of the clone, which wrote nothing, there is no log.
    expect(pool.store.logBytes).toBe(4096);
  });

  test("is no part of what a rollback goes back to", () => {
    const { lab, pool, files } = begun(profile);
    zfsSnapshot(pool, "tank/a@s");
    put(files, "/f", "later");
    files.fs.unmount();
    expect(zfsRollback(pool, "tank/a@s")).toBeUndefined();
    expect(read(new Files(lab, lab.mount(pool, "tank/a")), "/f")).toBe("one");
    checkPool(pool);
  });

  test("goes with its filesystem, or with a rollback of it, when it was never replayed", () => {
    const { disk, pool, files } = begun(profile);
    zfsSnapshot(pool, "tank/a@s");
    put(files, "/f", "two");
    put(files, "/f", "three");
    for (const command of [
      (found: Pool) => zfsRollback(found, "tank/a@s"),
      (found: Pool) => zfsDestroy(found, "tank/a", { recursive: true }),
    ]) {
      const found = afterCut(disk);
      expect(found.pool.store.logBytes).toBeGreaterThan(0);
      expect(command(found.pool)).toBeUndefined();
      expect(found.pool.store.logBytes).toBe(0);
      checkPool(found.pool);
      expect(found.pool.export()).toBeUndefined();
      checkPool(must(new ZfsLab().import([found.disk])));
    }
  });

  test("is replayed on a filesystem that can only be read, where files without names wait for a mount that can be written", () => {
    const { disk, pool, files } = begun(profile);
    const { directory } = files.at("/");
    must(files.fs.tmpfile(directory, { mode: 0o100600, uid: 0, gid: 0, rdev: 0, target: "" }));
    pool.syncIfDirty();
    put(files, "/f", "two");
    const found = afterCut(disk);
    expect(zfsSet(found.pool, "readonly", "on", "tank/a")).toBeUndefined();
    const before = new Files(found.lab, found.lab.mount(found.pool, "tank/a"));
    expect(read(before, "/f")).toBe("two");
    expect(before.write("/f", text("three"))).toMatchObject({ code: "EROFS" });
    expect(before.fs.state.set.unlinked.size).toBe(1);
    before.fs.unmount();
    expect(zfsSet(found.pool, "readonly", "off", "tank/a")).toBeUndefined();
    const after = new Files(found.lab, found.lab.mount(found.pool, "tank/a"));
    expect(after.fs.state.set.unlinked.size).toBe(0);
    after.fs.check();
    checkPool(found.pool);
  });

  test("leaves the block that was to be the next, for the next mount and as long as there is the filesystem", () => {
    const { lab, pool, files } = begun(profile);
    put(files, "/f", "two");
    zfsSet(pool, "readonly", "on", "tank/a");
    expect(files.fs.unmount()).toBeUndefined();
    expect(pool.store.logBytes).toBe(4096);
    checkPool(pool);
    zfsSet(pool, "readonly", "off", "tank/a");
    const again = new Files(lab, lab.mount(pool, "tank/a"));
    pool.syncIfDirty();
    const { groups } = pool.counters;
    put(again, "/f", "three");
    expect(pool.counters.groups).toBe(groups);
    again.fs.unmount();
    expect(pool.store.logBytes).toBe(4096);
    expect(zfsDestroy(pool, "tank/a", { recursive: true })).toBeUndefined();
    expect(pool.store.logBytes).toBe(0);
    checkPool(pool);
  });
});

test("a snapshot of version 23 ends the chain, so that the next fsync has a group written; one of OpenZFS leaves it", () => {
  for (const [profile, groups] of [
    [ZFS_V23, 1],
    [OPENZFS_2_1, 0],
  ] as const) {
    const { pool, files } = begun(profile);
    zfsSnapshot(pool, "tank/a@s");
    const before = pool.counters.groups;
    put(files, "/f", "two");
    expect(pool.counters.groups - before, profile.name).toBe(groups);
  }
});

test("version 23 takes no snapshot of a filesystem whose log was not replayed; OpenZFS does", () => {
  for (const [profile, said] of [
    [ZFS_V23, "cannot create snapshot 'tank/a@s': dataset is busy"],
    [OPENZFS_2_1, undefined],
  ] as const) {
    const { disk, files } = begun(profile);
    put(files, "/f", "two");
    const { lab, pool } = afterCut(disk);
    expect(zfsSnapshot(pool, "tank/a@s")).toBe(said);
    lab.mount(pool, "tank/a").unmount();
    expect(zfsSnapshot(pool, "tank/a@t")).toBeUndefined();
    checkPool(pool);
  }
});

describe("a replay", () => {
  /** Each call on files of a group that is written, and what is to be seen of it after a power cut. */
  const CALLS: Readonly<Record<string, (files: Files, at: (path: string) => Inode) => unknown>> = {
    write: (files) => files.write("/a", text("AB"), 1),
    "write behind the end": (files) => files.write("/a", text("end"), 300_000),
    mkdir: (files) => files.mkdir("/d/e"),
    symlink: (files) => {
      const { directory, name } = files.at("/s");
      return files.fs.create(directory, name, { mode: S_IFLNK | 0o777, uid: 1, gid: 2, rdev: 0, target: "a" });
    },
    link: (files, at) => {
      const { directory, name } = files.at("/d/l");
      return files.fs.link(at("/a"), directory, name);
    },
    unlink: (files) => files.unlink("/b"),
    rename: (files) => {
      const [from, to] = [files.at("/b"), files.at("/d/b")];
      return files.fs.rename(from.directory, from.name, to.directory, to.name, 0);
    },
    "rename over another": (files) => {
      const [from, to] = [files.at("/a"), files.at("/b")];
      return files.fs.rename(from.directory, from.name, to.directory, to.name, 0);
    },
    truncate: ({ fs }, at) => fs.setattr(at("/a"), { size: 3 }),
    "truncate to more": ({ fs }, at) => fs.setattr(at("/a"), { size: 500_000 }),
    punch: ({ fs }, at) => {
      const file = must(fs.open(at("/a"), 0));
      const failed = fs.fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2, 2);
      fs.close(file, 0);
      return failed;
    },
    chmod: ({ fs }, at) => fs.setattr(at("/a"), { mode: 0o4711 }),
    chown: ({ fs }, at) => fs.setattr(at("/a"), { uid: 5, gid: 6 }),
    "set times": ({ fs }, at) =>
      fs.setattr(at("/a"), { atime: { seconds: 11, nanoseconds: 0 }, mtime: { seconds: 12, nanoseconds: 5 } }),
    "remove an attribute": ({ fs }, at) => fs.removexattr(at("/b"), "user.k"),
  };

  function bytesOf(fs: Files["fs"], inode: Inode, size: number): string {
    const handle = must(fs.open(inode, 0));
    const bytes = must(fs.read(handle, 0, size)).sha256();
    fs.close(handle, 0);
    return bytes;
  }

  function shown(files: Files, lab: ZfsLab): string[] {
    const rows: string[] = [];
    const { fs } = files;
    const visit = (directory: Inode, path: string): void => {
      fs.iterate(directory, (name, number) => {
        const inode = number as Inode;
        const of = newAttributes();
        fs.getattr(inode, of);
        const { mode, uid, gid, nlink, size, atime, mtime } = of;
        const xattrs = (must(fs.listxattr(inode)) as string[]).map((key) => [key, String(fs.getxattr(inode, key))]);
        const content = fs.state.isDirectory(inode) ? "" : fs.readlink(inode);
        const bytes = isErrno(content) ? bytesOf(fs, inode, size) : content;
        const at = `${path}/${lab.names.text(name)}`;
        rows.push(JSON.stringify([at, mode, uid, gid, nlink, size, [atime.seconds, mtime.seconds], xattrs, bytes]));
        if (fs.state.isDirectory(inode)) visit(inode, at);
      });
    };
    visit(fs.root, "");
    return rows.sort();
  }

  test.each(Object.entries(CALLS))("does %s again", (_, call) => {
    const { lab, disk, files, pool } = machine();
    put(files, "/begin", "");
    for (const path of ["/a", "/b"]) {
      files.write(path, text(path.repeat(4)));
      must(files.fs.setxattr(must(files.find(path)), "user.k", text("old").toBytes(), 0) ?? true);
    }
    files.mkdir("/d");
    pool.syncIfDirty();
    const before = shown(files, lab);
    const groups = pool.counters.groups;
    const target = must(files.find("/a"));
    const held = must(files.fs.open(must(files.find("/b")), 0));
    expect(isErrno(call(files, (path) => must(files.find(path))))).toBe(false);
    const wanted = shown(files, lab);
    expect(wanted).not.toEqual(before);
    for (const inode of [target, held]) expect(files.fs.state.dataset.commitIntents(inode)).toBeUndefined();
    files.fs.close(held, 0);
    expect(pool.counters.groups).toBe(groups);
    const found = afterCut(disk);
    const replayed = new Files(found.lab, found.lab.mount(found.pool, "tank/a"));
    expect(shown(replayed, found.lab)).toEqual(wanted);
    expect(replayed.fs.state.set.numbers.freeze()).toEqual(files.fs.state.set.numbers.freeze());
    replayed.fs.check();
    checkPool(found.pool);
  });

  test("passes over what was written to a file that another took the place of", () => {
    const { disk, files } = begun();
    files.write("/old", text("old"));
    const held = must(files.fs.open(must(files.find("/old")), 0));
    fsync(files, "/f");
    files.write("/old", text("later"));
    files.write("/new", text("new"));
    const [from, to] = [files.at("/new"), files.at("/old")];
    files.fs.rename(from.directory, from.name, to.directory, to.name, 0);
    expect(files.fs.fsync(held, false)).toBeUndefined();
    const replayed = again(disk);
    expect(read(replayed, "/old")).toBe("new");
    expect(replayed.fs.state.set.word(held, SIZE)).toBe(0);
  });

  test("that is cut off itself goes on where the last group had come to", () => {
    const { disk, files } = begun();
    for (let n = 0; n < 8; n++) {
      files.write(`/${n}`, Content.pattern(n, 100_000));
      const [from, to] = [files.at(`/${n}`), files.at(`/${n}.done`)];
      files.fs.rename(from.directory, from.name, to.directory, to.name, 0);
    }
    expect(fsync(files, "/f")).toBeUndefined();
    const wanted = Array.from({ length: 8 }, (_, n) => Content.pattern(n, 100_000).sha256());
    const contents = (of: Files): string[] => wanted.map((_, n) => of.read(`/${n}.done`).sha256());
    const cut = disk.clone({ silent: true });
    cut.powerCut(keepNone);
    const lab = new ZfsLab();
    // So little memory that changes of 300 kB have a group written.
    const pool = must(importPool({ clock: lab.clock, memory: MIB(3) }, [cut]));
    const cuts: Disk[] = [];
    cut.watcher = () => cuts.push(cut.clone({ silent: true }));
    expect(contents(new Files(lab, lab.mount(pool, "tank/a")))).toEqual(wanted);
    cut.watcher = undefined;
    expect(pool.counters.groups).toBeGreaterThan(2);
    for (const one of cuts.filter((_, n) => n % 5 === 0)) expect(contents(again(one))).toEqual(wanted);
  });

  test("ends at the first call that is refused now", () => {
    const { disk, files } = begun();
    put(files, "/g", "two");
    must(files.fs.setattr(must(files.find("/g")), { mode: 0o600 }) ?? true);
    expect(fsync(files, "/g")).toBeUndefined();
    const { lab, pool } = afterCut(disk);
    const used = zfsGet(pool, ["used"], "tank/a")?.[0]?.[2] ?? "";
    expect(zfsSet(pool, "quota", used, "tank/a")).toBeUndefined();
    const found = new Files(lab, lab.mount(pool, "tank/a"));
    expect(read(found, "/g")).toBe("");
    expect(found.fs.mode(must(found.find("/g"))) & 0o777).toBe(0o644);
    expect(read(found, "/f")).toBe("one");
    found.fs.check();
    checkPool(pool);
    found.fs.unmount();
    expect(pool.store.logBytes).toBe(0);
  });

  test("whose group cannot be written is no mount", () => {
    const { disk, files } = begun();
    put(files, "/f", "two");
    const cut = disk.clone({ silent: true });
    cut.powerCut(keepNone);
    const device = new FaultyDevice(cut);
    const lab = new ZfsLab();
    const pool = must(importPool({ clock: lab.clock, memory: MIB(64) }, [device]));
    device.inject({ on: "write", times: Number.POSITIVE_INFINITY });
    const { head } = pool.root.children.get("a") ?? pool.root;
    const { clock, names, cache } = lab;
    const mounted = mountDataset(pool, head, { clock, names, cache, device: files.fs.device });
    expect(mounted).toMatchObject({ code: "EIO" });
    expect(head.mounts).toBe(0);
  });
});

describe("an fsync", () => {
  test("of any file makes durable what was written to another before it was renamed", () => {
    const { disk, files } = begun();
    files.write("/config.new", text("settings"));
    const [from, to] = [files.at("/config.new"), files.at("/config")];
    files.fs.rename(from.directory, from.name, to.directory, to.name, 0);
    files.write("/other", text("not asked for"));
    put(files, "/f", "two");
    const found = again(disk);
    expect(read(found, "/config")).toBe("settings");
    expect(read(found, "/other")).toBe("");
  });

  test("writes nothing of a file that has no name any more, unless it has another", () => {
    const { disk, files, pool } = begun();
    for (const path of ["/gone", "/kept"]) files.write(path, text("early"));
    const held = must(files.fs.open(must(files.find("/gone")), 0));
    const { directory, name } = files.at("/other");
    files.fs.link(must(files.find("/kept")), directory, name);
    pool.syncIfDirty();
    files.write("/gone", text("later"));
    files.write("/kept", text("later"));
    files.unlink("/gone");
    files.unlink("/kept");
    files.fs.write(held, 0, text("last"));
    const before = disk.counters.writtenBytes;
    expect(files.fs.fsync(held, false)).toBeUndefined();
    expect(fsync(files, "/other")).toBeUndefined();
    // Two blocks: the removals with the first fsync, one write with the other.
    expect(disk.counters.writtenBytes - before).toBe(2 * 4096);
    expect(read(again(disk), "/other")).toBe("later");
  });

  test.each<readonly [string, number, (of: Machine) => void]>([
    [
      "no log block is free",
      // The chain has come to its end with it (zil_commit_writer_stall).
      0,
      ({ pool }) => {
        const { space } = pool.store;
        const allocate = space.allocate.bind(space);
        space.allocate = (size, copies) => (size === 4096 ? undefined : allocate(size, copies));
      },
    ],
    ["its log block cannot be written", 4096, ({ device }) => device.inject({ on: "write" })],
    ["the devices cannot make it durable", 4096, ({ device }) => device.inject({ on: "flush" })],
  ])("has the group written where %s", (_, left, hinder) => {
    const of = begun();
    const { files, pool, disk } = of;
    files.write("/f", text("two"));
    hinder(of);
    const { groups } = pool.counters;
    expect(fsync(files, "/f")).toBeUndefined();
    expect(pool.counters.groups).toBe(groups + 1);
    expect(read(again(disk), "/f")).toBe("two");
    expect(pool.store.logBytes).toBe(left);
    checkPool(pool);
  });

  test("which begins a chain has the group written where no log block is free, and so does the next", () => {
    const { files, pool, disk } = machine();
    const { space } = pool.store;
    const allocate = space.allocate.bind(space);
    space.allocate = (size, copies) => (size === 4096 ? undefined : allocate(size, copies));
    for (const words of ["one", "two"]) {
      const { groups } = pool.counters;
      put(files, "/f", words);
      expect(pool.counters.groups).toBe(groups + 1);
      expect(read(again(disk), "/f")).toBe(words);
    }
    expect(pool.store.logBytes).toBe(0);
  });

  test("fills as many log blocks as the calls need, each as large as what was written before asks for", () => {
    const { files, pool, disk } = begun();
    for (let n = 0; n < 50; n++) files.write("/f", Content.pattern(n, 10_000), n * 10_000);
    const before = pool.store.logBytes;
    expect(fsync(files, "/f")).toBeUndefined();
    // 500 kB in the block of 4 KiB that was to be the next, one of 12 KiB after 10 kB, ones of 36, 68 and 128 KiB; and the next.
    expect(pool.store.logBytes - before).toBe(KIB(12 + 36 + 68 + 5 * 128));
    expect(again(disk).read("/f").length).toBe(500_000);
    pool.syncIfDirty();
    expect(pool.store.logBytes).toBe(KIB(128));
    checkPool(pool);
  });

  test.each([
    ["standard", undefined, ""],
    ["always", undefined, "two"],
    ["disabled", undefined, undefined],
  ])("with sync=%s promises what it says", (sync, failed, without) => {
    const { files, pool, disk } = begun();
    zfsSet(pool, "sync", sync, "tank/a");
    files.write("/g", text("two"));
    // "standard" knows the name with the next fsync only, "always" has written each call.
    if (sync === "standard") fsync(files, "/f");
    expect(read(again(disk), "/g")).toBe(without);
    expect(fsync(files, "/g")).toBe(failed);
    expect(read(again(disk), "/g")).toBe(sync === "disabled" ? undefined : "two");
  });
});
