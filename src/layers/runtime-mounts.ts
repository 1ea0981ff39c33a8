/**
 * What a running container finds mounted beside its layer (runc 1.1 libcontainer/rootfs_linux.go; moby v20.10.27 oci/defaults.go,
 * daemon/container_operations_unix.go): filesystems in memory at /dev and /dev/shm, and the files of its network, which lie in the daemon's
 * folder of the container. What is written there is in no layer, and none of them can be removed.
 *
 * Limits: /proc and /sys are empty, and nothing can be made in them.
 */
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { deviceNumber } from "../../sim/core/units.ts";
import { Tmpfs } from "../../sim/fs/tmpfs.ts";
import type { Host } from "../../sim/host.ts";
import { S_IFCHR } from "../../sim/vfs/filesystem.ts";
import type { Mount } from "../../sim/vfs/mount.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { DOCKER_ROOT } from "../drivers/docker-root.ts";
import { type DriverError, pathError } from "../drivers/driver.ts";
import { makeDirectories, removeAll, writeFile } from "../drivers/files.ts";
import type { MountPoint } from "./volumes.ts";

const HOSTS =
  "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\nff00::0\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";
/** Characters of an id that serve as the host's name. */
const SHORT_ID = 12;

/** In the order in which they are mounted; /dev is filled before anything is mounted in it. */
const FILESYSTEMS: readonly { readonly path: string; readonly mode: number; readonly readOnly: boolean }[] = [
  { path: "/proc", mode: 0o555, readOnly: true },
  { path: "/dev", mode: 0o755, readOnly: false },
  { path: "/sys", mode: 0o555, readOnly: true },
  { path: "/dev/shm", mode: 0o1777, readOnly: false },
];

/** Character devices in /dev, by their numbers. */
const DEVICES: readonly (readonly [string, number, number])[] = [
  ["null", 1, 3],
  ["random", 1, 8],
  ["full", 1, 7],
  ["tty", 5, 0],
  ["zero", 1, 5],
  ["urandom", 1, 9],
];
const LINKS: readonly (readonly [string, string])[] = [
  ["fd", "/proc/self/fd"],
  ["stdin", "/proc/self/fd/0"],
  ["stdout", "/proc/self/fd/1"],
  ["stderr", "/proc/self/fd/2"],
  ["ptmx", "pts/ptmx"],
];

function folderOf(id: string): string {
  return `${DOCKER_ROOT}/containers/${id}`;
}

/** Makes the files of a container's network. @returns where they are mounted */
export function makeNetworkFiles(host: Host, id: string): readonly MountPoint[] | DriverError {
  const folder = folderOf(id);
  const texts = { "resolv.conf": "nameserver 127.0.0.53\n", hostname: `${id.slice(0, SHORT_ID)}\n`, hosts: HOSTS };
  let failed = makeDirectories(host.task, folder, 0o710);
  for (const [name, text] of Object.entries(texts)) failed ??= writeFile(host.task, `${folder}/${name}`, { text, mode: 0o644 });
  if (failed !== undefined) return failed;
  return Object.keys(texts).map((name) => ({ source: `${folder}/${name}`, path: `/etc/${name}`, readOnly: false }));
}

/** Removes them with the container. */
export function removeNetworkFiles(host: Host, id: string): DriverError | undefined {
  return removeAll(host.task, folderOf(id));
}

/** Mounts the filesystems in memory in a container's tree of mounts. @param inside - a process at its top */
export function mountRuntime(host: Host, inside: Task): readonly Mount[] | DriverError {
  const mounts: Mount[] = [];
  for (const { path, mode, readOnly } of FILESYSTEMS) {
    const fs = new Tmpfs(host, { mode, device: host.anonymousNumber() });
    const mount = host.vfs.mount(inside, fs, path, { readOnly, source: "tmpfs" });
    if (isErrno(mount)) {
      for (const one of mounts.reverse()) host.vfs.unmountMount(one, true);
      return pathError("mount", `tmpfs:${path}`, mount);
    }
    mounts.push(mount);
    const errno = path === "/dev" ? fillDev(inside) : undefined;
    if (errno !== undefined) return pathError("mknod", path, errno);
  }
  return mounts;
}

function fillDev(inside: Task): Errno | undefined {
  const { umask } = inside;
  inside.umask = 0;
  let errno = inside.mkdir("/dev/pts", 0o755) ?? inside.mkdir("/dev/shm", 0o1777) ?? inside.mkdir("/dev/mqueue", 0o1777);
  for (const [name, major, minor] of DEVICES) errno ??= inside.mknod(`/dev/${name}`, S_IFCHR | 0o666, deviceNumber(major, minor));
  for (const [name, target] of LINKS) errno ??= inside.symlink(target, `/dev/${name}`);
  inside.umask = umask;
  return errno;
}
