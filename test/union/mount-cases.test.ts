/**
 * Mounting overlays as the kernel does: the scripts of test/kernel/mounts.ts, whose answers were recorded (spec/union.md A.8).
 */
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { type KernelProfile, k6_18, kernelProfile } from "../../sim/core/kernel-profile.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { DEFAULT_OPTIONS, type OverlayOptions, parseOptions } from "../../sim/union/overlayfs/options.ts";
import { O_APPEND, O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { removeAll } from "../../src/drivers/files.ts";
import type { MountStep } from "../../src/node/kernel-oracle.ts";
import { DATA_LAYER_CASES } from "../kernel/data-layers.ts";
import { MOUNT_CASES } from "../kernel/mounts.ts";
import { must } from "./aufs-lab.ts";

const ROOT = "/t";
const READ_MAX = 100_000;

function makeAll(host: Host, path: string): Errno | undefined {
  const above = path.slice(0, path.lastIndexOf("/"));
  if (above !== "" && isErrno(host.task.stat(above))) makeAll(host, above);
  const made = host.task.mkdir(path, 0o755);
  return made?.code === "EEXIST" ? undefined : made;
}

function textOf(answer: Answer): string {
  return typeof answer === "string" ? answer : (answer?.code ?? "ok");
}

/** What a call answered: a text of its own, or its errno. */
type Answer = string | Errno | undefined;

function perform(host: Host, step: MountStep): Answer {
  const { task } = host;
  const path = `${ROOT}/${step.path}`;
  switch (step.do) {
    case "mkdir":
      return makeAll(host, path);
    case "file":
      return task.mknod(path, 0o100644, 0);
    case "rmdir":
      return removeAll(task, path)?.errno;
    case "exists": {
      const of = task.lstat(path);
      return isErrno(of) ? of : undefined;
    }
    case "umount":
      return host.unmount(path);
    case "overlay": {
      makeAll(host, path);
      const request = { type: "overlay", source: "overlay", target: path, directory: ROOT };
      return host.mount({ ...request, options: step.options ?? "" })?.errno;
    }
    case "remount":
      return host.remount(path, step.options ?? "")?.errno;
    default:
      return performOnFile(task, step, path);
  }
}

function performOnFile(task: Task, step: MountStep, path: string): Answer {
  switch (step.do) {
    case "write":
      return put(task, path, O_TRUNC, step.text ?? "");
    case "append":
      return put(task, path, O_APPEND, step.text ?? "");
    case "symlink":
      return task.symlink(step.text ?? "", path);
    case "metacopy":
      return makeMetacopy(task, step, path);
    case "chmod":
      return task.chmod(path, 0o600);
    case "unlink":
      return task.unlink(path);
    case "stat": {
      const of = task.lstat(path);
      return isErrno(of) ? of : `${of.size} bytes, ${of.blocks} blocks`;
    }
    default: {
      const fd = task.open(path, O_RDONLY);
      if (isErrno(fd)) return fd;
      const content = task.read(fd, READ_MAX);
      task.close(fd);
      return isErrno(content) ? content : `read ${content.toText()}`;
    }
  }
}

function put(task: Task, path: string, how: number, text: string): Errno | undefined {
  const fd = task.open(path, O_WRONLY | O_CREAT | how, 0o644);
  if (isErrno(fd)) return fd;
  const written = task.write(fd, Content.text(text));
  task.close(fd);
  return isErrno(written) ? written : undefined;
}

function makeMetacopy(task: Task, { size = 0, redirect }: MountStep, path: string): Errno | undefined {
  return (
    put(task, path, O_TRUNC, "") ??
    task.truncate(path, size) ??
    task.setxattr(path, "trusted.overlay.metacopy", new Uint8Array(0)) ??
    (redirect === undefined ? undefined : task.setxattr(path, "trusted.overlay.redirect", new TextEncoder().encode(redirect)))
  );
}

test.each([...MOUNT_CASES, ...DATA_LAYER_CASES])("$name: answered as the kernel answers", ({ steps, answers }) => {
  const host = createHost();
  makeAll(host, ROOT);
  host.mount({ type: "tmpfs", source: "tmpfs", target: ROOT });
  expect(steps.map((step) => textOf(perform(host, step)))).toEqual(answers);
  host.check();
});

test.each<readonly [string, Partial<OverlayOptions>]>([
  ["", {}],
  ["index=on", { index: true }],
  ["index=off", {}],
  ["redirect_dir=on", { redirectDir: "on" }],
  ["redirect_dir=off", {}],
  ["redirect_dir=follow", {}],
  ["redirect_dir=nofollow", { redirectDir: "nofollow" }],
  ["metacopy=on", { metacopy: true, redirectDir: "on" }],
  ["metacopy=off,redirect_dir=on", { redirectDir: "on" }],
  ["nfs_export=on", { nfsExport: true, index: true }],
  ["nfs_export=off", {}],
  ["xino=on", { xino: "on" }],
  ["xino=auto", { xino: "auto" }],
  ["xino=off", {}],
  ["verity=on", { verity: "on" }],
  ["verity=require", { verity: "require" }],
  ["verity=off", {}],
  ["uuid=on,uuid=off,uuid=null,uuid=auto", {}],
  ["uuid=off", { uuid: "off" }],
  ["volatile", { fsync: "volatile" }],
  ["fsync=volatile,fsync=auto", {}],
  ["volatile,fsync=strict", { fsync: "strict" }],
  ["fsync=volatile", { fsync: "volatile" }],
  ["override_creds,nooverride_creds", {}],
  ["userxattr", { userxattr: true, redirectDir: "nofollow" }],
  ["default_permissions", { defaultPermissions: true }],
])("%s sets what it says, and nothing else", (words, options) => {
  const given = `lowerdir=/l\\:1:/l2::/d,upperdir=/u\\,1,workdir=/w,${words}`;
  expect(parseOptions(given, k6_18.overlay, (path) => path)).toEqual({
    lower: ["/l:1", "/l2"],
    dataOnly: ["/d"],
    upper: "/u,1",
    work: "/w",
    options: { ...DEFAULT_OPTIONS, ...options },
  });
});

test("without a word redirects are followed and not made, and nothing is on (asked of 6.18)", () => {
  expect(DEFAULT_OPTIONS).toEqual({
    redirectDir: "follow",
    index: false,
    metacopy: false,
    nfsExport: false,
    verity: "off",
    xino: "off",
    fsync: "auto",
    uuid: "auto",
    userxattr: false,
    defaultPermissions: false,
  });
});

test.each([
  ["", "overlayfs: missing 'lowerdir'"],
  ["upperdir=/u,workdir=/w", "overlayfs: missing 'lowerdir'"],
  ["lowerdir=/l", "overlayfs: at least 2 lowerdir are needed while upperdir nonexistent"],
  ["datadir+=/l", "overlayfs: at least 2 lowerdir are needed while upperdir nonexistent"],
  ["lowerdir=/l,upperdir=/u", "overlayfs: missing 'workdir'"],
  ["lowerdir=/l:/file,upperdir=/u,workdir=/w", "overlay: /file is not a directory"],
  ["lowerdir=/l,upperdir=/file,workdir=/w", "overlay: /file is not a directory"],
  ["lowerdir=/l,upperdir=/u,workdir=/file", "overlay: /file is not a directory"],
  ["lowerdir=:/l", "overlayfs: cannot append lower layer"],
  ["lowerdir=/l:", "overlayfs: unescaped trailing colons in lowerdir mount option."],
  [
    "lowerdir=/l:::/l2",
    "overlayfs: only single ':' or double '::' sequences of unescaped colons in lowerdir mount option allowed.",
  ],
  ["lowerdir=/l::/l2:/u", "overlayfs: regular lower layers cannot follow data lower layers"],
  ["lowerdir=/l:/none", "overlayfs: failed to resolve '/none': -2"],
  ["lowerdir=/none,index=bad", "overlayfs: failed to resolve '/none': -2"],
  ["index=bad,lowerdir=/none", "overlay: Bad value for 'index'"],
  ["lowerdir=/none,lowerdir=/l,upperdir=/u,workdir=/w", "overlayfs: failed to resolve '/none': -2"],
  ["lowerdir=/l,lowerdir+=/none,upperdir=/u,workdir=/w", "overlayfs: failed to resolve '/none': -2"],
  ["lowerdir+=/l:/l2,upperdir=/u,workdir=/w", "overlayfs: failed to resolve '/l:/l2': -2"],
  ["lowerdir=/l::/l2:/none", "overlayfs: regular lower layers cannot follow data lower layers"],
  ["lowerdir=/none::/l2:/u", "overlayfs: failed to resolve '/none': -2"],
  ["lowerdir=/l:/l2,lowerdir=", "overlayfs: missing 'lowerdir'"],
  ["lowerdir=/l,upperdir=,workdir=/w", "overlay: Bad value for 'upperdir'"],
  ["lowerdir=/l,upperdir=/u,workdir", "overlay: Bad value for 'workdir'"],
  ["lowerdir+=", "overlay: Bad value for 'lowerdir+'"],
  ["lowerdir=/l,upperdir=/u,workdir=/none", "overlayfs: failed to resolve '/none': -2"],
  ["lowerdir=/l,upperdir=/u,workdir=/u/w", "overlayfs: workdir and upperdir must be separate subtrees"],
  ["lowerdir=/l,upperdir=/u,workdir=/ro", "overlay: filesystem on /ro is read-only"],
  ["lowerdir=/l,upperdir=/ro,workdir=/ro", "overlay: filesystem on /ro is read-only"],
  ["lowerdir=/l,upperdir=/u,workdir=/other", "overlayfs: workdir and upperdir must reside under the same mount"],
  ["lowerdir=/l:/l,upperdir=/u,workdir=/w", "overlayfs: conflicting lowerdir path"],
  ["lowerdir=/l:/l/in,upperdir=/u,workdir=/w", "overlayfs: overlapping lowerdir path"],
  ["lowerdir=/w,upperdir=/u,workdir=/w", "overlayfs: conflicting lowerdir path"],
  ["lowerdir=/u/w,upperdir=/l,workdir=/u", "overlayfs: overlapping lowerdir path"],
  ["datadir+=/l,datadir+=/l2", "overlayfs: at least one non-data lowerdir is required"],
  ["datadir+=/l,upperdir=/u,workdir=/other", "overlayfs: workdir and upperdir must reside under the same mount"],
  ["lowerdir=/l,lowerdir+=/l2,upperdir=/u,workdir=/w", "overlay: lowerdir+ and datadir+ cannot follow lowerdir"],
  ["datadir+=/l,lowerdir+=/l2,upperdir=/u,workdir=/w", "overlay: regular lower layers cannot follow data layers"],
  [`lowerdir=${Array(501).fill("/l").join(":")}`, "overlayfs: too many lower directories, limit is 500"],
  ["lowerdir=/l,upperdir=/o/a,workdir=/o/b", "overlay: filesystem on /o/a not supported as upperdir"],
  ["lowerdir=/o2:/l2", "overlayfs: maximum fs stacking depth exceeded"],
  ...[
    ["upperdir", "lowerdir=/l,upperdir=/u1,workdir=/w"],
    ["workdir", "lowerdir=/l,upperdir=/u,workdir=/w1"],
    ["lowerdir", "lowerdir=/u1,upperdir=/u,workdir=/w"],
  ].map(([what, options]) => [
    `${options},index=on`,
    `overlayfs: ${what} is in-use as upperdir/workdir of another mount, mount with '-o index=off' to override exclusive upperdir protection.`,
  ]),
])("layers %s are refused in the words of Linux 6.18", (options, text) => {
  const host = createHost();
  const { task } = host;
  for (const path of ["/l", "/l/in", "/l2", "/u", "/u/w", "/w", "/m", "/ro", "/other", "/o", "/o2", "/u1", "/w1"])
    must(task.mkdir(path, 0o755));
  must(task.mknod("/file", 0o100644));
  const mount = (type: string, target: string, data: string): unknown => host.mount({ type, source: "t", target, options: data });
  expect([mount("tmpfs", "/ro", "ro"), mount("tmpfs", "/other", "")]).toEqual([undefined, undefined]);
  expect(mount("overlay", "/o", "lowerdir=/l,upperdir=/u1,workdir=/w1")).toBeUndefined();
  for (const path of ["/o/a", "/o/b"]) must(task.mkdir(path, 0o755));
  expect(mount("overlay", "/o2", "lowerdir=/o:/l")).toBeUndefined();
  expect(mount("overlay", "/m", options as string)).toMatchObject({ message: text });
});

test.each([
  ["nonsense", "overlay: Unknown parameter 'nonsense'"],
  ["index=bad", "overlay: Bad value for 'index'"],
  ["metacopy", "overlay: Bad value for 'metacopy'"],
  ["lowerdir", "overlay: Bad value for 'lowerdir'"],
  ["verity=bad", "overlay: Bad value for 'verity'"],
  ["userxattr=1", "overlay: Unexpected value for 'userxattr'"],
  ["fsync=ordered", "overlay: Bad value for 'fsync'"],
  ["override_creds=on", "overlay: Unexpected value for 'override_creds'"],
  ["userxattr,redirect_dir=off", "overlayfs: conflicting options: userxattr,redirect_dir=follow"],
  ["userxattr,metacopy=on", "overlayfs: conflicting options: userxattr,metacopy=on"],
  ["nfs_export=on,index=off", "overlayfs: conflicting options: nfs_export=on,index=off"],
  ["nfs_export=on,metacopy=on", "overlayfs: conflicting options: nfs_export=on,metacopy=on"],
  ["metacopy=on,redirect_dir=off", "overlayfs: conflicting options: metacopy=on,redirect_dir=follow"],
])("%s is refused in the words of Linux 6.18", (option, text) => {
  const host = createHost();
  for (const path of ["/l", "/u", "/w", "/m"]) host.task.mkdir(path, 0o755);
  const options = `lowerdir=/l,upperdir=/u,workdir=/w,${option}`;
  expect(host.mount({ type: "overlay", source: "overlay", target: "/m", options })).toMatchObject({ message: text });
});

test.each([
  ["4.9", "redirect_dir=on"],
  ["4.12", "index=off"],
  ["5.9", "volatile"],
  ["6.4", "lowerdir+=/l"],
])("Linux %s does not know %s yet, and says so in its words", (version, option) => {
  const host = createHost({ kernel: kernelProfile(version) as KernelProfile });
  for (const path of ["/l", "/u", "/w", "/m"]) host.task.mkdir(path, 0o755);
  const options = `lowerdir=/l,upperdir=/u,workdir=/w,${option}`;
  const message = `overlayfs: unrecognized mount option "${option}" or missing value`;
  expect(host.mount({ type: "overlay", source: "overlay", target: "/m", options })).toMatchObject({ message });
});
