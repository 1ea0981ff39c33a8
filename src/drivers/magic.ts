/**
 * Names of filesystems as Docker shows them, by what statfs(2) tells (moby daemon/graphdriver/driver_linux.go).
 */
import { isErrno } from "../../sim/core/errno.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { exists, parentPath } from "./files.ts";

/** statfs type of aufs. */
export const AUFS_MAGIC = 0x61756673;
/** statfs type of overlayfs (include/uapi/linux/magic.h). */
export const OVERLAYFS_MAGIC = 0x794c7630;

/** statfs type of btrfs. */
export const BTRFS_MAGIC = 0x9123683e;

const NAMES: ReadonlyMap<number, string> = new Map([
  [AUFS_MAGIC, "aufs"],
  [BTRFS_MAGIC, "btrfs"],
  [0xef53, "extfs"],
  [0xf15f, "ecryptfs"],
  [OVERLAYFS_MAGIC, "overlayfs"],
  [0x858458f6, "ramfs"],
  [0x01021994, "tmpfs"],
  [0x58465342, "xfs"],
  [0x2fc12fc1, "zfs"],
]);

/** The statfs type at a path; 0 where it cannot be told. */
export function magicOf(task: Task, path: string): number {
  const told = task.statfs(path);
  return isErrno(told) ? 0 : told.type;
}

/** The name of the filesystem that a driver's home lies on, or will. */
export function backingName(task: Task, home: string): string {
  return NAMES.get(magicOf(task, exists(task, home) ? home : parentPath(home))) ?? "<unknown>";
}
