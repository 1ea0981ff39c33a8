/**
 * Lays an overlay's upper folder over a tree, as unpacking the layer's archive there would: a whiteout removes, an opaque directory
 * replaces, a file takes the place of what had its name (never written in place: the old inode belongs to other layers' trees).
 *
 * How files come over follows the engine: Docker's archive keeps the hard links of the layer; `cp -a`, called for each file, does not.
 */
import { isErrno } from "../../sim/core/errno.ts";
import { type Attributes, S_IFCHR, S_IFMT } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { beginCopy, copyAttributes, copyOne, type TreeCopyHow } from "./dir-copy.ts";
import { type DriverError, isDriverError } from "./driver.ts";
import { isDirectory, lstat, makeDirectory, removeAll, sortedNames } from "./files.ts";

function isWhiteout(of: Attributes): boolean {
  return (of.mode & S_IFMT) === S_IFCHR && of.rdev === 0;
}

function isOpaque(task: Task, path: string): boolean {
  return !isErrno(task.lgetxattr(path, "trusted.overlay.opaque"));
}

/** Lays everything in `upper` over the tree at `root`. A failure leaves what was laid so far. */
export function layUpper(paths: { readonly upper: string; readonly root: string }, how: TreeCopyHow): DriverError | undefined {
  const walk = beginCopy(how);
  const layFolder = (upper: string, root: string): DriverError | undefined => {
    const names = sortedNames(how.task, upper);
    if (isDriverError(names)) return names;
    for (const name of names) {
      const failed = layEntry(`${upper}/${name}`, `${root}/${name}`);
      if (failed !== undefined) return failed;
    }
    return undefined;
  };
  const layEntry = (source: string, target: string): DriverError | undefined => {
    const of = lstat(how.task, source);
    if (isDriverError(of)) return of;
    const isFolder = isDirectory(of);
    const there = lstat(how.task, target);
    const isMerged = isFolder && !isOpaque(how.task, source) && !isDriverError(there) && isDirectory(there);
    const removed = isDriverError(there) || isMerged ? undefined : removeAll(how.task, target);
    if (removed !== undefined || isWhiteout(of)) return removed;
    if (!isFolder) {
      if (how.engine === "all") walk.copied.clear();
      return copyOne(walk, { source, target, of });
    }
    return (
      (isMerged ? undefined : makeDirectory(how.task, target, 0o755)) ??
      layFolder(source, target) ??
      copyAttributes(walk, { source, target, of })
    );
  };
  return layFolder(paths.upper, paths.root);
}
