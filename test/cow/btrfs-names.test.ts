/**
 * Names that btrfs refuses or treats in its own way: what stands for a subvolume in a snapshot, read-only subvolumes, folders that are gone, names by
 * the hundred of one inode and names with one hash. Answers as recorded on Linux 6.18 with btrfs-progs 6.2.
 */
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { GIB, MIB } from "../../sim/core/units.ts";
import type { Btrfs } from "../../sim/cow/btrfs/btrfs.ts";
import { removeSubvolume } from "../../sim/cow/btrfs/ioctl.ts";
import { INODE_EXTREF, key, LINKS_MAX } from "../../sim/cow/btrfs/layout.ts";
import { nameHash } from "../../sim/cow/btrfs/name-hash.ts";
import { credentialsOf } from "../../sim/vfs/credentials.ts";
import {
  FALLOC_FL_COLLAPSE_RANGE,
  type Inode,
  type NewInode,
  newAttributes,
  O_CREAT,
  O_DIRECTORY,
  O_RDONLY,
  O_RDWR,
  O_TMPFILE,
  O_WRONLY,
  RENAME_EXCHANGE,
  S_IFDIR,
  S_IFIFO,
  S_IFREG,
} from "../../sim/vfs/filesystem.ts";
import { MAY_READ, MAY_WRITE } from "../../sim/vfs/permission.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { BtrfsLab, must } from "./btrfs-lab.ts";

function code(answer: unknown): unknown {
  return isErrno(answer) ? answer.code : answer;
}

/** /m/p of user 7 with the subvolumes n and n2, and a snapshot of all in /m/s. */
function labWithPlaceholders(): BtrfsLab {
  const lab = new BtrfsLab({ size: GIB(1) });
  const { task } = lab.host;
  must(task.mkdir("/m/p", 0o755));
  must(task.chown("/m/p", 7, 8));
  for (const name of ["n", "n2"]) must(lab.subvolume(`/m/p/${name}`));
  must(lab.write("/m/p/n/f", "in it"));
  must(lab.write("/m/h", "a file"));
  must(lab.snapshot("/m", "/m/s"));
  return lab;
}

const PLACE = "/m/s/p/n";

/** Calls on what stands for a subvolume, and what they answer. */
const ON_PLACEHOLDER: readonly (readonly [what: string, call: (task: Task, lab: BtrfsLab) => unknown, answer: unknown])[] = [
  ["a file made in it", (task) => task.open(`${PLACE}/x`, O_CREAT | O_RDWR), "EACCES"],
  ["a folder made in it", (task) => task.mkdir(`${PLACE}/x`), "EPERM"],
  ["a symbolic link made in it", (task) => task.symlink("a", `${PLACE}/x`), "EPERM"],
  ["a FIFO made in it", (task) => task.mknod(`${PLACE}/x`, S_IFIFO | 0o600), "EPERM"],
  ["a link made in it", (task) => task.link("/m/s/h", `${PLACE}/x`), "EPERM"],
  ["a file without a name in it", (task) => task.open(PLACE, O_TMPFILE | O_DIRECTORY | O_RDWR), "ENOTSUP"],
  ["a subvolume made in it", (_, lab) => lab.subvolume(`${PLACE}/q`), "ENOTTY"],
  ["a snapshot made in it", (_, lab) => lab.snapshot("/m/p/n2", `${PLACE}/q`), "ENOTTY"],
  ["a name looked up in it", (task) => task.stat(`${PLACE}/f`), "ENOENT"],
  ["its entries", (task) => must(task.readdir(PLACE)).length, 0],
  ["the folder above it", (task) => must(task.stat(`${PLACE}/..`)).inodeNumber === must(task.stat("/m/s/p")).inodeNumber, true],
  ["moved out of the way", (task) => task.rename(PLACE, "/m/s/o"), "ENOTEMPTY"],
  ["a file moved into it", (task) => task.rename("/m/s/h", `${PLACE}/h`), "EPERM"],
  ["deleted as a subvolume", (_, lab) => lab.remove(PLACE), "EINVAL"],
  ["unlinked", (task) => task.unlink(PLACE), "EISDIR"],
  ["its attributes", (task) => must(task.listxattr(PLACE)).length, 0],
  ["one of its attributes", (task) => task.getxattr(PLACE, "user.a"), "ENOTSUP"],
  ["a new attribute", (task) => task.setxattr(PLACE, "user.a", Uint8Array.of(1)), "ENOTSUP"],
  ["an attribute taken away", (task) => task.removexattr(PLACE, "trusted.a"), "ENOTSUP"],
  ["its access control list", (task) => task.getxattr(PLACE, "system.posix_acl_access"), "ENODATA"],
  ["exchanged with what is in another subvolume", (task) => task.rename(PLACE, "/m/p/n", RENAME_EXCHANGE), "EXDEV"],
];

describe("what stands for a subvolume in a snapshot of what is around it", () => {
  test.each(ON_PLACEHOLDER)("answers as the kernel's: %s", (_, call, answer) => {
    const lab = labWithPlaceholders();
    expect(code(call(lab.host.task, lab))).toBe(answer);
    lab.host.check();
  });

  test("has no flags", () => {
    const lab = labWithPlaceholders();
    const fd = must(lab.host.task.open(PLACE, O_RDONLY | O_DIRECTORY));
    expect(code(lab.host.task.getFlags(fd))).toBe("ENOTTY");
    expect(code(lab.host.task.setFlags(fd, 0x80))).toBe("ENOTTY");
    expect(code(lab.fs.setFileFlags(must(lab.host.task.resolve(PLACE)).inode, 0x80))).toBe("ENOTTY");
  });

  test("has its folder's owner, and keeps what is changed of it only as long as somebody holds it", () => {
    const lab = labWithPlaceholders();
    const { task } = lab.host;
    const first = must(task.stat(PLACE));
    expect([first.inodeNumber, first.mode, first.uid, first.gid, first.nlink, first.size, first.blocks]).toEqual([
      2,
      S_IFDIR | 0o755,
      7,
      8,
      1,
      0,
      0,
    ]);
    expect(first.device).not.toBe(must(task.stat("/m/s")).device);
    const { mtime } = must(task.stat(PLACE, newAttributes()));
    lab.host.clock.advance(2_000_000_000 as never);
    expect(must(task.stat(PLACE, newAttributes())).mtime.seconds).toBe(mtime.seconds + 2);
    expect(task.chmod(PLACE, 0o700)).toBeUndefined();
    expect(must(task.stat(PLACE)).mode & 0o777).toBe(0o755);
    const fd = must(task.open(PLACE, O_RDONLY | O_DIRECTORY));
    expect(task.fchmod(fd, 0o700)).toBeUndefined();
    expect(must(task.stat(PLACE)).mode & 0o777).toBe(0o700);
    task.close(fd);
    expect(must(task.stat(PLACE)).mode & 0o777).toBe(0o755);
    lab.settle();
    lab.host.check();
  });

  test("is removed as an empty folder, also with a new file beside it, and replaced by one", () => {
    const lab = labWithPlaceholders();
    const { task } = lab.host;
    must(lab.write("/m/s/p/new", "x"));
    expect(task.rmdir("/m/s/p/n2")).toBeUndefined();
    must(task.mkdir("/m/s/d", 0o755));
    expect(task.rename("/m/s/d", PLACE)).toBeUndefined();
    expect(must(task.readdir("/m/s/p")).map(({ name }) => name)).toEqual(["new", "n"]);
    expect(task.mkdir(`${PLACE}/x`)).toBeUndefined();
    expect(must(task.readdir("/m/p")).map(({ name }) => name)).toEqual(["n", "n2"]);
    lab.settle();
    lab.host.check();
    must(lab.host.unmount("/m"));
    lab.mount();
    lab.host.check();
  });

  // On 6.18: "__btrfs_unlink_inode: errno=-2 No such entry", "forced readonly".
  test("cannot be exchanged: the kernel aborts the transaction, and the filesystem is read-only from then on", () => {
    const lab = labWithPlaceholders();
    const { task } = lab.host;
    must(task.mkdir("/m/s/p/z", 0o755));
    must(lab.fs.sync());
    expect(code(task.rename("/m/s/p/z", PLACE, RENAME_EXCHANGE))).toBe("ENOENT");
    expect(code(task.mkdir("/m/after"))).toBe("EROFS");
    expect(must(task.stat("/m/s/p/z")).mode & S_IFDIR).toBe(S_IFDIR);
  });
});

test("files and folders are exchanged within their subvolume, subvolumes anywhere", () => {
  const lab = labWithPlaceholders();
  const { task } = lab.host;
  for (const folder of ["/m/p/dir", "/m/sub", "/m/p/n/g"]) must(task.mkdir(folder, 0o755));
  const exchange = (one: string, other: string): unknown => code(task.rename(one, other, RENAME_EXCHANGE));
  expect(exchange("/m/h", "/m/p/dir")).toBeUndefined();
  expect(exchange("/m/h", "/m/p/n/f")).toBe("EXDEV");
  expect(exchange("/m/p/n/f", "/m/p/dir")).toBe("EXDEV");
  expect(exchange("/m/p/dir", "/m/p/n")).toBeUndefined();
  expect(exchange("/m/p/dir", "/m/p/n2")).toBeUndefined();
  expect(exchange("/m/p/nope", "/m/sub")).toBe("ENOENT");
  expect(exchange("/m/p/dir", "/m/p/n2/g")).toBe("EXDEV");
  // The file has taken the subvolume's place, which the other one has now.
  expect([lab.read("/m/p/n2/f"), must(task.stat("/m/p/n")).size]).toEqual([Content.text("in it").sha256(), 6]);
  expect(lab.id("/m/p/dir")).toBe(257);
  lab.host.check();
  must(lab.host.unmount("/m"));
  lab.mount();
  expect([lab.id("/m/p/n2"), lab.id("/m/p/dir")]).toEqual([256, 257]);
  lab.host.check();
});

describe("a folder that is gone", () => {
  test("takes no names and still knows the one above, whether it was a folder or a subvolume", () => {
    const lab = new BtrfsLab({ size: GIB(1) });
    must(lab.host.task.mkdir("/m/e", 0o755));
    must(lab.host.task.mkdir("/m/e/f", 0o755));
    must(lab.subvolume("/m/e/v"));
    must(lab.host.unmount("/m"));
    lab.mount();
    const { task } = lab.host;
    const above = must(task.stat("/m/e")).inodeNumber;
    for (const name of ["f", "v"]) {
      must(task.chdir(`/m/e/${name}`));
      must(task.rmdir(`/m/e/${name}`));
      expect(must(task.stat("..")).inodeNumber).toBe(above);
      if (name === "f") {
        expect(code(task.mkdir("x"))).toBe("ENOENT");
        expect(code(task.open("x", O_CREAT | O_RDWR))).toBe("ENOENT");
        expect(code(lab.subvolume("./x"))).toBe("ENOENT");
      }
      must(task.chdir("/"));
    }
    lab.settle();
    lab.host.check();
  });

  test("stays a subvolume until nobody stands in it, and then the cleaner drops it", () => {
    const lab = new BtrfsLab({ size: GIB(1) });
    const { task } = lab.host;
    must(lab.subvolume("/m/v"));
    must(lab.write("/m/v/f", Content.pattern(1, MIB(1))));
    const fd = must(task.open("/m/v/f", O_RDONLY));
    must(lab.remove("/m/v"));
    expect(lab.settle().data).toBe(MIB(1));
    expect(must(task.pread(fd, 4096, 0)).sha256()).toBe(Content.pattern(1, 4096).sha256());
    task.close(fd);
    expect(lab.settle().data).toBe(0);
    lab.host.check();
  });

  test("is dropped as a subvolume after a mount, too", () => {
    const lab = new BtrfsLab({ size: GIB(1) });
    must(lab.subvolume("/m/v"));
    must(lab.write("/m/v/f", Content.pattern(1, MIB(1))));
    must(lab.remove("/m/v"));
    must(lab.fs.sync());
    must(lab.host.unmount("/m"));
    lab.mount();
    lab.host.check();
    expect(lab.settle().data).toBe(0);
    lab.host.check();
  });
});

/** What a union above a filesystem asks of it, which has not asked the VFS who may do what. */
interface Direct {
  readonly fs: Btrfs;
  readonly root: Inode;
  readonly file: Inode;
  readonly name: (text: string) => ReturnType<BtrfsLab["host"]["names"]["intern"]>;
}

const FILE: NewInode = { mode: S_IFREG | 0o644, uid: 0, gid: 0, rdev: 0, target: "" };

function direct(lab: BtrfsLab, folder: string): Direct {
  const root = must(lab.host.task.resolve(folder)).inode;
  const name = (text: string): ReturnType<BtrfsLab["host"]["names"]["intern"]> => lab.host.names.intern(text);
  return { fs: lab.fs, root, name, file: must(lab.fs.lookup(root, name("f"))) };
}

const CHANGES: readonly (readonly [what: string, change: (of: Direct) => Errno | unknown])[] = [
  ["create", ({ fs, root, name }) => fs.create(root, name("x"), FILE)],
  ["tmpfile", ({ fs, root }) => fs.tmpfile(root, FILE)],
  ["link", ({ fs, root, file, name }) => fs.link(file, root, name("x"))],
  ["unlink", ({ fs, root, name }) => fs.unlink(root, name("f"))],
  ["rmdir", ({ fs, root, name }) => fs.rmdir(root, name("d"))],
  ["rename", ({ fs, root, name }) => fs.rename(root, name("f"), root, name("x"), 0)],
  ["setattr", ({ fs, file }) => fs.setattr(file, { mode: 0o600 })],
  ["setxattr", ({ fs, file }) => fs.setxattr(file, "user.b", Uint8Array.of(1), 0)],
  ["removexattr", ({ fs, file }) => fs.removexattr(file, "user.a")],
  ["setFileFlags", ({ fs, file }) => fs.setFileFlags(file, 0x80)],
  ["remove a subvolume", ({ fs, root, name }) => removeSubvolume(fs, root, name("n"))],
];

describe("a read-only subvolume", () => {
  function labWithReadOnly(): BtrfsLab {
    const lab = new BtrfsLab({ size: GIB(1) });
    const { task } = lab.host;
    must(lab.subvolume("/m/w"));
    must(lab.write("/m/w/f", "x"));
    must(task.setxattr("/m/w/f", "user.a", Uint8Array.of(1)));
    must(task.mkdir("/m/w/d", 0o755));
    must(task.mknod("/m/w/p", S_IFIFO | 0o644));
    must(task.symlink("f", "/m/w/l"));
    must(lab.subvolume("/m/w/n"));
    must(lab.snapshot("/m/w", "/m/ro", true));
    return lab;
  }

  test.each(CHANGES)("refuses to %s with EROFS, whoever asks, and is as it was", (_, change) => {
    const lab = labWithReadOnly();
    expect(code(change(direct(lab, "/m/ro")))).toBe("EROFS");
    expect(code(change(direct(lab, "/m/w")))).not.toBe("EROFS");
    expect(must(lab.host.task.readdir("/m/ro")).map(({ name }) => name)).toEqual(["f", "d", "p", "l", "n"]);
    lab.host.check();
  });

  test("says so before it says who may, but for reading", () => {
    const lab = labWithReadOnly();
    const somebody = lab.host.task.withCredentials(credentialsOf(1000, 1000));
    must(lab.host.task.chmod("/m/w/f", 0o600));
    must(lab.snapshot("/m/w", "/m/kept", true));
    const file = "/m/kept/f";
    const changes = [
      somebody.open(file, O_WRONLY),
      somebody.open("/m/kept/d/x", O_WRONLY | O_CREAT),
      somebody.unlink(file),
      somebody.mkdir("/m/kept/x"),
      somebody.truncate(file, 0),
      somebody.chmod(file, 0o777),
      somebody.chown(file, 1000, 1000),
      somebody.utimens(file, "NOW", "NOW"),
    ];
    expect(changes.map(code)).toEqual(changes.map(() => "EROFS"));
    expect(code(somebody.open(file, O_RDONLY))).toBe("EACCES");
  });

  test("takes no subvolumes, and none may be written but devices and FIFOs (btrfs_permission)", () => {
    const lab = labWithReadOnly();
    expect(code(lab.subvolume("/m/ro/x"))).toBe("EROFS");
    expect(code(lab.snapshot("/m/w", "/m/ro/x"))).toBe("EROFS");
    const { task } = lab.host;
    const refusals = ["f", "d", "l", "p"].map((name) => {
      const of = must(lab.fs.lookup(must(task.resolve("/m/ro")).inode, lab.host.names.intern(name)));
      return [name, code(lab.fs.refuse(task.credentials, of, MAY_WRITE)), code(lab.fs.refuse(task.credentials, of, MAY_READ))];
    });
    expect(refusals).toEqual([
      ["f", "EROFS", undefined],
      ["d", "EROFS", undefined],
      ["l", "EROFS", undefined],
      ["p", undefined, undefined],
    ]);
    lab.host.check();
  });
});

test("names that are not there, and modes of fallocate that are not known, are refused to a union above too", () => {
  const lab = new BtrfsLab({ size: GIB(1) });
  must(lab.write("/m/f", "x"));
  const of = direct(lab, "/m");
  const { fs, root, name, file } = of;
  expect(code(fs.unlink(root, name("no")))).toBe("ENOENT");
  expect(code(fs.rmdir(root, name("no")))).toBe("ENOENT");
  expect(code(removeSubvolume(fs, root, name("no")))).toBe("ENOENT");
  expect(code(fs.readlink(file))).toBe("EINVAL");
  expect(code(fs.fallocate(must(fs.open(file, O_RDWR)), FALLOC_FL_COLLAPSE_RANGE, 0, 4096))).toBe("ENOTSUP");
  // Sizes go up to what a number holds exactly; and a write of nothing does nothing.
  const { ctime } = must(lab.host.task.stat("/m/f", newAttributes()));
  expect(code(fs.write(must(fs.open(file, O_RDWR)), 0, Content.empty))).toBe(0);
  expect(code(fs.write(must(fs.open(file, O_RDWR)), Number.MAX_SAFE_INTEGER, Content.text("x")))).toBe("EFBIG");
  expect(code(fs.setattr(file, { size: 2 ** 60 }))).toBe("EFBIG");
  expect(must(lab.host.task.stat("/m/f", newAttributes()))).toMatchObject({ size: 1, ctime });
  const tooLong = new Uint8Array(16_258 - 30 - "user.a".length + 1);
  expect(code(fs.setxattr(file, "user.a", tooLong, 0))).toBe("ENOSPC");
  expect(fs.setxattr(file, "user.a", tooLong.subarray(1), 0)).toBeUndefined();
  // Two names of one inode: there is nothing to do (vfs_rename).
  must(fs.link(file, root, name("g")));
  expect(fs.rename(root, name("f"), root, name("g"), 0)).toBeUndefined();
  expect(must(lab.host.task.stat("/m/g")).nlink).toBe(2);
  lab.fs.check();
});

describe("an inode's names", () => {
  /** Distinct names of 250 bytes. */
  const long = (n: number): string => `${String(n).padStart(4, "0")}${"x".repeat(246)}`;

  test("that its reference has no room for are references of their own (BTRFS_INODE_EXTREF_KEY), and go one by one", () => {
    const lab = new BtrfsLab({ size: GIB(1) });
    const { task } = lab.host;
    must(lab.write("/m/f", "x"));
    must(task.mkdir("/m/d", 0o755));
    for (let n = 0; n < 70; n++) must(task.link("/m/f", `/m/d/${long(n)}`));
    lab.settle();
    const ino = must(task.stat("/m/f")).inodeNumber;
    const extended = (): number => {
      let count = 0;
      lab.fs.state.tree(5).visit(key(ino, INODE_EXTREF), key(ino, INODE_EXTREF + 1), () => {
        count += 1;
        return false;
      });
      return count;
    };
    // 62 names of 250 bytes, each with 10 before it, fill the 16,258 bytes of an item.
    expect(extended()).toBe(70 - 62);
    must(lab.host.unmount("/m"));
    lab.mount();
    for (const n of [69, 0, 65, 1]) must(lab.host.task.unlink(`/m/d/${long(n)}`));
    expect([must(lab.host.task.stat("/m/f")).nlink, extended()]).toEqual([67, 6]);
    must(lab.host.task.rename(`/m/d/${long(66)}`, "/m/moved"));
    // What has become free in the item takes names again.
    must(lab.host.task.link("/m/f", `/m/d/${long(100)}`));
    expect(extended()).toBe(5);
    // The item goes first, what had no room in it last.
    const names = must(lab.host.task.readdir("/m/d")).map(({ name }) => name);
    for (const name of names.sort((one, other) => Number(one >= long(62)) - Number(other >= long(62)) || (one < other ? -1 : 1)))
      if (name !== long(100)) must(lab.host.task.unlink(`/m/d/${name}`));
    must(lab.host.task.unlink(`/m/d/${long(100)}`));
    expect([must(lab.host.task.stat("/m/moved")).nlink, extended()]).toEqual([2, 0]);
    lab.settle();
    lab.host.check();
  });

  test("with one hash share items and are told apart (crc32c)", () => {
    const [one, other] = ["ccaoacux", "wcjifoae"];
    expect(nameHash(one)).toBe(nameHash(other));
    const lab = new BtrfsLab({ size: GIB(1) });
    const { task } = lab.host;
    must(lab.write(`/m/${one}`, "one"));
    expect(code(task.stat(`/m/${other}`))).toBe("ENOENT");
    must(lab.write(`/m/${other}`, "other"));
    expect([lab.read(`/m/${one}`), lab.read(`/m/${other}`)]).toEqual(["one", "other"].map((text) => Content.text(text).sha256()));
    for (const name of [one, other]) must(task.setxattr("/m", `user.${name}`, new TextEncoder().encode(name)));
    must(task.removexattr("/m", `user.${one}`));
    expect(must(task.listxattr("/m"))).toEqual([`user.${other}`]);
    // Of references of their own, too.
    must(task.mkdir("/m/d", 0o755));
    for (let n = 0; n < 62; n++) must(task.link(`/m/${one}`, `/m/d/${long(n)}`));
    for (const name of [one, other].map((text) => `${text}${"y".repeat(240)}`)) must(task.link(`/m/${one}`, `/m/d/${name}`));
    must(task.unlink(`/m/d/${one}${"y".repeat(240)}`));
    expect(must(task.stat(`/m/d/${other}${"y".repeat(240)}`)).nlink).toBe(64);
    must(task.unlink(`/m/d/${other}${"y".repeat(240)}`));
    must(task.unlink(`/m/${one}`));
    expect(code(task.stat(`/m/${one}`))).toBe("ENOENT");
    expect(lab.read(`/m/${other}`)).toBe(Content.text("other").sha256());
    lab.settle();
    lab.host.check();
  });

  test("are no more than 65,535", () => {
    const lab = new BtrfsLab({ size: GIB(1) });
    must(lab.write("/m/f", "x"));
    const { task } = lab.host;
    // As many as that are told it, not made.
    const inode = lab.fs.state.inodes.get(must(task.resolve("/m/f")).inode);
    Object.assign(inode ?? {}, { nlink: LINKS_MAX - 1 });
    expect(task.link("/m/f", "/m/g")).toBeUndefined();
    expect(code(task.link("/m/f", "/m/h"))).toBe("EMLINK");
  });
});

test("a name that was looked for leads to what has it now, and in a snapshot to what had it then", () => {
  const lab = new BtrfsLab({ size: GIB(1) });
  const { task } = lab.host;
  const sizes = (folder: string): (number | string)[] =>
    ["a", "b"].map((name) => {
      const of = task.stat(`${folder}/${name}`);
      return isErrno(of) ? of.code : of.size;
    });
  expect(sizes("/m")).toEqual(["ENOENT", "ENOENT"]);
  must(lab.write("/m/a", "1"));
  must(lab.write("/m/b", "22"));
  expect(sizes("/m")).toEqual([1, 2]);
  must(lab.snapshot("/m", "/m/then"));
  expect(sizes("/m/then")).toEqual([1, 2]);
  must(task.rename("/m/a", "/m/b", RENAME_EXCHANGE));
  expect(sizes("/m")).toEqual([2, 1]);
  must(task.rename("/m/a", "/m/b"));
  expect(sizes("/m")).toEqual(["ENOENT", 2]);
  must(task.link("/m/b", "/m/a"));
  must(task.unlink("/m/b"));
  expect(sizes("/m")).toEqual([2, "ENOENT"]);
  expect(sizes("/m/then")).toEqual([1, 2]);
});

test("a snapshot is taken of a subvolume's root alone, which is looked at before the new name (__btrfs_ioctl_snap_create)", () => {
  const lab = labWithPlaceholders();
  const { task } = lab.host;
  must(task.mkdir("/m/folder", 0o755));
  must(task.mknod("/m/file", S_IFREG | 0o644));
  for (const source of ["/m/folder", "/m/file", "/m/s/p/n"])
    for (const name of ["/m/new", "/m/file"]) expect(code(lab.snapshot(source, name))).toBe("EINVAL");
  expect(code(lab.snapshot("/m/p/n", "/m/file"))).toBe("EEXIST");
  must(lab.snapshot("/m/p/n", "/m/new"));
});

test("only a subvolume's root is deleted as one: a folder is refused otherwise than what is none (btrfs_may_delete)", () => {
  const lab = new BtrfsLab({});
  const { task } = lab.host;
  must(task.mkdir("/m/folder", 0o755));
  must(task.mknod("/m/file", S_IFREG | 0o644));
  must(task.symlink("folder", "/m/link"));
  expect(["folder", "file", "link", "none"].map((name) => code(lab.remove(`/m/${name}`)))).toEqual([
    "EINVAL",
    "ENOTDIR",
    "ENOTDIR",
    "ENOENT",
  ]);
});
