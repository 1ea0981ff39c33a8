/** Option userxattr of overlayfs: its own xattrs are user.overlay.*, which only files and directories can have (asked of Linux 6.18 on tmpfs). */
import { expect, test } from "vitest";
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
