/**
 * Who may do what: inode_permission, may_create, may_delete and the rules of set-id bits (fs/namei.c, fs/attr.c, fs/inode.c, Linux 6.18).
 *
 * Interface: the sysctls fs.protected_symlinks, _hardlinks, _fifos and _regular are 0, the kernel's own default.
 */
import { EACCES, EBUSY, EISDIR, ENOTDIR, EPERM, EROFS, type Errno } from "../core/errno.ts";
import {
  CAP_DAC_OVERRIDE,
  CAP_DAC_READ_SEARCH,
  CAP_FOWNER,
  CAP_FSETID,
  type Credentials,
  capable,
  inGroup,
} from "./credentials.ts";
import {
  type FileSystem,
  type Inode,
  type NewInode,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_ISGID,
  S_ISUID,
  S_ISVTX,
  typeOf,
} from "./filesystem.ts";
import { APPEND_ONLY, IMMUTABLE } from "./inode-flags.ts";
import type { Mount, Position } from "./mount.ts";
import { type Acl, aclPermits, inheritAcl } from "./posix-acl.ts";

export const MAY_EXEC = 1;
export const MAY_WRITE = 2;
export const MAY_READ = 4;

export function isDirectory(mode: number): boolean {
  return (mode & S_IFMT) === S_IFDIR;
}

/** Whether they may do what `mask` (MAY_*) says to an inode. @returns EACCES; of writing EROFS on a filesystem that is read-only itself, EPERM to an immutable one. */
export function inodePermission(who: Credentials, fs: FileSystem, inode: Inode, mask: number): Errno | undefined {
  if ((mask & MAY_WRITE) !== 0) {
    if (fs.readOnly === true && isStored(typeOf(fs, inode))) return EROFS;
    const barred = immutable(fs, inode) ?? firstRefusal(who, fs, inode);
    if (barred !== undefined) return barred;
  }
  return modePermission(who, fs, inode, mask);
}

/** What a filesystem says of a change before modes and owners do. */
export function firstRefusal(who: Credentials, fs: FileSystem, inode: Inode): Errno | undefined {
  return fs.refusesFirst === true ? ownRefusal(who, fs, inode, MAY_WRITE) : undefined;
}

/** Whether writing to an inode of a type would change the filesystem (sb_permission). */
function isStored(type: number): boolean {
  return type === S_IFREG || type === S_IFDIR || type === S_IFLNK;
}

/** What mode and owner say. */
function modePermission(who: Credentials, fs: FileSystem, inode: Inode, mask: number): Errno | undefined {
  // Who may override all bits need not be told what they are; but executing is for files that have a bit for it.
  if ((mask & MAY_EXEC) === 0 && capable(who, CAP_DAC_OVERRIDE)) return ownRefusal(who, fs, inode, mask);
  const mode = fs.mode(inode);
  if (who.capabilities === 0 || !overrides(who, mode, mask)) {
    if (!permits(who, fs, inode, mode, mask & 7)) return EACCES;
  }
  return ownRefusal(who, fs, inode, mask);
}

/** What the permission bits say, or the list that there is beside them (acl_permission_check). The owner's bits count whatever a list says. */
function permits(who: Credentials, fs: FileSystem, inode: Inode, mode: number, want: number): boolean {
  if (fs.uid(inode) === who.uid) return (want & ~(mode >> 6)) === 0;
  // A list whose mask allows nothing need not be read.
  const acl = (mode & 0o070) === 0 ? undefined : askedAcl(fs, inode);
  if (acl !== undefined) return aclPermits(acl, who, want, fs.gid(inode));
  return (want & ~(inGroup(who, fs.gid(inode)) ? mode >> 3 : mode)) === 0;
}

function askedAcl(fs: FileSystem, inode: Inode): Acl | undefined {
  return fs.aclAsked === undefined ? fs.acl?.(inode, "access") : fs.aclAsked(inode);
}

/** What the filesystem itself says. */
function ownRefusal(who: Credentials, fs: FileSystem, inode: Inode, mask: number): Errno | undefined {
  return fs.refuse === undefined ? undefined : fs.refuse(who, inode, mask);
}

/** Whether capabilities allow what the permission bits may not (the end of generic_permission). */
function overrides(who: Credentials, mode: number, mask: number): boolean {
  if (isDirectory(mode)) {
    if ((mask & MAY_WRITE) === 0 && capable(who, CAP_DAC_READ_SEARCH)) return true;
    return capable(who, CAP_DAC_OVERRIDE);
  }
  if (mask === MAY_READ && capable(who, CAP_DAC_READ_SEARCH)) return true;
  return ((mask & MAY_EXEC) === 0 || (mode & 0o111) !== 0) && capable(who, CAP_DAC_OVERRIDE);
}

/** @returns EPERM for an inode with chattr +i. */
export function immutable(fs: FileSystem, inode: Inode): Errno | undefined {
  return hasFlags(fs, inode, IMMUTABLE) ? EPERM : undefined;
}

/** @returns EPERM for an inode with chattr +i or +a. */
export function immutableOrAppendOnly(fs: FileSystem, inode: Inode): Errno | undefined {
  return hasFlags(fs, inode, IMMUTABLE | APPEND_ONLY) ? EPERM : undefined;
}

/** Whether an inode has chattr +a. */
export function appendOnly(fs: FileSystem, inode: Inode): boolean {
  return hasFlags(fs, inode, APPEND_ONLY);
}

/** The flags of chattr(1); 0 where there are none. */
function flagsOf(fs: FileSystem, inode: Inode): number {
  const flags = fs.fileFlags?.(inode);
  return typeof flags === "number" ? flags : 0;
}

function hasFlags(fs: FileSystem, inode: Inode, bits: number): boolean {
  return (flagsOf(fs, inode) & bits) !== 0;
}

/** Whether they own the inode or have CAP_FOWNER (inode_owner_or_capable). */
export function ownerOrCapable(who: Credentials, fs: FileSystem, inode: Inode): boolean {
  return capable(who, CAP_FOWNER) || fs.uid(inode) === who.uid;
}

/** What mode and owner of a directory say to somebody who changes its entries. */
function mayChangeEntries(who: Credentials, fs: FileSystem, directory: Inode): Errno | undefined {
  const mask = MAY_WRITE | MAY_EXEC;
  if (capable(who, CAP_DAC_OVERRIDE)) return ownRefusal(who, fs, directory, mask);
  return firstRefusal(who, fs, directory) ?? modePermission(who, fs, directory, mask);
}

/** Whether an entry may be made in a directory. */
export function mayCreate(who: Credentials, place: Position): Errno | undefined {
  const { fs } = place.mount;
  return immutable(fs, place.inode) ?? mayChangeEntries(who, fs, place.inode);
}

/** Whether an entry may be removed. @param wantDirectory - whether it is to be a directory: rmdir, or rename of one. */
export function mayDelete(who: Credentials, directory: Position, victim: Inode, wantDirectory: boolean): Errno | undefined {
  const { fs } = directory.mount;
  const flags = flagsOf(fs, directory.inode);
  if ((flags & IMMUTABLE) !== 0) return EPERM;
  const refused = mayChangeEntries(who, fs, directory.inode);
  if (refused !== undefined) return refused;
  if ((flags & APPEND_ONLY) !== 0) return EPERM;
  if (sticky(who, fs, directory.inode, victim)) return EPERM;
  const barred = immutableOrAppendOnly(fs, victim);
  if (barred !== undefined) return barred;
  const isOne = typeOf(fs, victim) === S_IFDIR;
  if (wantDirectory) {
    if (!isOne) return ENOTDIR;
    return victim === fs.root ? EBUSY : undefined;
  }
  return isOne ? EISDIR : undefined;
}

/** Whether a directory's sticky bit keeps them from removing an inode (__check_sticky). */
function sticky(who: Credentials, fs: FileSystem, directory: Inode, victim: Inode): boolean {
  if (capable(who, CAP_FOWNER) || (fs.mode(directory) & S_ISVTX) === 0) return false;
  return fs.uid(victim) !== who.uid && fs.uid(directory) !== who.uid;
}

/** S_IWOTH. */
const OTHERS_WRITE = 0o002;

/**
 * Whether O_CREAT may open what it finds in a directory that is sticky and that all can write to: there only the owners of both open what is neither a
 * regular file nor a FIFO (may_create_in_sticky; for those two the sysctls decide).
 */
export function mayCreateInSticky(
  who: Credentials,
  { fs, directory, inode }: { readonly fs: FileSystem; readonly directory: Inode; readonly inode: Inode },
): Errno | undefined {
  const mode = fs.mode(directory);
  if ((mode & S_ISVTX) === 0 || (mode & OTHERS_WRITE) === 0) return undefined;
  const type = typeOf(fs, inode);
  if (type === S_IFREG || type === S_IFIFO) return undefined;
  const owner = fs.uid(inode);
  return owner === fs.uid(directory) || owner === who.uid ? undefined : EACCES;
}

/** @returns EROFS for a mount that is read-only (mnt_want_write). */
export function wantWrite(mount: Mount): Errno | undefined {
  return mount.readOnly ? EROFS : undefined;
}

/** Whether they are in the group or have CAP_FSETID (in_group_or_capable). */
export function inGroupOrCapable(who: Credentials, gid: number): boolean {
  return inGroup(who, gid) || capable(who, CAP_FSETID);
}

/** What is made: its type and the permission bits that were asked for, and which of them the umask takes away. */
export interface Made {
  readonly mode: number;
  readonly umask: number;
  readonly rdev?: number;
  readonly target?: string;
}

/**
 * Owner, mode and lists of a new inode: a directory with the set-group-id bit gives its group (inode_init_owner, mode_strip_sgid); one with a
 * default list gives that, and the umask does not count then (mode_strip_umask, posix_acl_create).
 */
export function initOwner(who: Credentials, directory: Position, init: Made): NewInode {
  const { fs } = directory.mount;
  let mode = init.mode;
  let gid = who.gid;
  if ((fs.mode(directory.inode) & S_ISGID) !== 0) {
    gid = fs.gid(directory.inode);
    if (isDirectory(mode)) mode |= S_ISGID;
    else if ((mode & (S_ISGID | 0o010)) === (S_ISGID | 0o010) && !inGroupOrCapable(who, gid)) mode &= ~S_ISGID;
  }
  const { rdev = 0, target = "" } = init;
  if ((mode & S_IFMT) === S_IFLNK) return { mode, uid: who.uid, gid, rdev, target };
  const inherited = fs.acl?.(directory.inode, "default");
  if (inherited === undefined) return { mode: mode & ~init.umask, uid: who.uid, gid, rdev, target };
  return { ...inheritAcl(inherited, mode, isDirectory(mode)), uid: who.uid, gid, rdev, target };
}

/** Whether a change of owner or content takes the set-group-id bit away (setattr_should_drop_sgid). */
export function dropsSetGroupId(who: Credentials, mode: number, gid: number): boolean {
  if ((mode & S_ISGID) === 0) return false;
  return (mode & 0o010) !== 0 || !inGroupOrCapable(who, gid);
}

/** The mode without the set-id bits that writing takes away, or the same (file_remove_privs). */
export function modeAfterWrite(who: Credentials, fs: FileSystem, inode: Inode): number {
  const mode = fs.mode(inode);
  if ((mode & (S_ISUID | S_ISGID)) === 0 || capable(who, CAP_FSETID) || (mode & S_IFMT) !== S_IFREG) return mode;
  const kept = mode & ~S_ISUID;
  return dropsSetGroupId(who, mode, fs.gid(inode)) ? kept & ~S_ISGID : kept;
}
