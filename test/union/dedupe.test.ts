/**
 * FIDEDUPERANGE through an overlay (fs/overlayfs/file.c: ovl_remap_file_range; asked of Linux 6.18): nothing is copied up for it, what is on the
 * upper layer shares there what its filesystem can.
 */
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { MIB } from "../../sim/core/units.ts";
import { createHost } from "../../sim/host.ts";
import { O_CREAT, O_RDONLY, O_RDWR } from "../../sim/vfs/filesystem.ts";
import { must } from "../drivers/docker-host.ts";

const BLOCK = 4096;
const shown = (got: number | undefined | Errno): string => (isErrno(got) ? got.code : `${got ?? "differ"}`);

test.each([
  ["xfs", ["8192", "8192", "EINVAL", "12292", "EINVAL", "differ", "4096", "EINVAL"]],
  ["btrfs", ["8192", "8192", "EINVAL", "12292", "EINVAL", "differ", "4096", "EINVAL"]],
  ["ext4", new Array(8).fill("EINVAL")],
  ["tmpfs", new Array(8).fill("EINVAL")],
])("on %s lower files are refused, upper ones answered as the kernel answers", (type, expected) => {
  const host = createHost({ seed: 1 });
  const { task } = host;
  must(task.mkdir("/b", 0o755));
  const disk = host.addDisk({ size: MIB(512) });
  if (type !== "tmpfs") must(host.mkfs(type, disk.name) ?? 0);
  expect(host.mount({ type, source: type === "tmpfs" ? "t" : disk.name, target: "/b" })).toBeUndefined();
  for (const name of ["l", "u", "w", "m"]) must(task.mkdir(`/b/${name}`, 0o755));
  const put = (path: string, text: string): number => {
    const fd = must(task.open(path, O_CREAT | O_RDWR, 0o644));
    must(task.write(fd, Content.text(text)));
    return fd;
  };
  const text = `${"x".repeat(3 * BLOCK)}tail`;
  for (const name of ["a", "b"]) must(task.close(put(`/b/l/${name}`, text)));
  const options = "lowerdir=/b/l,upperdir=/b/u,workdir=/b/w";
  expect(host.mount({ type: "overlay", source: "o", target: "/b/m", options })).toBeUndefined();
  const share = (from: number, offset: number, length: number, to: number, target = 0): string =>
    shown(task.dedupe({ fd: from, offset }, { fd: to, offset: target }, length));

  const [a, b] = ["/b/m/a", "/b/m/b"].map((path) => must(task.open(path, O_RDONLY))) as [number, number];
  expect([share(a, 0, 8192, b), share(a, 1, 8192, b), share(a, 0, 0, b)]).toEqual(["EPERM", "EPERM", "0"]);
  expect(must(task.readdir("/b/u"))).toEqual([]);
  const copied = must(task.open("/b/m/a", O_RDWR));
  const made = put("/b/m/n", text);
  const other = put("/b/m/e", "x".repeat(BLOCK) + "z".repeat(9000));
  expect([share(copied, 0, 8192, b), share(b, 0, 8192, copied)]).toEqual(["EPERM", "EPERM"]);
  const before = must(task.stat("/b/m/n"));
  expect([
    share(copied, 0, 8192, made),
    share(a, 0, 8192, made),
    share(copied, 1, 8192, made),
    share(copied, 0, 12_292, made),
    share(copied, 0, 20_000, made),
    share(copied, 0, 8192, other),
    share(copied, 0, 4096, other),
    share(copied, 0, 12_288, other, BLOCK),
  ]).toEqual(expected);
  const after = must(task.stat("/b/m/n"));
  expect([after.mtime, after.ctime]).toEqual([before.mtime, before.ctime]);
  host.check();
});
