/**
 * Names of filesystems as Docker shows them, by what statfs(2) tells (moby daemon/graphdriver/driver_linux.go).
 */
import { isErrno } from "../../sim/core/errno.ts";
import {
  AUFS_MAGIC,
  BTRFS_MAGIC,
  ECRYPTFS_MAGIC,
  EXT4_MAGIC,
  OVERLAYFS_MAGIC,
  RAMFS_MAGIC,
  TMPFS_MAGIC,
  XFS_MAGIC,
  ZFS_MAGIC,
} from "../../sim/vfs/magic.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { exists, parentPath } from "./files.ts";

const NAMES: ReadonlyMap<number, string> = new Map([
  [AUFS_MAGIC, "aufs"],
  [BTRFS_MAGIC, "btrfs"],
  [EXT4_MAGIC, "extfs"],
  [ECRYPTFS_MAGIC, "ecryptfs"],
  [OVERLAYFS_MAGIC, "overlayfs"],
  [RAMFS_MAGIC, "ramfs"],
  [TMPFS_MAGIC, "tmpfs"],
  [XFS_MAGIC, "xfs"],
  [ZFS_MAGIC, "zfs"],
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
