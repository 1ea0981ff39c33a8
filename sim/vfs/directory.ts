/**
 * Calls that read names and go places: readdir, readlink, chdir, chroot.
 */
import { EINVAL, ENOTDIR, type Errno, isErrno } from "../core/errno.ts";
import { S_IFLNK, S_IFMT } from "./filesystem.ts";
import type { Position } from "./mount.ts";
import { inodePermission, isDirectory, MAY_EXEC, MAY_READ } from "./permission.ts";
import type { Process } from "./process.ts";

/** One row of a directory. */
export interface DirectoryEntry {
  readonly name: string;
  /** The type bits of its mode (S_IFMT). */
  readonly type: number;
  /** d_ino. */
  readonly inodeNumber: number;
}

export function resolve(task: Process, path: string): Position | Errno {
  return task.walk.to(path, true) ?? task.walk.position();
}

/** A directory that a task may stand in. */
export function standing(task: Process, path: string): Position | Errno {
  const lost = task.walk.to(path, true);
  if (lost !== undefined) return lost;
  const place = task.walk.position();
  if (!isDirectory(place.mount.fs.mode(place.inode))) return ENOTDIR;
  return inodePermission(task.credentials, place.mount.fs, place.inode, MAY_EXEC) ?? place;
}

export function chdir(task: Process, path: string): Errno | undefined {
  const place = standing(task, path);
  if (isErrno(place)) return place;
  task.chdirTo(place);
  return undefined;
}

export function readlink(task: Process, path: string): string | Errno {
  const lost = task.walk.to(path, false);
  if (lost !== undefined) return lost;
  const { mount, inode } = task.walk;
  if ((mount.fs.mode(inode) & S_IFMT) !== S_IFLNK) return EINVAL;
  mount.touchAtime(inode);
  return mount.fs.readlink(inode);
}

export function readdir(task: Process, path: string): DirectoryEntry[] | Errno {
  const lost = task.walk.to(path, true);
  if (lost !== undefined) return lost;
  const { mount, inode } = task.walk;
  if (!isDirectory(mount.fs.mode(inode))) return ENOTDIR;
  const refused = inodePermission(task.credentials, mount.fs, inode, MAY_READ);
  if (refused !== undefined) return refused;
  const entries: DirectoryEntry[] = [];
  const { names } = task.vfs;
  const failed = mount.fs.iterate(inode, (name, inodeNumber, type) => {
    entries.push({ name: names.text(name), type, inodeNumber });
  });
  mount.touchAtime(inode);
  return failed ?? entries;
}
