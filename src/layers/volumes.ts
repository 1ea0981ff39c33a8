/**
 * What `docker run -v` mounts in a container: volumes of Docker's, and folders or files of the host (bind mounts).
 *
 * Rule (moby v20.10.27 daemon/create_unix.go, container/container_unix.go; runc libcontainer/rootfs_linux.go):
 * - A volume is /var/lib/docker/volumes/NAME/_data, so it lies on the backing filesystem and the storage driver never sees what is
 *   written to it. A new one gets what the image has at its mount point, hard links, owners, modes and xattrs included.
 * - The mount point is made in the container's own layer where the image lacks it: `docker diff` shows it.
 * - Mounting happens in a tree of mounts of the container's own (its mount namespace): who looks at the container's layer from the
 *   host, as the naive differ does, sees the mount point and not what covers it.
 *
 * Interface: `prepareVolumes` when the container is created, `enterContainer` when its process starts.
 */
import { isErrno } from "../../sim/core/errno.ts";
import type { Host } from "../../sim/host.ts";
import type { Mount } from "../../sim/vfs/mount.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { hexOf } from "../archive/digest.ts";
import { copyTree, type TreeCopyCounters } from "../drivers/dir-copy.ts";
import { DOCKER_ROOT } from "../drivers/docker-root.ts";
import { DriverError, isDriverError, pathError } from "../drivers/driver.ts";
import {
  exists,
  isDirectory,
  isFilledDirectory,
  makeDirectories,
  parentPath,
  removeAll,
  stat,
  writeFile,
} from "../drivers/files.ts";
import { scopedPath } from "./scoped-path.ts";
import type { VolumeOption } from "./volume-option.ts";

/** A place of the host that a container shows at a place of its own. */
export interface MountPoint {
  readonly source: string;
  readonly path: string;
  readonly readOnly: boolean;
}

/** A process in a container's tree of mounts. */
export interface Entered {
  readonly task: Task;
  /** Unmounts what was mounted for it; its process has left. */
  leave(): void;
}

const VOLUMES = `${DOCKER_ROOT}/volumes`;
/** Bytes of the name of a volume that was given none. */
const NAME_BYTES = 32;

/**
 * Makes what a new container's options name: volumes, filled from the image where they are empty, and folders of the host that are not
 * there (as -v does).
 * @param into - the container's mounted layer, and what counts the filling of volumes
 * @returns what is to be mounted, those on top of others after them
 */
export function prepareVolumes(
  host: Host,
  into: { readonly root: string; readonly counters: TreeCopyCounters },
  options: readonly VolumeOption[],
): MountPoint[] | DriverError {
  const { root, counters } = into;
  const inside = host.task.chroot(root);
  if (isErrno(inside)) return pathError("chroot", root, inside);
  const points: MountPoint[] = [];
  let failed: DriverError | undefined;
  for (const option of options) {
    const source = sourceOf(host, option);
    failed = makeSource(host, source);
    failed ??= option.copies ? fillVolume(host, inside, { root, counters, path: option.path, source }) : undefined;
    if (failed !== undefined) break;
    points.push({ source, path: option.path, readOnly: option.readOnly });
  }
  inside.exit();
  return failed ?? points.sort((one, other) => one.path.split("/").length - other.path.split("/").length);
}

/** Removes the volumes of a container that is gone (docker rm -v of one whose volumes have no names). */
export function removeVolumes(host: Host, points: readonly MountPoint[]): DriverError | undefined {
  for (const { source } of points) {
    const failed = removeAll(host.task, parentPath(source));
    if (failed !== undefined) return failed;
  }
  return undefined;
}

function sourceOf(host: Host, { source }: VolumeOption): string {
  if (source?.startsWith("/") === true) return source;
  return `${VOLUMES}/${source ?? hexOf(host.random.bytes(NAME_BYTES))}/_data`;
}

function makeSource(host: Host, source: string): DriverError | undefined {
  return exists(host.task, source) ? undefined : makeDirectories(host.task, source, 0o755);
}

/** Copies what the container has at the mount point into a volume that is empty. */
function fillVolume(
  host: Host,
  inside: Task,
  { root, counters, path, source }: { root: string; counters: TreeCopyCounters; path: string; source: string },
): DriverError | undefined {
  if (isErrno(inside.resolve(path)) || isFilledDirectory(host.task, source)) return undefined;
  const real = scopedPath(inside, path);
  if (isDriverError(real)) return real;
  const from = `${root}${real}`;
  const of = stat(host.task, from);
  if (isDriverError(of)) return of;
  if (!isDirectory(of)) return new DriverError(`cannot mount volume over existing file, file exists ${from}`);
  return copyTree(host, { source: from, target: source }, { task: host.task, engine: "all", counters });
}

/** runc's createIfNotExists: a folder, or an empty file where a file is bound. */
function makeMountPoint(host: Host, inside: Task, { source, path }: MountPoint): DriverError | undefined {
  const of = stat(host.task, source);
  if (isDriverError(of)) return of;
  if (exists(inside, path)) return undefined;
  if (isDirectory(of)) return makeDirectories(inside, path, 0o755);
  return makeDirectories(inside, parentPath(path), 0o755) ?? writeFile(inside, path, { text: "", mode: 0o755 });
}

function mountPoint(host: Host, inside: Task, point: MountPoint): Mount | DriverError {
  const { source, path, readOnly } = point;
  const failed = makeMountPoint(host, inside, point);
  if (failed !== undefined) return failed;
  const from = host.task.resolve(source);
  const mount = isErrno(from)
    ? from
    : host.vfs.mount(inside, from.mount.fs, path, { ...from.mount.options, readOnly }, from.inode);
  return isErrno(mount) ? pathError("mount", `${source}:${path}`, mount) : mount;
}

/**
 * A new process in a container: its root is the layer at `root` as a mount of its own, with `points` mounted in it one after the other, each
 * at a mount point that is made where it is missing.
 * @param setUp - mounts what comes before them
 */
export function enterContainer(
  host: Host,
  root: string,
  points: readonly MountPoint[],
  setUp?: (inside: Task) => readonly Mount[] | DriverError,
): Entered | DriverError {
  const place = host.task.resolve(root);
  if (isErrno(place)) return pathError("chroot", root, place);
  const top = host.vfs.mountRoot(place.mount.fs, place.mount.options, place.inode);
  const mounted: Mount[] = [top];
  const leave = (): void => {
    for (const mount of mounted.reverse()) host.vfs.unmountMount(mount, true);
  };
  const task = host.vfs.task(top);
  const before = setUp?.(task) ?? [];
  let failed = isDriverError(before) ? before : undefined;
  if (!isDriverError(before)) mounted.push(...before);
  for (const point of points) {
    if (failed !== undefined) break;
    const mount = mountPoint(host, task, point);
    if (isDriverError(mount)) failed = mount;
    else mounted.push(mount);
  }
  if (failed === undefined) return { task, leave };
  task.exit();
  leave();
  return failed;
}
