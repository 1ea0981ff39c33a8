/**
 * Calls whose arguments a recorded trace cannot say: masks and flags that there are not, descriptors that were never open, ELF programs, ranges that
 * are to be shared (as Linux 6.18 answered on btrfs), and mounts with options (fs/open.c, fs/namei.c, fs/remap_range.c, fs/exec.c, fs/locks.c; Linux 6.18).
 */
import { beforeEach, describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { deviceNumber, MIB } from "../../sim/core/units.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { ROOT } from "../../sim/vfs/credentials.ts";
import {
  O_CREAT,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFREG,
} from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { must } from "../drivers/docker-host.ts";

const BLOCK = 4096;
let host: Host;
let task: Task;

beforeEach(() => {
  host = createHost({ seed: 1 });
  task = host.task;
  task.umask = 0;
  host.addDisk({ size: MIB(256) });
  must(task.mkdir("/m", 0o755));
});

function code(got: unknown): string {
  return isErrno(got) ? got.code : "ok";
}

function put(path: string, content: Content, mode = 0o644): number {
  const fd = must(task.open(path, O_CREAT | O_RDWR, mode));
  must(task.write(fd, content));
  return fd;
}

function blocks(letters: string): Content {
  return Content.concat([...letters].map((letter) => Content.repeat(Content.text(letter).toBytes(), BLOCK)));
}

const NONE = 99;
const NULL: number = deviceNumber(1, 3);

test("a descriptor that was never open is EBADF for every call on one", () => {
  const f = put("/f", Content.text("x"));
  const calls: readonly (() => unknown)[] = [
    () => task.flock(NONE),
    () => task.lock(NONE),
    () => task.fadvise(NONE),
    () => task.getFlags(NONE),
    () => task.setFlags(NONE, 0),
    () => task.sendfile(NONE, 1),
    () => task.linkFile(NONE, "/new"),
    () => task.clone(NONE, f),
    () => task.clone(f, NONE),
    () => task.copyFileRange(NONE, f, 1),
    () => task.copyFileRange(f, NONE, 1),
    () => task.dedupe({ fd: NONE, offset: 0 }, { fd: f, offset: 0 }, 1),
    () => task.dedupe({ fd: f, offset: 0 }, { fd: NONE, offset: 0 }, 1),
    () => task.fsetxattr(NONE, "user.a", new Uint8Array(1)),
    () => task.fgetxattr(NONE, "user.a"),
    () => task.flistxattr(NONE),
    () => task.fremovexattr(NONE, "user.a"),
    () => task.futimens(NONE, "NOW", "NOW"),
    () => task.fchown(NONE, 1, 1),
    () => task.mmap(NONE, "r", "private"),
    () => task.fdatasync(NONE),
  ];
  expect(calls.map((call) => code(call()))).toEqual(calls.map(() => "EBADF"));
});

test("bits that there are not are EINVAL: of access, rename, lseek and setxattr", () => {
  const f = put("/f", Content.text("x"));
  expect(code(task.access("/f", 8))).toBe("EINVAL");
  expect(code(task.rename("/f", "/g", 64))).toBe("EINVAL");
  expect([code(task.lseek(f, 0, 5)), code(task.lseek(f, 0, -1))]).toEqual(["EINVAL", "EINVAL"]);
  expect(code(task.setxattr("/f", "user.a", new Uint8Array(1), 4))).toBe("EINVAL");
});

test("mknod makes no folder, and nothing of a type that there is not", () => {
  expect(code(task.mknod("/d", S_IFDIR | 0o755))).toBe("EPERM");
  expect(code(task.mknod("/x", 0o030000))).toBe("EINVAL");
  expect(code(task.mknod("/f", 0o644))).toBe("ok");
  expect(must(task.stat("/f")).mode).toBe(S_IFREG | 0o644);
});

describe("locks", () => {
  test("of a range want a descriptor that may read for a shared one, and write for an exclusive one", () => {
    put("/f", Content.text("x"));
    const [r, w] = [must(task.open("/f", O_RDONLY)), must(task.open("/f", O_WRONLY))];
    expect([task.lock(r), task.lock(w, true)]).toEqual([undefined, undefined]);
    expect([code(task.lock(r, true)), code(task.lock(w))]).toEqual(["EBADF", "EBADF"]);
    expect(task.flock(r)).toBeUndefined();
    expect(code(task.flock(must(task.open("/f", O_PATH))))).toBe("EBADF");
  });

  test("and advice are not for FIFOs, nor flags where the filesystem has none for them", () => {
    must(task.mknod("/p", S_IFIFO | 0o644));
    const p = must(task.open("/p", O_RDWR));
    expect(code(task.fadvise(p))).toBe("ESPIPE");
    expect(code(task.setFlags(p, 0x80))).toBe("ENOTTY");
    expect(code(task.sendfile(must(task.open("/p", O_WRONLY)), 1))).toBe("EBADF");
  });
});

describe("execve", () => {
  const ELF = Content.literal(Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2, 1, 1));
  /** A file that nobody writes any more. */
  const putProgram = (path: string, content: Content, mode: number): void => {
    must(task.close(put(path, content, mode)));
  };

  test("takes what begins as an ELF program, itself or as an interpreter, and nothing that only nearly does", () => {
    putProgram("/elf", ELF, 0o755);
    putProgram("/script", Content.text("#! /elf -x\n"), 0o755);
    expect([task.exec("/elf"), task.exec("/script")]).toEqual([undefined, undefined]);
    for (const at of [1, 2, 3]) {
      const raw = ELF.toBytes();
      raw[at] = 0;
      putProgram(`/near${at}`, Content.literal(raw), 0o755);
      expect(code(task.exec(`/near${at}`))).toBe("ENOEXEC");
    }
  });

  test("is ETXTBSY while the file is open for writing, by any name and through an overlay, and not while it is read or only held", () => {
    task = must(host.task.chroot("/m"));
    for (const name of ["low", "up", "work", "merged"]) must(task.mkdir(`/${name}`, 0o755));
    const make = (path: string): void => {
      const fd = must(task.open(path, O_CREAT | O_RDWR, 0o755));
      must(task.write(fd, Content.text("#!/none\n")));
      must(task.close(fd));
    };
    make("/low/f");
    must(task.link("/low/f", "/low/g"));
    const overlay = {
      type: "overlay",
      source: "overlay",
      target: "/m/merged",
      options: "lowerdir=/m/low,upperdir=/m/up,workdir=/m/work",
    };
    expect(host.mount(overlay)).toBeUndefined();
    for (const folder of ["/low", "/merged"]) {
      const answers = (): string[] => ["f", "g"].map((name) => code(task.exec(`${folder}/${name}`)));
      const before = answers();
      const [reading, held] = [must(task.open(`${folder}/f`, O_RDONLY)), must(task.open(`${folder}/f`, O_PATH))];
      expect(answers()).toEqual(before);
      const [one, other] = [must(task.open(`${folder}/f`, O_WRONLY)), must(task.open(`${folder}/f`, O_RDWR))];
      expect(code(task.exec(`${folder}/f`))).toBe("ETXTBSY");
      // Copied up, the file has parted from its other name.
      expect(code(task.exec(`${folder}/g`))).toBe(folder === "/low" ? "ETXTBSY" : before[1]);
      must(task.close(one));
      expect(code(task.exec(`${folder}/f`))).toBe("ETXTBSY");
      must(task.close(other));
      expect(answers()).toEqual(before);
      for (const fd of [reading, held]) must(task.close(fd));
    }
  });

  test("is EACCES on a mount with noexec, as is access for executing; a device is EACCES with nodev", () => {
    expect(host.mount({ type: "tmpfs", source: "none", target: "/m", options: "noexec,nodev" })).toBeUndefined();
    putProgram("/m/elf", ELF, 0o755);
    must(task.mknod("/m/null", S_IFCHR | 0o666, NULL));
    expect([code(task.exec("/m/elf")), code(task.access("/m/elf", 1)), code(task.access("/m", 1))]).toEqual([
      "EACCES",
      "EACCES",
      "ok",
    ]);
    expect(code(task.open("/m/null", O_RDONLY))).toBe("EACCES");
  });
});

describe("FIDEDUPERANGE", () => {
  const range = (fd: number, offset = 0): { fd: number; offset: number } => ({ fd, offset });
  let one: number;
  let other: number;

  beforeEach(() => {
    must(host.mkfs("btrfs", "vda"));
    expect(host.mount({ type: "btrfs", source: "vda", target: "/m" })).toBeUndefined();
    one = put("/m/one", blocks("abcd"));
    other = put("/m/other", blocks("abxd"));
  });

  test("shares what is equal, says of what differs that it does, and of whole blocks alone", () => {
    expect(task.dedupe(range(one), range(other), 2 * BLOCK)).toBe(2 * BLOCK);
    expect(task.dedupe(range(one, 2 * BLOCK), range(other, 2 * BLOCK), BLOCK)).toBeUndefined();
    expect(task.dedupe(range(one), range(other), 0)).toBe(0);
    expect(task.dedupe(range(one), range(other), 100)).toBe(100);
    host.check();
  });

  test("is refused by kind, by way of opening, by place and by overlap", () => {
    const folder = must(task.open("/m", O_RDONLY | O_DIRECTORY));
    must(task.mknod("/m/p", S_IFIFO | 0o644));
    const fifo = must(task.open("/m/p", O_RDWR));
    const writer = must(task.open("/m/one", O_WRONLY));
    const elsewhere = put("/elsewhere", blocks("a"));
    const cases: readonly (readonly [number, number, number, number, number, string])[] = [
      [writer, 0, other, 0, BLOCK, "EINVAL"],
      [folder, 0, other, 0, BLOCK, "EISDIR"],
      [fifo, 0, other, 0, BLOCK, "EINVAL"],
      [one, 0, folder, 0, BLOCK, "EISDIR"],
      [one, 0, fifo, 0, BLOCK, "EINVAL"],
      [one, 0, elsewhere, 0, BLOCK, "EXDEV"],
      [elsewhere, 0, one, 0, BLOCK, "ENOTSUP"],
      [one, -1, other, 0, BLOCK, "EINVAL"],
      [one, 0, other, -BLOCK, BLOCK, "EINVAL"],
      [one, 100, other, 0, BLOCK, "EINVAL"],
      [one, 0, other, 8 * BLOCK, BLOCK, "EINVAL"],
      [one, 0, other, 3 * BLOCK, 2 * BLOCK, "EINVAL"],
      [one, 3 * BLOCK, other, 0, 2 * BLOCK, "EINVAL"],
      [one, 0, one, BLOCK, 2 * BLOCK, "EINVAL"],
    ];
    expect(cases.map(([from, at, to, target, length]) => code(task.dedupe(range(from, at), range(to, target), length)))).toEqual(
      cases.map((row) => row[5]),
    );
  });

  test("wants a target that its caller may write, or owns", () => {
    const others = task.withCredentials({ ...ROOT, uid: 1000, gid: 1000, groups: [], capabilities: 0 });
    const [from, to] = [must(others.open("/m/one", O_RDONLY)), must(others.open("/m/other", O_RDONLY))];
    expect(code(others.dedupe(range(from), range(to), BLOCK))).toBe("EPERM");
    must(task.chmod("/m/other", 0o666));
    expect(others.dedupe(range(from), range(to), BLOCK)).toBe(BLOCK);
  });
});

test("a clone or a copy between filesystems is EXDEV", () => {
  must(host.mkfs("ext4", "vda"));
  expect(host.mount({ type: "ext4", source: "vda", target: "/m" })).toBeUndefined();
  const [one, other] = [put("/m/f", blocks("a")), put("/f", blocks("b"))];
  expect([code(task.clone(one, other)), code(task.copyFileRange(one, other, 10))]).toEqual(["EXDEV", "EXDEV"]);
});

test("a mapping is of a regular file; and what is mounted on cannot be removed", () => {
  must(task.mknod("/null", S_IFCHR | 0o666, NULL));
  expect(code(task.mmap(must(task.open("/null", O_RDWR)), "r", "private"))).toBe("ENODEV");
  put("/f", Content.text("x"));
  const { mount } = must(task.resolve("/f"));
  expect(host.mount({ type: "tmpfs", source: "none", target: "/m" })).toBeUndefined();
  expect([code(task.rmdir("/m")), mount.fs.type]).toEqual(["EBUSY", "tmpfs"]);
});
