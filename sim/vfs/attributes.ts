/**
 * Calls on attributes: stat, statfs, access, chmod, chown, utimensat (fs/stat.c, fs/open.c, fs/utimes.c, fs/attr.c; Linux 6.18).
 */
import type { Time } from "../core/clock.ts";
import { EACCES, EBADF, EINVAL, EPERM, EROFS, type Errno } from "../core/errno.ts";
import { CAP_CHOWN, CAP_FSETID, type Credentials, capable, inGroup } from "./credentials.ts";
import {
  type AttributeChange,
  type Attributes,
  newAttributes,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_ISGID,
  S_ISUID,
  type StatFs,
} from "./filesystem.ts";
import type { Position } from "./mount.ts";
import { notifyChange } from "./notify-change.ts";
import { lostName } from "./open-file.ts";
import {
  dropsSetGroupId,
  firstRefusal,
  immutable,
  immutableOrAppendOnly,
  inGroupOrCapable,
  inodePermission,
  isDirectory,
  MAY_EXEC,
  MAY_WRITE,
  ownerOrCapable,
  wantWrite,
} from "./permission.ts";
import type { Process } from "./process.ts";
import type { Reached } from "./watches.ts";

export function stat(task: Process, path: string, follow: boolean, into: Attributes = newAttributes()): Attributes | Errno {
  const { walk } = task;
  return walk.to(path, follow) ?? walk.mount.fs.getattr(walk.inode, into, true) ?? into;
}

/** As glibc calls it, by an empty path (newfstatat, AT_EMPTY_PATH), which before Linux 6.6 is a walk that asks the name (C10 of spec/union.md, on 6.1). */
export function fstat(task: Process, fd: number, into: Attributes = newAttributes()): Attributes | Errno {
  const file = task.files.get(fd);
  if (file === undefined) return EBADF;
  const { fs } = file.mount;
  return lostName(file) ?? fs.getattr(file.inode, into, true) ?? into;
}

export function statfs(task: Process, path: string): StatFs | Errno {
  return task.walk.to(path, true) ?? task.walk.mount.fs.statfs(task.walk.inode);
}

export function access(task: Process, path: string, mask: number): Errno | undefined {
  if ((mask & ~7) !== 0) return EINVAL;
  const { walk } = task;
  const lost = walk.to(path, true);
  if (lost !== undefined) return lost;
  const { mount, inode } = walk;
  const type = mount.fs.mode(inode) & S_IFMT;
  if ((mask & MAY_EXEC) !== 0 && type === S_IFREG && mount.options.noexec === true) return EACCES;
  const refused = inodePermission(task.credentials, mount.fs, inode, mask);
  if (refused !== undefined || (mask & MAY_WRITE) === 0) return refused;
  const special = type !== S_IFREG && type !== S_IFDIR && type !== S_IFLNK;
  return mount.readOnly && !special ? EROFS : undefined;
}

export function chmod(task: Process, path: string, mode: number): Errno | undefined {
  return task.walk.to(path, true) ?? changeMode(task, task.walk, mode);
}

export function fchmod(task: Process, fd: number, mode: number): Errno | undefined {
  const file = task.files.named(fd);
  return "mount" in file ? changeMode(task, file, mode) : file;
}

function changeMode(task: Process, reached: Reached, mode: number): Errno | undefined {
  const { mount, inode } = reached;
  const who = task.credentials;
  const refused = wantWrite(mount) ?? immutableOrAppendOnly(mount.fs, inode) ?? firstRefusal(who, mount.fs, inode);
  if (refused !== undefined) return refused;
  if (!ownerOrCapable(who, mount.fs, inode)) return EPERM;
  return notifyChange(task, reached, { mode: withoutForeignSetGroupId(who, mode & 0o7777, mount.fs.gid(inode)) });
}

/** The set-group-id bit is for members of the group (setattr_prepare). */
function withoutForeignSetGroupId(who: Credentials, mode: number, gid: number): number {
  return (mode & S_ISGID) !== 0 && !inGroupOrCapable(who, gid) ? mode & ~S_ISGID : mode;
}

interface Owners {
  /** -1: as it is. */
  readonly uid: number;
  readonly gid: number;
}

export function chown(task: Process, path: string, to: Owners & { readonly follow: boolean }): Errno | undefined {
  return task.walk.to(path, to.follow) ?? changeOwner(task, task.walk, to);
}

export function fchown(task: Process, fd: number, uid: number, gid: number): Errno | undefined {
  const file = task.files.named(fd);
  return "mount" in file ? changeOwner(task, file, { uid, gid }) : file;
}

/** chown_common: whoever changes owners takes set-id bits away from what is no directory, also when he changes none. */
function changeOwner(task: Process, reached: Reached, { uid, gid }: Owners): Errno | undefined {
  const { mount, inode } = reached;
  const who = task.credentials;
  const { fs } = mount;
  const readOnly = wantWrite(mount);
  if (readOnly !== undefined) return readOnly;
  const mode = fs.mode(inode);
  const oldUid = fs.uid(inode);
  const oldGid = fs.gid(inode);
  let kept = mode;
  if (!isDirectory(mode)) {
    kept &= ~S_ISUID;
    if (dropsSetGroupId(who, mode, oldGid)) kept &= ~S_ISGID;
  } else if (fs.dropsSetIdOfDirectories === true && uid !== -1 && !capable(who, CAP_FSETID)) {
    kept &= ~(S_ISUID | S_ISGID);
  }
  if (uid !== -1 || gid !== -1 || kept !== mode) {
    const barred = immutableOrAppendOnly(fs, inode) ?? firstRefusal(who, fs, inode);
    if (barred !== undefined) return barred;
  }
  const owns = who.uid === oldUid;
  if (uid !== -1 && !(owns && uid === oldUid) && !capable(who, CAP_CHOWN)) return EPERM;
  if (gid !== -1 && !(owns && (gid === oldGid || inGroup(who, gid))) && !capable(who, CAP_CHOWN)) return EPERM;
  if (kept !== mode && !ownerOrCapable(who, fs, inode)) return EPERM;
  const change: { uid?: number; gid?: number; mode?: number } = {};
  if (uid !== -1) change.uid = uid;
  if (gid !== -1) change.gid = gid;
  if (kept !== mode) {
    const bits = kept & 0o7777;
    change.mode = fs.setsModesAsMounter === true ? bits : withoutForeignSetGroupId(who, bits, gid === -1 ? oldGid : gid);
  }
  return notifyChange(task, reached, change) ?? dropFileCapabilities(task, reached);
}

/**
 * Takes capabilities away, which a change of owner ends, and of a file one of content; not of a directory (chown_common, cap_inode_killpriv).
 * @param isWrite - whether for a write, which a union leaves to the filesystem below (file_remove_privs)
 */
export function dropFileCapabilities(task: Process, { mount, inode }: Position, isWrite = false): Errno | undefined {
  if (task.vfs.capabilityChanges === 0 || (mount.fs.mode(inode) & S_IFMT) === S_IFDIR) return undefined;
  const known = mount.fs.getxattr(inode, "security.capability");
  // An empty one counts as none (cap_inode_need_killpriv).
  return "code" in known || known.length === 0 ? undefined : mount.fs.removexattr(inode, "security.capability", isWrite);
}

type TimeChange = Time | "NOW" | "OMIT";

export function utimens(
  task: Process,
  path: string,
  to: { readonly atime: TimeChange; readonly mtime: TimeChange; readonly nofollow: boolean },
): Errno | undefined {
  const { atime, mtime } = to;
  // The path is not even looked at when there is nothing to do.
  if (atime === "OMIT" && mtime === "OMIT") return undefined;
  const lost = task.walk.to(path, !to.nofollow);
  return lost ?? changeTimes(task, task.walk, atime, mtime);
}

/** futimens(3): utimensat with a descriptor alone. */
export function futimens(task: Process, fd: number, atime: TimeChange, mtime: TimeChange): Errno | undefined {
  if (atime === "OMIT" && mtime === "OMIT") return undefined;
  const file = task.files.named(fd);
  return "mount" in file ? changeTimes(task, file, atime, mtime) : file;
}

function changeTimes(task: Process, reached: Reached, atime: TimeChange, mtime: TimeChange): Errno | undefined {
  const { mount, inode } = reached;
  const who = task.credentials;
  const { fs } = mount;
  const readOnly = wantWrite(mount);
  if (readOnly !== undefined) return readOnly;
  const touch = atime === "NOW" && mtime === "NOW";
  const barred = (touch ? immutable(fs, inode) : immutableOrAppendOnly(fs, inode)) ?? firstRefusal(who, fs, inode);
  if (barred !== undefined) return barred;
  if (!ownerOrCapable(who, fs, inode)) {
    if (!touch) return EPERM;
    const refused = inodePermission(who, fs, inode, MAY_WRITE);
    if (refused !== undefined) return refused;
  }
  const change: { -readonly [Key in keyof AttributeChange]: AttributeChange[Key] } = {};
  if (atime !== "OMIT") change.atime = atime === "NOW" ? "now" : atime;
  if (mtime !== "OMIT") change.mtime = mtime === "NOW" ? "now" : mtime;
  return notifyChange(task, reached, change);
}
