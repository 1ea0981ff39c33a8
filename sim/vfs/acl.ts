/**
 * Access control lists as calls on xattrs reach them (fs/posix_acl.c: vfs_set_acl, vfs_get_acl, vfs_remove_acl; Linux 6.18, recorded).
 *
 * Interface: they pass by the rules of other xattrs: anybody may read a list, only the owner sets it, and the flags of setxattr do not count.
 */
import { EACCES, EINVAL, ENODATA, ENOTSUP, EPERM, type Errno, isErrno } from "../core/errno.ts";
import type { Credentials } from "./credentials.ts";
import { type FileSystem, type Inode, S_IFLNK, S_ISGID, typeOf } from "./filesystem.ts";
import type { Position } from "./mount.ts";
import { immutableOrAppendOnly, inGroupOrCapable, isDirectory, ownerOrCapable } from "./permission.ts";
import { type Acl, type AclKind, aclBytes, aclWithMode, isValidAcl, modeWithAcl, parseAcl } from "./posix-acl.ts";

/** @returns ENOTSUP where no lists are kept, ENODATA where there is none. */
export function getAcl({ mount: { fs }, inode }: Position, kind: AclKind): Uint8Array | Errno {
  if (fs.acl === undefined || typeOf(fs, inode) === S_IFLNK) return ENOTSUP;
  const acl = fs.acl(inode, kind);
  return acl === undefined ? ENODATA : aclBytes(acl);
}

/** @param value - undefined, or one without entries: removes the list. */
export function setAcl(
  who: Credentials,
  { mount: { fs }, inode }: Position,
  kind: AclKind,
  value: Uint8Array | undefined,
): Errno | undefined {
  const acl = value === undefined ? undefined : parseAcl(value);
  if (acl !== undefined && isErrno(acl)) return acl;
  const barred = immutableOrAppendOnly(fs, inode);
  if (barred !== undefined) return barred;
  if (fs.setAcl === undefined || typeOf(fs, inode) === S_IFLNK) return ENOTSUP;
  const mode = fs.mode(inode);
  if (kind === "default" && !isDirectory(mode)) return acl === undefined ? undefined : EACCES;
  if (!ownerOrCapable(who, fs, inode)) return EPERM;
  if (acl !== undefined && !isValidAcl(acl)) return EINVAL;
  return fs.setAcl(inode, kind, acl, kind === "access" ? modeBeside(who, fs, { inode, mode, acl }) : undefined);
}

/** The permission bits of an inode that gets an access list; a foreign group's set-group-id bit goes (posix_acl_update_mode). */
function modeBeside(who: Credentials, fs: FileSystem, of: { inode: Inode; mode: number; acl: Acl | undefined }): number {
  const mode = (of.acl === undefined ? of.mode : modeWithAcl(of.mode, of.acl)) & 0o7777;
  return inGroupOrCapable(who, fs.gid(of.inode)) ? mode : mode & ~S_ISGID;
}

/** What a new mode does to an inode's access list: asked by a filesystem that has set it (posix_acl_chmod). */
export function chmodAcl(fs: FileSystem, inode: Inode, mode: number): Errno | undefined {
  const acl = fs.acl?.(inode, "access");
  return acl === undefined ? undefined : fs.setAcl?.(inode, "access", aclWithMode(acl, mode));
}
