/**
 * FICLONE and copy_file_range(2): what is asked first, and of whom (fs/remap_range.c, generic_remap_file_range_prep; fs/read_write.c,
 * vfs_copy_file_range; fs/overlayfs/file.c, ovl_copyfile; Linux 6.18, recorded in test/data/traces/sharing-*).
 */
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { GIB } from "../../sim/core/units.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { O_CREAT, O_RDONLY, O_RDWR } from "../../sim/vfs/filesystem.ts";
import { IMMUTABLE } from "../../sim/vfs/inode-flags.ts";
import { must } from "../../src/testing/expect.ts";

const CAPABILITY = Uint8Array.from([1, 0, 0, 2, 1, ...new Array<number>(15).fill(0)]);

/** A filesystem, or with "overlay" before it one with an overlay on it, at /m. */
function ground(kind: string): Host {
  const host = createHost();
  const [type = "", isUnion] = kind.split(" ").reverse();
  for (const path of ["/f", "/m"]) must(host.task.mkdir(path));
  const disk = type === "tmpfs" ? "" : host.addDisk({ size: GIB(1) }).name;
  if (disk !== "") must(host.mkfs(type, disk));
  must(host.mount({ type, source: disk, target: isUnion === undefined ? "/m" : "/f" }) as undefined);
  if (isUnion === undefined) return host;
  for (const path of ["/f/l", "/f/u", "/f/w"]) must(host.task.mkdir(path));
  must(
    host.mount({ type: "overlay", source: "o", target: "/m", options: "lowerdir=/f/l,upperdir=/f/u,workdir=/f/w" }) as undefined,
  );
  return host;
}

function opened(host: Host, path: string, flags: number, text = ""): number {
  const fd = must(host.task.open(path, flags, 0o644));
  if (text !== "") must(host.task.write(fd, Content.text(text)));
  return fd;
}
const code = (answer: unknown): string =>
  isErrno(answer) ? (answer as Errno).code : answer === undefined ? "ok" : String(answer);

test.each([
  ["xfs", "EPERM", "EPERM"],
  ["btrfs", "EPERM", "EPERM"],
  ["ext4", "ENOTSUP", "EPERM"],
  ["tmpfs", "ENOTSUP", "EPERM"],
  // The flag is an xattr of the upper file, which the file below does not have as a flag.
  ["overlay xfs", "ok", "EPERM"],
  ["overlay btrfs", "ok", "EPERM"],
  ["overlay ext4", "ENOTSUP", "EPERM"],
])("a file of %s that became immutable while it was open: a clone into it is %s, a copy %s", (kind, clone, copy) => {
  const host = ground(kind);
  const source = opened(host, "/m/source", O_RDWR | O_CREAT, "bytes");
  const target = opened(host, "/m/target", O_RDWR | O_CREAT);
  const place = must(host.task.resolve("/m/target"));
  must(place.mount.fs.setFileFlags?.(place.inode, IMMUTABLE));
  expect([code(host.task.clone(source, target)), code(host.task.copyFileRange(source, target, 5))]).toEqual([clone, copy]);
  host.check();
});

test.each([
  ["xfs", "of nothing", "ok", true],
  ["xfs", "onto itself", "EINVAL", true],
  ["btrfs", "onto itself", "EINVAL", true],
  ["ext4", "of bytes", "ENOTSUP", true],
  ["xfs", "of bytes", "ok", false],
  ["xfs", "over more bytes", "EINVAL", true],
  ["overlay xfs", "onto itself", "EINVAL", false],
  ["overlay ext4", "of bytes", "ENOTSUP", false],
])("on %s a clone %s is %s, and the target keeps its capability: %s", (kind, what, answer, keeps) => {
  const host = ground(kind);
  const source = opened(host, "/m/source", O_RDWR | O_CREAT, what === "of nothing" ? "" : "bytes");
  const target = opened(host, "/m/target", O_RDWR | O_CREAT, what === "over more bytes" ? "others" : "other");
  must(host.task.setxattr("/m/target", "security.capability", CAPABILITY));
  expect(code(host.task.clone(what === "onto itself" ? target : source, target))).toBe(answer);
  expect(!isErrno(host.task.getxattr("/m/target", "security.capability"))).toBe(keeps);
});

test("a copy from a lower file to an upper one stays within one filesystem", () => {
  for (const [lower, answer] of [
    ["/f/l", "5"],
    ["/other", "EXDEV"],
  ] as const) {
    const host = ground("xfs");
    for (const path of ["/f/l", "/f/u", "/f/w", "/other", "/n"]) must(host.task.mkdir(path) ?? undefined);
    must(host.task.mkdir("/m/l"));
    for (const name of ["u", "w"]) must(host.task.mkdir(`/m/${name}`));
    const below = lower === "/other" ? lower : "/m/l";
    if (lower === "/other") must(host.mount({ type: "tmpfs", source: "t", target: "/other" }) as undefined);
    opened(host, `${below}/low`, O_RDWR | O_CREAT, "bytes");
    must(
      host.mount({
        type: "overlay",
        source: "o",
        target: "/n",
        options: `lowerdir=${below},upperdir=/m/u,workdir=/m/w`,
      }) as undefined,
    );
    const source = opened(host, "/n/low", O_RDONLY);
    const target = opened(host, "/n/new", O_RDWR | O_CREAT);
    expect(code(host.task.copyFileRange(source, target, 5))).toBe(answer);
  }
});
