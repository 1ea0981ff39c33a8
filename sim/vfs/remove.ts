/**
 * unlink(2) and rmdir(2) (fs/namei.c: do_unlinkat, do_rmdir, may_delete; Linux 6.18).
 */
import { EBUSY, EINVAL, EISDIR, ENOTDIR, ENOTEMPTY, type Errno, isErrno } from "../core/errno.ts";
import { isDirectory, mayDelete, wantWrite } from "./permission.ts";
import type { Process } from "./process.ts";

export function unlink(task: Process, path: string): Errno | undefined {
  const { walk } = task;
  const lost = walk.parent(path);
  if (lost !== undefined) return lost;
  if (walk.kind !== "normal") return EISDIR;
  const readOnly = wantWrite(walk.mount);
  if (readOnly !== undefined) return readOnly;
  const victim = walk.child();
  if (isErrno(victim)) return victim;
  const { fs } = walk.mount;
  if (walk.slash) return isDirectory(fs.mode(victim)) ? EISDIR : ENOTDIR;
  const refused = mayDelete(task.credentials, walk, victim, false);
  if (refused !== undefined) return refused;
  if (task.vfs.isMountPoint(walk.mount, victim)) return EBUSY;
  fs.actFor?.(task.credentials);
  return fs.unlink(walk.inode, walk.name);
}

export function rmdir(task: Process, path: string): Errno | undefined {
  const { walk } = task;
  const lost = walk.parent(path);
  if (lost !== undefined) return lost;
  if (walk.kind === "dotdot") return ENOTEMPTY;
  if (walk.kind === "dot") return EINVAL;
  if (walk.kind === "root") return EBUSY;
  const readOnly = wantWrite(walk.mount);
  if (readOnly !== undefined) return readOnly;
  const victim = walk.child();
  if (isErrno(victim)) return victim;
  const refused = mayDelete(task.credentials, walk, victim, true);
  if (refused !== undefined) return refused;
  if (task.vfs.isMountPoint(walk.mount, victim)) return EBUSY;
  walk.mount.fs.actFor?.(task.credentials);
  return walk.mount.fs.rmdir(walk.inode, walk.name);
}
