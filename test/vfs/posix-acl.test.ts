/** Access control lists where traces cannot reach: ids and sizes that a script cannot write, what a disk keeps, and filesystems without lists. */
import { expect, test } from "vitest";
import { E2BIG, EACCES, EINVAL, ENODATA, ENOSPC, ENOTSUP, type Errno, isErrno } from "../../sim/core/errno.ts";
import { MIB } from "../../sim/core/units.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { credentialsOf } from "../../sim/vfs/credentials.ts";
import { newAttributes, O_CREAT, O_WRONLY } from "../../sim/vfs/filesystem.ts";
import { type Acl, aclBytes, aclKindOf, aclPermits, isValidAcl, parseAcl } from "../../sim/vfs/posix-acl.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { aclText } from "../../src/fuzz/acl-text.ts";
import { ZfsLab } from "../cow/zfs-lab.ts";
import { AufsLab } from "../union/aufs-lab.ts";
import { testHost } from "./host.ts";

const ACCESS = "system.posix_acl_access";
const DEFAULT = "system.posix_acl_default";

function bytesOf(list: string): Uint8Array {
  return Uint8Array.from(aclText(list), (letter) => letter.charCodeAt(0));
}
function aclOf(list: string): Acl {
  return parseAcl(bytesOf(list)) as Acl;
}
/** What getxattr shows of a list. */
function bytesWithoutIds(list: string): Uint8Array {
  return aclBytes(aclOf(list));
}
/** A list with so many named users, from 1000 on. */
function many(count: number): Uint8Array {
  const named = Array.from({ length: count }, (_, n) => ({ tag: 2, permissions: 4, id: 1000 + n }));
  const [owner, ...others] = aclOf("u::rwx,g::r-x,m::r-x,o::---");
  return aclBytes([owner as Acl[0], ...named, ...others]);
}
function make(task: Task, path: string): void {
  const fd = task.open(path, O_CREAT | O_WRONLY, 0o644);
  if (isErrno(fd)) throw new Error(fd.code);
  task.close(fd);
}
function ok(answer: Errno | undefined): void {
  expect(answer).toBeUndefined();
}
function permissionsOf(task: Task, path: string): string {
  const of = task.stat(path, newAttributes());
  if (isErrno(of)) throw new Error(of.code);
  return (of.mode & 0o7777).toString(8);
}

test("a list shows 2^32 - 1 as the id of an entry that names nobody, whatever was set", () => {
  const { task, check } = testHost();
  make(task, "/f");
  const value = bytesOf("u::rw-,u:7:r--,g::r--,m::r--,o::---");
  new DataView(value.buffer).setUint32(8, 99, true);
  ok(task.setxattr("/f", ACCESS, value));
  const shown = task.getxattr("/f", ACCESS);
  const view = new DataView((shown as Uint8Array).buffer);
  expect([view.getUint32(8, true), view.getUint32(16, true)]).toEqual([0xffffffff, 7]);
  check();
});

test("a named user or group with the id 2^32 - 1 is no list", () => {
  const value = bytesOf("u::rw-,u:7:r--,g::r--,m::r--,o::---");
  new DataView(value.buffer).setUint32(16, 0xffffffff, true);
  expect(parseAcl(value)).toBe(EINVAL);
  const owner = bytesOf("u::rw-,g::r--,o::---");
  new DataView(owner.buffer).setUint32(8, 0xffffffff, true);
  expect(isErrno(parseAcl(owner) as Errno)).toBe(false);
});

test("ids beyond 2^31 are users like others", () => {
  const acl: Acl = aclOf("u::rw-,u:7:r--,g::r--,m::r--,o::---").map((entry) =>
    entry.tag === 2 ? { ...entry, id: 0xfffffffe } : entry,
  );
  expect(isValidAcl(acl)).toBe(true);
  expect(aclPermits(acl, credentialsOf(0xfffffffe, 1), 4, 0)).toBe(true);
  expect(aclPermits(acl, credentialsOf(0xfffffffd, 1), 4, 0)).toBe(false);
});

test("a named user's own entry decides, though a group of his would allow more", () => {
  const acl = aclOf("u::rwx,u:7:r--,g::rwx,g:8:rwx,m::rwx,o::rwx");
  expect(aclPermits(acl, credentialsOf(7, 8), 2, 8)).toBe(false);
  expect(aclPermits(acl, credentialsOf(6, 8), 2, 8)).toBe(true);
});

test("no single group has all that is wanted, though two have it together", () => {
  const acl = aclOf("u::rwx,g::r--,g:8:-w-,m::rwx,o::rwx");
  const who = credentialsOf(7, 5, [8]);
  expect(aclPermits(acl, who, 4, 5)).toBe(true);
  expect(aclPermits(acl, who, 2, 5)).toBe(true);
  expect(aclPermits(acl, who, 6, 5)).toBe(false);
});

test("only the two names are lists", () => {
  expect([ACCESS, DEFAULT, `${ACCESS}x`, "system.posix_acl", "user.k"].map(aclKindOf)).toEqual([
    "access",
    "default",
    undefined,
    undefined,
    undefined,
  ]);
});

/** A filesystem on a disk of its own, mounted on /mnt. */
function mounted(type: string): Host {
  const host = createHost();
  const disk = host.addDisk({ size: MIB(600) });
  ok(host.mkfs(type, disk.name));
  ok(host.task.mkdir("/mnt"));
  mount(host, type);
  host.task.umask = 0;
  return host;
}
function mount(host: Host, type: string): void {
  const [disk] = host.disks.keys();
  expect(host.mount({ type, source: disk ?? "", target: "/mnt" })).toBeUndefined();
}

test.each(["ext4", "xfs", "btrfs"])(
  "lists, and modes beside them, lie on the disk of %s: another mount shows the same",
  (type) => {
    const host = mounted(type);
    const { task } = host;
    ok(task.mkdir("/mnt/d", 0o755));
    ok(task.setxattr("/mnt/d", DEFAULT, bytesOf("u::rwx,u:7:rwx,g::r-x,m::rwx,o::---")));
    make(task, "/mnt/d/f");
    ok(task.chmod("/mnt/d/f", 0o640));
    const look = (): unknown =>
      ["/mnt/d", "/mnt/d/f"].map((path) => [
        permissionsOf(task, path),
        task.getxattr(path, ACCESS),
        task.getxattr(path, DEFAULT),
      ]);
    const before = look();
    expect(before).toEqual([
      ["755", ENODATA, bytesWithoutIds("u::rwx,u:7:rwx,g::r-x,m::rwx,o::---")],
      ["640", bytesWithoutIds("u::rw-,u:7:rwx,g::r-x,m::r--,o::---"), ENODATA],
    ]);
    ok(host.unmount("/mnt"));
    mount(host, type);
    expect(look()).toEqual(before);
    host.check();
  },
);

test("ext4 has room for as many entries as fit a block, and makes nothing in a directory whose two lists would not", () => {
  const host = mounted("ext4");
  const { task } = host;
  ok(task.mkdir("/mnt/d", 0o777));
  expect(task.setxattr("/mnt/d", DEFAULT, many(504))).toBe(ENOSPC);
  ok(task.setxattr("/mnt/d", DEFAULT, many(503)));
  ok(task.setxattr("/mnt/d", DEFAULT, many(400)));
  // One of the two fits a block.
  make(task, "/mnt/d/f");
  const before = task.statfs("/mnt");
  expect(task.mkdir("/mnt/d/e", 0o777)).toBe(ENOSPC);
  expect(task.statfs("/mnt")).toEqual(before);
  expect(task.readdir("/mnt/d")).toHaveLength(1);
  ok(task.unlink("/mnt/d/f"));
  host.check();
});

test("xfs takes no more than 5461 entries, and shows a list as it lies on the disk too, to who may see it", () => {
  const host = mounted("xfs");
  const { task } = host;
  make(task, "/mnt/f");
  expect(task.setxattr("/mnt/f", ACCESS, many(5458))).toBe(E2BIG);
  ok(task.setxattr("/mnt/f", ACCESS, many(5457)));
  ok(task.setxattr("/mnt/f", ACCESS, bytesOf("u::rw-,u:7:r--,g::r--,m::r--,o::---")));
  expect(task.listxattr("/mnt/f")).toEqual([ACCESS, "trusted.SGI_ACL_FILE"]);
  expect(task.withCredentials(credentialsOf(7, 7)).listxattr("/mnt/f")).toEqual([ACCESS]);
  const raw = task.getxattr("/mnt/f", "trusted.SGI_ACL_FILE") as Uint8Array;
  expect([...raw.subarray(0, 28)]).toEqual([
    0, 0, 0, 5, 0, 0, 0, 1, 255, 255, 255, 255, 0, 6, 0, 0, 0, 0, 0, 2, 0, 0, 0, 7, 0, 4, 0, 0,
  ]);
  // Set as it lies there, it counts at once; the mode stays.
  const other = raw.slice();
  other[25] = 0;
  ok(task.setxattr("/mnt/f", "trusted.SGI_ACL_FILE", other));
  expect(task.withCredentials(credentialsOf(7, 7)).access("/mnt/f", 4)).toBe(EACCES);
  expect(permissionsOf(task, "/mnt/f")).toBe("640");
  ok(task.removexattr("/mnt/f", "trusted.SGI_ACL_FILE"));
  expect(task.getxattr("/mnt/f", ACCESS)).toBe(ENODATA);
  host.check();
});

test("a dataset of zfs keeps no lists unless it is told to: acltype is off", () => {
  const lab = new ZfsLab();
  const fs = lab.mount(lab.create(), "tank");
  const { vfs } = createHost();
  const task = vfs.task(vfs.mountRoot(fs));
  ok(task.mkdir("/d", 0o755));
  expect(task.setxattr("/d", DEFAULT, bytesOf("u::rwx,g::r-x,o::---"))).toBe(ENOTSUP);
  expect(task.setxattr("/d", ACCESS, Uint8Array.of(2, 0))).toBe(EINVAL);
  expect(task.getxattr("/d", ACCESS)).toBe(ENOTSUP);
  expect(task.removexattr("/d", DEFAULT)).toBe(ENOTSUP);
  expect(task.listxattr("/d")).toEqual([]);
});

test("aufs heeds lists under the option acl alone, copies them up, and inherits those of a branch", () => {
  const lab = new AufsLab();
  const low = lab.branch("low", { "d/": "", f: "x" });
  ok(lab.task.setxattr(`${low}/d`, DEFAULT, bytesOf("u::rwx,u:7:rwx,g::r-x,m::rwx,o::---")));
  ok(lab.task.setxattr(`${low}/f`, ACCESS, bytesOf("u::rw-,u:7:rw-,g::r--,m::rw-,o::---")));
  const plain = lab.over([low]);
  expect(plain.task.getxattr("/f", ACCESS)).toBe(ENOTSUP);
  expect(plain.task.setxattr("/f", ACCESS, bytesOf("u::rw-,g::r--,o::---"))).toBe(ENOTSUP);
  ok(plain.task.chmod("/f", 0o600));
  // The copy has what the branch's file had, masked by the mode.
  expect(lab.task.getxattr(`${plain.upper}/f`, ACCESS)).toEqual(bytesWithoutIds("u::rw-,u:7:rw-,g::r--,m::---,o::---"));
  const heeding = lab.over([low], ",acl");
  expect(heeding.task.withCredentials(credentialsOf(7, 7)).access("/f", 2)).toBeUndefined();
  expect(heeding.task.withCredentials(credentialsOf(8, 8)).access("/f", 2)).toBe(EACCES);
  ok(heeding.task.mkdir("/d/new", 0o777));
  expect(permissionsOf(heeding.task, "/d/new")).toBe("770");
  expect(lab.task.getxattr(`${heeding.upper}/d/new`, DEFAULT)).toEqual(bytesWithoutIds("u::rwx,u:7:rwx,g::r-x,m::rwx,o::---"));
  heeding.fs.check();
});
