/**
 * Overlayfs's own xattrs as users reach them: which kernel lets whom have one (fs/overlayfs/inode.c of Linux 4.0, super.c of 4.9 and 5.15, xattrs.c of
 * 6.18), and option userxattr, with which they are user.overlay.*, which only files and directories can have (asked of Linux 6.18 on tmpfs).
 */
import { expect, test } from "vitest";
import { type KernelProfile, kernelProfile } from "../../sim/core/kernel-profile.ts";
import { createHost } from "../../sim/host.ts";
import { must } from "./aufs-lab.ts";

test("a file and a directory that were copied keep their inode numbers over a new mount, a link and a FIFO do not", () => {
  const host = createHost();
  const { task } = host;
  task.umask = 0;
  must(task.mkdir("/b", 0o755));
  expect(host.mount({ type: "tmpfs", source: "t", target: "/b", options: "" })).toBeUndefined();
  for (const path of ["/b/l", "/b/u", "/b/w", "/b/m", "/b/l/d"]) must(task.mkdir(path, 0o755));
  must(task.mknod("/b/l/f", 0o100644, 0));
  must(task.mknod("/b/l/p", 0o010644, 0));
  must(task.symlink("x", "/b/l/s"));
  const mount = (): void => {
    const options = "userxattr,lowerdir=/b/l,upperdir=/b/u,workdir=/b/w";
    expect(host.mount({ type: "overlay", source: "overlay", target: "/b/m", options })).toBeUndefined();
  };
  const numbers = (folder: string): number[] => [..."dfps"].map((name) => must(task.lstat(`${folder}/${name}`)).inodeNumber);
  mount();
  const before = numbers("/b/m");
  for (const name of "dfps") must(task.lchown(`/b/m/${name}`, 1, 1));
  expect(numbers("/b/m")).toEqual(before);
  must(host.unmount("/b/m"));
  expect([..."dfps"].map((name) => task.llistxattr(`/b/u/${name}`))).toEqual([
    ["user.overlay.origin"],
    ["user.overlay.origin"],
    [],
    [],
  ]);
  mount();
  expect(numbers("/b/m")).toEqual([...before.slice(0, 2), ...numbers("/b/u").slice(2)]);
  host.check();
});

test.each([
  ["4.8", "EPERM", "ENODATA", "ENODATA"],
  ["4.9", "EPERM", "EPERM", "EPERM"],
  ["5.15", "ENOTSUP", "ENOTSUP", "ENOTSUP"],
  ["6.18", "undefined", "v", "undefined"],
])("on Linux %s an xattr of the overlay's own is set: %s, read: %s, removed: %s", (version, set, read, removed) => {
  const host = createHost({ kernel: kernelProfile(version) as KernelProfile });
  const { task } = host;
  must(task.mkdir("/b", 0o755));
  for (const path of ["/b/l", "/b/u", "/b/w", "/b/m", "/b/l/d"]) must(task.mkdir(path, 0o755));
  const options = "lowerdir=/b/l,upperdir=/b/u,workdir=/b/w";
  expect(host.mount({ type: "overlay", source: "overlay", target: "/b/m", options })).toBeUndefined();
  const own = "trusted.overlay.k";
  const value = new TextEncoder().encode("v");
  expect(String(task.setxattr("/b/m/d", own, value))).toBe(set);
  const found = task.getxattr("/b/m/d", own);
  expect("code" in found ? String(found) : new TextDecoder().decode(found)).toBe(read);
  expect(String(task.removexattr("/b/m/d", own))).toBe(removed);
});
