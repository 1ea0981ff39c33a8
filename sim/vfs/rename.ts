/**
 * renameat2(2) (fs/namei.c: do_renameat2, vfs_rename; Linux 6.18). The order of checks is the kernel's: kinds of the last components, what
 * exists, slashes, ancestry, permissions, mount points; only then the filesystem is asked.
 */
import { EBUSY, EEXIST, EINVAL, ENOENT, ENOTDIR, ENOTEMPTY, type Errno, EXDEV, isErrno } from "../core/errno.ts";
import {
  type FileSystem,
  type Inode,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  RENAME_WHITEOUT,
  S_IFCHR,
  S_IFDIR,
  typeOf,
} from "./filesystem.ts";
import { initOwner, inodePermission, MAY_WRITE, mayCreate, mayDelete, wantWrite } from "./permission.ts";
import type { Process } from "./process.ts";
import type { Walk } from "./walk.ts";

const KNOWN_FLAGS = RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT;

/** One side of a rename: the walk to its path's last component, and what is there. */
interface Side {
  readonly walk: Walk;
  /** 0 when there is nothing of that name. */
  child: Inode;
  directory: boolean;
}

const NOTHING = 0 as Inode;

export function rename(task: Process, path: string, to: string, flags: number): Errno | undefined {
  if ((flags & ~KNOWN_FLAGS) !== 0) return EINVAL;
  if ((flags & RENAME_EXCHANGE) !== 0 && (flags & (RENAME_NOREPLACE | RENAME_WHITEOUT)) !== 0) return EINVAL;
  const { walk: from, secondWalk: into } = task;
  const lost = from.parent(path) ?? into.parent(to);
  if (lost !== undefined) return lost;
  if (from.mount !== into.mount) return EXDEV;
  if (from.kind !== "normal") return EBUSY;
  if (into.kind !== "normal") return (flags & RENAME_NOREPLACE) === 0 ? EBUSY : EEXIST;
  const readOnly = wantWrite(from.mount);
  if (readOnly !== undefined) return readOnly;
  const source: Side = { walk: from, child: NOTHING, directory: false };
  const target: Side = { walk: into, child: NOTHING, directory: false };
  const wrong = find(source, target, flags);
  if (wrong !== undefined) return wrong;
  // Two names of one inode: nothing to do.
  if (source.child === target.child) return undefined;
  const refused = mayRename(task, source, target, flags);
  if (refused !== undefined) return refused;
  const { fs } = from.mount;
  const like = fs.whiteoutsFollowTarget === true ? into : from;
  const whiteout = (flags & RENAME_WHITEOUT) === 0 ? undefined : initOwner(task.credentials, like, { mode: S_IFCHR, umask: 0 });
  fs.actFor?.(task.credentials);
  return fs.rename(from.inode, from.name, into.inode, into.name, flags, whiteout);
}

/** Looks up both names and checks what needs no permission. */
function find(source: Side, target: Side, flags: number): Errno | undefined {
  const { walk: from } = source;
  const { walk: into } = target;
  const lost = lookup(source) ?? lookup(target);
  if (lost !== undefined && !(lost === ENOENT && source.child !== NOTHING)) return lost;
  const exchange = (flags & RENAME_EXCHANGE) !== 0;
  if (target.child !== NOTHING && (flags & RENAME_NOREPLACE) !== 0) return EEXIST;
  if (target.child === NOTHING && exchange) return ENOENT;
  if (exchange && !target.directory && into.slash) return ENOTDIR;
  if (!source.directory && (from.slash || (!exchange && into.slash))) return ENOTDIR;
  if (from.inode === into.inode) return undefined;
  const { fs } = from.mount;
  if (source.directory && isAncestor(fs, source.child, into.inode)) return EINVAL;
  if (target.directory && isAncestor(fs, target.child, from.inode)) return exchange ? EINVAL : ENOTEMPTY;
  return undefined;
}

function lookup(side: Side): Errno | undefined {
  const found = side.walk.child();
  if (isErrno(found)) return found;
  side.child = found;
  side.directory = typeOf(side.walk.mount.fs, found) === S_IFDIR;
  return undefined;
}

/** Whether a directory is another one or lies above it. O(depth). */
function isAncestor(fs: FileSystem, above: Inode, below: Inode): boolean {
  for (let at = below; ; ) {
    if (at === above) return true;
    const parent = fs.parentOf(at);
    if (parent === at) return false;
    at = parent;
  }
}

function mayRename(task: Process, source: Side, target: Side, flags: number): Errno | undefined {
  const who = task.credentials;
  const { mount } = source.walk;
  const { fs } = mount;
  const exchange = (flags & RENAME_EXCHANGE) !== 0;
  const refused =
    mayDelete(who, source.walk, source.child, source.directory) ??
    (target.child === NOTHING
      ? mayCreate(who, target.walk)
      : mayDelete(who, target.walk, target.child, exchange ? target.directory : source.directory));
  if (refused !== undefined) return refused;
  if (source.walk.inode !== target.walk.inode) {
    // A directory that gets another parent has its ".." changed.
    const kept =
      (source.directory ? inodePermission(who, fs, source.child, MAY_WRITE) : undefined) ??
      (exchange && target.directory ? inodePermission(who, fs, target.child, MAY_WRITE) : undefined);
    if (kept !== undefined) return kept;
  }
  const isCovered = (inode: Inode): boolean => inode !== NOTHING && task.vfs.isMountPoint(mount, inode);
  return isCovered(source.child) || isCovered(target.child) ? EBUSY : undefined;
}
