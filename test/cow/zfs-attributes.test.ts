/** Which attributes and times of zfs's objects each call changes, and what it counts (zfs_vnops.c, zfs_dir.c, OpenZFS 2.1). */
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { EFBIG, EINVAL, ENOENT, ENOTEMPTY, ENOTSUP, ENXIO } from "../../sim/core/errno.ts";
import { nanoseconds } from "../../sim/core/units.ts";
import { zfsSet } from "../../sim/cow/zfs/commands.ts";
import {
  type Attributes,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  fileHandle,
  type Inode,
  newAttributes,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFREG,
} from "../../sim/vfs/filesystem.ts";
import { APPEND_ONLY, IMMUTABLE } from "../../sim/vfs/inode-flags.ts";
import { Files, must, ZfsLab } from "./zfs-lab.ts";

class Lab {
  readonly lab: ZfsLab = new ZfsLab();
  readonly pool = this.lab.create();
  readonly files: Files = new Files(this.lab, this.lab.mount(this.pool, "tank"));

  get fs(): Files["fs"] {
    return this.files.fs;
  }
  of(path: string): Attributes {
    const into = newAttributes();
    this.fs.getattr(path === "/" ? this.fs.root : must(this.files.find(path)), into);
    return into;
  }
  new(path: string, mode: number, rest: { rdev?: number; target?: string } = {}): Inode {
    const { directory, name } = this.files.at(path);
    return must(this.fs.create(directory, name, { mode, uid: 1, gid: 2, rdev: rest.rdev ?? 0, target: rest.target ?? "" }));
  }
  rename(from: string, to: string, flags = 0): unknown {
    const [source, target] = [this.files.at(from), this.files.at(to)];
    return this.fs.rename(source.directory, source.name, target.directory, target.name, flags);
  }
  wait(): void {
    this.lab.clock.spend(nanoseconds(1e9));
  }
  /** Which times of a path a call changes: "a", "m", "c" of each. */
  changed(paths: readonly string[], call: () => unknown): string[] {
    const inodes = paths.map((path) => (path === "/" ? this.fs.root : must(this.files.find(path))));
    const look = (): Attributes[] =>
      inodes.map((inode) => {
        const into = newAttributes();
        this.fs.getattr(inode, into);
        return into;
      });
    const before = look();
    this.wait();
    expect(call()).not.toMatchObject({ code: /E/ });
    return look().map(({ atime, mtime, ctime }, at) => {
      const was = before[at] as Attributes;
      return `${atime === was.atime ? "" : "a"}${mtime === was.mtime ? "" : "m"}${ctime === was.ctime ? "" : "c"}`;
    });
  }
}

function withFiles(): Lab {
  const made = new Lab();
  made.files.mkdir("/d");
  made.files.mkdir("/e");
  made.files.mkdir("/d/sub");
  made.files.write("/d/f", Content.text("content"));
  made.files.write("/e/g", Content.text("other"));
  made.wait();
  return made;
}

describe("the times", () => {
  test.each<readonly [string, readonly string[], (of: Lab) => unknown, readonly string[]]>([
    ["create", ["/", "/d"], (of) => of.files.make("/d/new"), ["", "mc"]],
    ["write", ["/d", "/d/f"], (of) => of.files.write("/d/f", Content.text("x")), ["", "mc"]],
    ["truncate", ["/d/f"], (of) => of.fs.setattr(must(of.files.find("/d/f")), { size: 3 }), ["mc"]],
    ["truncate to the same size", ["/d/f"], (of) => of.fs.setattr(must(of.files.find("/d/f")), { size: 7 }), ["mc"]],
    ["chmod", ["/d", "/d/f"], (of) => of.fs.setattr(must(of.files.find("/d/f")), { mode: 0o600 }), ["", "c"]],
    ["chown", ["/d/f"], (of) => of.fs.setattr(must(of.files.find("/d/f")), { uid: 5, gid: 6 }), ["c"]],
    [
      "utimes",
      ["/d/f"],
      (of) => {
        const time = { seconds: 5, nanoseconds: 6 };
        return of.fs.setattr(must(of.files.find("/d/f")), { atime: time, mtime: time });
      },
      ["amc"],
    ],
    ["unlink", ["/", "/d"], (of) => of.files.unlink("/d/f"), ["", "mc"]],
    [
      "rmdir",
      ["/", "/d"],
      (of) => {
        const { directory, name } = of.files.at("/d/sub");
        return of.fs.rmdir(directory, name);
      },
      ["", "mc"],
    ],
    ["rename", ["/", "/d", "/d/f"], (of) => of.rename("/d/f", "/d/h"), ["", "mc", "c"]],
    ["rename elsewhere", ["/", "/d", "/e", "/d/f"], (of) => of.rename("/d/f", "/e/f"), ["", "mc", "mc", "c"]],
    [
      "link",
      ["/d", "/e", "/d/f"],
      (of) => {
        const { directory, name } = of.files.at("/e/l");
        return of.fs.link(must(of.files.find("/d/f")), directory, name);
      },
      ["", "mc", "c"],
    ],
    ["read", ["/d/f"], (of) => of.fs.touchAtime(must(of.files.find("/d/f")), false, true), ["a"]],
    [
      "punch",
      ["/d/f"],
      (of) => of.fs.fallocate(fileHandle(must(of.files.find("/d/f"))), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 3),
      ["mc"],
    ],
    ["fallocate", ["/d/f"], (of) => of.fs.fallocate(fileHandle(must(of.files.find("/d/f"))), 0, 0, 99), [""]],
    ["a flag", ["/d/f"], (of) => of.fs.setFileFlags(must(of.files.find("/d/f")), APPEND_ONLY), ["c"]],
    ["setxattr", ["/d/f"], (of) => of.fs.setxattr(must(of.files.find("/d/f")), "user.a", Uint8Array.of(1), 0), ["c"]],
  ])("that %s changes of %j", (_, paths, call, expected) => {
    const of = withFiles();
    expect(of.changed(paths, () => call(of))).toEqual(expected);
    of.fs.check();
  });

  test("of what is taken away by a name that stays change too", () => {
    const of = withFiles();
    const { directory, name } = of.files.at("/e/l");
    of.fs.link(must(of.files.find("/d/f")), directory, name);
    expect(of.changed(["/e/l"], () => of.files.unlink("/d/f"))).toEqual(["c"]);
  });
});

describe("an object", () => {
  test("has the mode, owner, links and device that it was made with; other kinds have no device", () => {
    const of = new Lab();
    of.new("/c", S_IFCHR | 0o620, { rdev: 0x501 });
    of.new("/b", S_IFBLK | 0o660, { rdev: 0x801 });
    of.new("/p", S_IFIFO | 0o600, { rdev: 0x123 });
    of.new("/r", S_IFREG | 0o4755, { rdev: 0x123 });
    of.new("/l", S_IFLNK | 0o777, { target: "tärget" });
    of.new("/d", S_IFDIR | 0o1777);
    const told = ["/c", "/b", "/p", "/r", "/l", "/d"].map((path) => {
      const { mode, uid, gid, nlink, rdev, size } = of.of(path);
      return [mode.toString(8), uid, gid, nlink, rdev, size];
    });
    expect(told).toEqual([
      ["20620", 1, 2, 1, 0x501, 0],
      ["60660", 1, 2, 1, 0x801, 0],
      ["10600", 1, 2, 1, 0, 0],
      ["104755", 1, 2, 1, 0, 0],
      ["120777", 1, 2, 1, 0, 7],
      ["41777", 1, 2, 2, 0, 2],
    ]);
    expect([of.fs.readlink(must(of.files.find("/l"))), of.fs.readlink(must(of.files.find("/r")))]).toEqual(["tärget", EINVAL]);
  });

  test("that is a directory counts its folders as links, wherever they go, and its entries as its size", () => {
    const of = withFiles();
    const counts = (): unknown[] =>
      ["/", "/d", "/e"].map((path) => {
        const { nlink, size } = of.of(path);
        return [nlink, size];
      });
    expect(counts()).toEqual([
      [4, 4],
      [3, 4],
      [2, 3],
    ]);
    of.rename("/d/sub", "/e/sub");
    expect(counts()).toEqual([
      [4, 4],
      [2, 3],
      [3, 4],
    ]);
    expect(of.fs.parentOf(must(of.files.find("/e/sub")))).toBe(must(of.files.find("/e")));
    of.rename("/e/sub", "/e/other");
    of.rename("/d/f", "/e/g");
    expect(counts()).toEqual([
      [4, 4],
      [2, 2],
      [3, 4],
    ]);
    of.files.mkdir("/d/other");
    of.rename("/d/other", "/e/other");
    expect(counts()).toEqual([
      [4, 4],
      [2, 2],
      [3, 4],
    ]);
    expect(of.rename("/d", "/e")).toBe(ENOTEMPTY);
    const { directory, name } = of.files.at("/e");
    expect([of.fs.rmdir(directory, name), of.fs.unlink(directory, of.files.at("/none").name)]).toEqual([ENOTEMPTY, ENOENT]);
    expect([of.rename("/d", "/x", 1), of.files.find("/d/f")]).toEqual([EINVAL, ENOENT]);
    of.fs.check();
  });

  test("keeps its type when its mode changes, and only what is asked for changes", () => {
    const of = withFiles();
    const inode = must(of.files.find("/d/f"));
    const told = (): unknown[] => {
      const { mode, uid, gid, size, atime, mtime } = of.of("/d/f");
      return [mode.toString(8), uid, gid, size, atime.seconds, mtime.seconds];
    };
    const [, , , , atime, mtime] = told();
    of.fs.setattr(inode, { mode: S_IFDIR | 0o711 });
    expect(told()).toEqual(["100711", 0, 0, 7, atime, mtime]);
    of.fs.setattr(inode, { uid: 5 });
    of.fs.setattr(inode, { gid: 6 });
    expect(told()).toEqual(["100711", 5, 6, 7, atime, mtime]);
    of.fs.setattr(inode, { atime: { seconds: 1, nanoseconds: 0 } });
    expect(told()).toEqual(["100711", 5, 6, 7, 1, mtime]);
    of.fs.setattr(inode, { mtime: { seconds: 2, nanoseconds: 0 } });
    expect(told()).toEqual(["100711", 5, 6, 7, 1, 2]);
  });

  test("has the flags that may be set, and refuses others", () => {
    const of = withFiles();
    const inode = must(of.files.find("/d/f"));
    expect([of.fs.fileFlags(inode), of.fs.setFileFlags(inode, IMMUTABLE), of.fs.fileFlags(inode)]).toEqual([
      0,
      undefined,
      IMMUTABLE,
    ]);
    expect([of.fs.setFileFlags(inode, 1 << 30), of.fs.fileFlags(inode)]).toEqual([ENOTSUP, IMMUTABLE]);
  });

  test("is read and grows within its bounds", () => {
    const of = withFiles();
    const file = fileHandle(must(of.files.find("/d/f")));
    const text = (offset: number, length: number): string =>
      new TextDecoder().decode((of.fs.read(file, offset, length) as Content).toBytes());
    expect([text(0, 4), text(3, 99), text(7, 5), text(99, 5)]).toEqual(["cont", "tent", "", ""]);
    expect(of.fs.read(fileHandle(must(of.files.find("/d"))), 0, 5)).toBe(EINVAL);
    expect(of.fs.setattr(must(of.files.find("/d/f")), { size: 2 ** 53 - 2 ** 20 + 1 })).toBe(EFBIG);
    expect(of.fs.write(file, 2 ** 53 - 2 ** 20, Content.text("x"))).toBe(EFBIG);
    expect([of.fs.seek(file, -1, false), of.fs.seek(file, 7, true), of.fs.seek(file, 6, true)]).toEqual([ENXIO, ENXIO, 7]);
    expect([of.fs.fallocate(file, 0x40, 0, 1), of.fs.clone()]).toEqual([ENOTSUP, ENOTSUP]);
    const mapped = must(of.fs.readMapped(file, 2, 99));
    expect([mapped.length, must(of.fs.readMapped(file, 50, 9)).length, of.fs.cachedPages(file)]).toEqual([5, 0, 1]);
    of.fs.dropPages(file);
    expect(of.fs.cachedPages(file)).toBe(0);
  });

  test("that has no name is there until nobody holds it, and its space is free then", () => {
    const of = withFiles();
    const count = of.fs.statfs().files - of.fs.statfs().filesFree;
    const inode = must(of.fs.tmpfile(of.fs.root, { mode: S_IFREG | 0o600, uid: 0, gid: 0, rdev: 0, target: "" }));
    expect([of.fs.state.set.unlinked.has(inode), of.fs.statfs().files - of.fs.statfs().filesFree]).toEqual([true, count + 1]);
    of.fs.hold(inode);
    of.fs.drop(inode);
    of.fs.drop(inode);
    expect([of.fs.state.set.unlinked.has(inode), of.fs.statfs().files - of.fs.statfs().filesFree]).toEqual([false, count]);
    expect(() => of.fs.drop(inode)).toThrow(`object ${inode} was dropped more often than held`);
    const held = must(of.files.find("/d/f"));
    of.fs.hold(held);
    of.files.unlink("/d/f");
    expect(of.fs.state.set.unlinked.has(held)).toBe(true);
    of.fs.drop(held);
    expect([of.fs.state.set.unlinked.size, of.fs.statfs().files - of.fs.statfs().filesFree]).toEqual([0, count - 1]);
    of.fs.check();
  });
});

test("statfs tells blocks of 128 KiB, what the dataset refers to and may still have", () => {
  const of = withFiles();
  zfsSet(of.pool, "refquota", "10M", "tank");
  of.pool.syncGroup();
  const { referenced, available } = of.fs.state.dataset;
  const told = of.fs.statfs();
  expect(referenced + available).toBe(10 * 2 ** 20);
  expect([told.blockSize, told.blocks, told.blocksFree, told.blocksAvailable, told.nameLength]).toEqual([
    131_072,
    80,
    Math.floor(available / 131_072),
    Math.floor(available / 131_072),
    255,
  ]);
  // An object for each sector that is left; of those that there are five are the system's (recorded: 7 with the root and one file).
  expect([told.filesFree, told.files - told.filesFree]).toEqual([Math.floor(available / 512), of.fs.state.set.objects + 5]);
});

test("xattr=off refuses and hides attributes of users, not the system's, and gives them back when it ends", () => {
  const { files, fs, pool } = new Lab();
  const file = files.make("/f");
  const value = Uint8Array.of(1, 2);
  for (const name of ["user.a", "security.b"]) expect(fs.setxattr(file, name, value, 0)).toBeUndefined();
  zfsSet(pool, "xattr", "off", "tank");
  expect([fs.getxattr(file, "user.a"), fs.setxattr(file, "user.c", value, 0), fs.removexattr(file, "user.a")]).toEqual([
    ENOTSUP,
    ENOTSUP,
    ENOTSUP,
  ]);
  expect([fs.getxattr(file, "security.b"), fs.listxattr(file)]).toEqual([value, ["security.b"]]);
  expect(fs.setxattr(file, "trusted.d", value, 0)).toBeUndefined();
  zfsSet(pool, "xattr", "sa", "tank");
  expect([fs.getxattr(file, "user.a"), fs.listxattr(file)]).toEqual([value, ["security.b", "trusted.d", "user.a"]]);
});
