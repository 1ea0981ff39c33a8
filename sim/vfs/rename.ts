/**
 * renameat2(2) (fs/namei.c: do_renameat2, vfs_rename; Linux 6.18). The order of checks is the kernel's: kinds of the last components, what
 * exists, slashes, ancestry, permissions, mount points; only then the filesystem is asked.
 */
import { EBUSY, EEXIST, EINVAL, ENOENT, ENOTDIR, ENOTEMPTY, type Errno, EXDEV, isErrno } from "../core/errno.ts";
import type { Name } from "../core/names.ts";
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
import type { Mount } from "./mount.ts";
import { initOwner, inodePermission, MAY_WRITE, mayCreate, mayDelete, wantWrite } from "./permission.ts";
import type { Process } from "./process.ts";

const KNOWN_FLAGS = RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT;

/** One side of a rename: the last component of a path, and what it names. */
interface Side {
  readonly mount: Mount;
  /** The directory it is in. */
  readonly inode: Inode;
  readonly name: Name;
  readonly slash: boolean;
  readonly long: boolean;
  /** 0 when there is nothing of that name. */
  child: Inode;
  directory: boolean;
}

const NOTHING = 0 as Inode;

export function rename(task: Process, path: string, to: string, flags: number): Errno | undefined {
  if ((flags & ~KNOWN_FLAGS) !== 0) return EINVAL;
  if ((flags & RENAME_EXCHANGE) !== 0 && (flags & (RENAME_NOREPLACE | RENAME_WHITEOUT)) !== 0) return EINVAL;
  const { walk } = task;
  const lost = walk.parent(path);
  if (lost !== undefined) return lost;
  const source: Side = sideOf(walk);
  const sourceKind = walk.kind;
  const lostTarget = walk.parent(to);
  if (lostTarget !== undefined) return lostTarget;
  const target: Side = sideOf(walk);
  if (source.mount !== target.mount) return EXDEV;
  if (sourceKind !== "normal") return EBUSY;
  if (walk.kind !== "normal") return (flags & RENAME_NOREPLACE) === 0 ? EBUSY : EEXIST;
  const readOnly = wantWrite(source.mount);
  if (readOnly !== undefined) return readOnly;
  const wrong = find(task, source, target, flags);
  if (wrong !== undefined) return wrong;
  // Two names of one inode: nothing to do.
  if (source.child === target.child) return undefined;
  const refused = mayRename(task, source, target, flags);
  if (refused !== undefined) return refused;
  const { fs } = source.mount;
  const like = fs.whiteoutsFollowTarget === true ? target : source;
  const whiteout = (flags & RENAME_WHITEOUT) === 0 ? undefined : initOwner(task.credentials, like, { mode: S_IFCHR, umask: 0 });
  fs.actFor?.(task.credentials);
  return fs.rename(source.inode, source.name, target.inode, target.name, flags, whiteout);
}

function sideOf(walk: Process["walk"]): Side {
  const { mount, inode, name, slash, long } = walk;
  return { mount, inode, name, slash, long, child: NOTHING, directory: false };
}

/** Looks up both names and checks what needs no permission. */
function find(task: Process, source: Side, target: Side, flags: number): Errno | undefined {
  const { fs } = source.mount;
  const lost = lookup(task, source) ?? lookup(task, target);
  if (lost !== undefined && !(lost === ENOENT && source.child !== NOTHING)) return lost;
  const exchange = (flags & RENAME_EXCHANGE) !== 0;
  if (target.child !== NOTHING && (flags & RENAME_NOREPLACE) !== 0) return EEXIST;
  if (target.child === NOTHING && exchange) return ENOENT;
  if (exchange && !target.directory && target.slash) return ENOTDIR;
  if (!source.directory && (source.slash || (!exchange && target.slash))) return ENOTDIR;
  if (source.inode === target.inode) return undefined;
  if (source.directory && isAncestor(fs, source.child, target.inode)) return EINVAL;
  if (target.directory && isAncestor(fs, target.child, source.inode)) return exchange ? EINVAL : ENOTEMPTY;
  return undefined;
}

function lookup(task: Process, side: Side): Errno | undefined {
  const { walk } = task;
  walk.inode = side.inode;
  walk.name = side.name;
  walk.long = side.long;
  const found = walk.child();
  if (isErrno(found)) return found;
  side.child = found;
  side.directory = typeOf(side.mount.fs, found) === S_IFDIR;
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
  const { fs } = source.mount;
  const exchange = (flags & RENAME_EXCHANGE) !== 0;
  const refused =
    mayDelete(who, source, source.child, source.directory) ??
    (target.child === NOTHING
      ? mayCreate(who, target)
      : mayDelete(who, target, target.child, exchange ? target.directory : source.directory));
  if (refused !== undefined) return refused;
  if (source.inode !== target.inode) {
    // A directory that gets another parent has its ".." changed.
    const kept =
      (source.directory ? inodePermission(who, fs, source.child, MAY_WRITE) : undefined) ??
      (exchange && target.directory ? inodePermission(who, fs, target.child, MAY_WRITE) : undefined);
    if (kept !== undefined) return kept;
  }
  const { covers } = source.mount;
  if (covers !== undefined && (covers.has(source.child) || covers.has(target.child))) return EBUSY;
  return undefined;
}
