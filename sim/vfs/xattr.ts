/**
 * Calls on extended attributes (fs/xattr.c, security/commoncap.c; Linux 6.18).
 *
 * Interface: who may do what is checked here by the name's namespace; that a filesystem keeps a namespace at all, its own affair.
 */

import { E2BIG, EINVAL, ENODATA, EPERM, ERANGE, type Errno, isErrno } from "../core/errno.ts";
import { utf8Length } from "../core/names.ts";
import { getAcl, setAcl } from "./acl.ts";
import { CAPABILITY, isCapabilityValue, readXattr } from "./capability-xattr.ts";
import { CAP_SETFCAP, CAP_SYS_ADMIN, type Credentials, capable } from "./credentials.ts";
import { S_IFDIR, S_IFMT, S_IFREG, S_ISVTX, XATTR_CREATE, XATTR_REPLACE } from "./filesystem.ts";
import type { Position } from "./mount.ts";
import { immutableOrAppendOnly, inodePermission, MAY_READ, MAY_WRITE, ownerOrCapable, wantWrite } from "./permission.ts";
import { aclKindOf } from "./posix-acl.ts";
import type { Process } from "./process.ts";

/** The longest name and the largest value (include/uapi/linux/limits.h), in bytes. */
export const XATTR_NAME_MAX = 255;
const SIZE_MAX = 65_536;

interface NewValue {
  readonly name: string;
  readonly value: Uint8Array;
  readonly flags: number;
}

/** @returns ERANGE for a name that is empty or longer than 255 bytes. */
function nameError(name: string): Errno | undefined {
  const length = utf8Length(name);
  return length === 0 || length > XATTR_NAME_MAX ? ERANGE : undefined;
}

/** xattr_permission. */
function permission(who: Credentials, { mount, inode }: Position, name: string, mask: number): Errno | undefined {
  const { fs } = mount;
  const write = (mask & MAY_WRITE) !== 0;
  if (write) {
    const barred = immutableOrAppendOnly(fs, inode);
    if (barred !== undefined) return barred;
  }
  if (name.startsWith("security.") || name.startsWith("system.")) return undefined;
  if (name.startsWith("trusted.")) return capable(who, CAP_SYS_ADMIN) ? undefined : write ? EPERM : ENODATA;
  if (name.startsWith("user.")) {
    const mode = fs.mode(inode);
    const type = mode & S_IFMT;
    if (type !== S_IFREG && type !== S_IFDIR) return write ? EPERM : ENODATA;
    if (type === S_IFDIR && (mode & S_ISVTX) !== 0 && write && !ownerOrCapable(who, fs, inode)) return EPERM;
  }
  return inodePermission(who, fs, inode, mask);
}

/** Whether a namespace has no name in it (xattr_resolve_name: EINVAL). */
export function isBareNamespace(name: string): boolean {
  return name === "user." || name === "trusted." || name === "security.";
}

/**
 * Why a capability cannot be set, which is asked before anything else (vfs_setxattr, cap_convert_nscap). An empty value is never looked at: anybody sets
 * it on anything (cap_inode_setxattr leaves capabilities to that check).
 */
function capabilityError(who: Credentials, name: string, value: Uint8Array): Errno | undefined {
  if (name !== CAPABILITY || value.length === 0) return undefined;
  if (!isCapabilityValue(value)) return EINVAL;
  return capable(who, CAP_SETFCAP) ? undefined : EPERM;
}

/** Only the administrator writes security.* (cap_inode_setxattr, cap_inode_removexattr). */
function refusesSecurity(who: Credentials, name: string): Errno | undefined {
  if (!name.startsWith("security.")) return undefined;
  return capable(who, name === CAPABILITY ? CAP_SETFCAP : CAP_SYS_ADMIN) ? undefined : EPERM;
}

/** xattr_resolve_name. */
function resolveError(name: string): Errno | undefined {
  return isBareNamespace(name) ? EINVAL : undefined;
}

function valueError({ name, value, flags }: NewValue): Errno | undefined {
  if ((flags & ~(XATTR_CREATE | XATTR_REPLACE)) !== 0) return EINVAL;
  return nameError(name) ?? (value.length > SIZE_MAX ? E2BIG : undefined);
}

export function setxattr(task: Process, path: string, to: NewValue & { readonly follow: boolean }): Errno | undefined {
  return valueError(to) ?? task.walk.to(path, to.follow) ?? set(task, task.walk, to);
}

export function fsetxattr(task: Process, fd: number, to: NewValue): Errno | undefined {
  const wrong = valueError(to);
  if (wrong !== undefined) return wrong;
  const file = task.files.named(fd);
  return isErrno(file) ? file : set(task, file, to);
}

function set(task: Process, place: Position, { name, value, flags }: NewValue): Errno | undefined {
  const who = task.credentials;
  const list = aclKindOf(name);
  if (list !== undefined) return wantWrite(place.mount) ?? setAcl(who, place, list, value);
  const refused =
    wantWrite(place.mount) ??
    capabilityError(who, name, value) ??
    permission(who, place, name, MAY_WRITE) ??
    (name === CAPABILITY ? undefined : refusesSecurity(who, name));
  if (refused !== undefined) return refused;
  if (isBareNamespace(name) && place.mount.fs.takesBareNamespaces === undefined) return EINVAL;
  if (name === CAPABILITY) task.vfs.capabilityChanges += 1;
  return place.mount.fs.setxattr(place.inode, name, value, flags);
}

export function getxattr(task: Process, path: string, name: string, follow: boolean): Uint8Array | Errno {
  return nameError(name) ?? task.walk.to(path, follow) ?? get(task, task.walk, name);
}

export function fgetxattr(task: Process, fd: number, name: string): Uint8Array | Errno {
  const file = task.files.named(fd);
  return isErrno(file) ? file : (nameError(name) ?? get(task, file, name));
}

function get(task: Process, place: Position, name: string): Uint8Array | Errno {
  const who = task.credentials;
  const list = aclKindOf(name);
  if (list !== undefined) return getAcl(place, list);
  const refused = permission(who, place, name, MAY_READ) ?? resolveError(name);
  return refused ?? readXattr(place.mount.fs, place.inode, name);
}

export function listxattr(task: Process, path: string, follow: boolean): string[] | Errno {
  return task.walk.to(path, follow) ?? list(task, task.walk);
}

export function flistxattr(task: Process, fd: number): string[] | Errno {
  const file = task.files.named(fd);
  return isErrno(file) ? file : list(task, file);
}

/** trusted.* is not shown to others than the administrator, but by filesystems that list whatever they have. */
function list(task: Process, { mount, inode }: Position): string[] | Errno {
  const names = mount.fs.listxattr(inode);
  if (isErrno(names) || mount.fs.listsTrusted === true || capable(task.credentials, CAP_SYS_ADMIN)) return names;
  return names.filter((name) => !name.startsWith("trusted."));
}

export function removexattr(task: Process, path: string, name: string, follow: boolean): Errno | undefined {
  return nameError(name) ?? task.walk.to(path, follow) ?? remove(task, task.walk, name);
}

export function fremovexattr(task: Process, fd: number, name: string): Errno | undefined {
  const file = task.files.named(fd);
  return isErrno(file) ? file : (nameError(name) ?? remove(task, file, name));
}

function remove(task: Process, place: Position, name: string): Errno | undefined {
  const who = task.credentials;
  const list = aclKindOf(name);
  if (list !== undefined) return wantWrite(place.mount) ?? setAcl(who, place, list, undefined);
  const { fs } = place.mount;
  const refused = wantWrite(place.mount) ?? permission(who, place, name, MAY_WRITE) ?? refusesSecurity(who, name);
  if (refused !== undefined) return refused;
  if (isBareNamespace(name) && fs.takesBareNamespaces !== "setxattr and removexattr") return EINVAL;
  return fs.removexattr(place.inode, name);
}
