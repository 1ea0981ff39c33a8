/**
 * POSIX access control lists: their entries, their form as an xattr, and what they say (fs/posix_acl.c, include/uapi/linux/posix_acl_xattr.h;
 * Linux 6.18, recorded).
 *
 * Interface: a list never changes, it is replaced. What a filesystem keeps is valid (`isValidAcl`), and an access list that it keeps says
 * more than a mode (`keptAcl`).
 */
import { EINVAL, ENOTSUP, type Errno, isErrno } from "../core/errno.ts";
import { type Credentials, inGroup } from "./credentials.ts";

/** Whom an entry is for (e_tag). */
const USER_OBJ = 0x01;
const USER = 0x02;
const GROUP_OBJ = 0x04;
const GROUP = 0x08;
const MASK = 0x10;
const OTHER = 0x20;

/** The id of an entry that names nobody. */
export const ACL_UNDEFINED_ID = 0xffffffff;

export interface AclEntry {
  readonly tag: number;
  /** Bits of rwx: 0 to 7. */
  readonly permissions: number;
  /** Of a named user or group: who; else 2^32 - 1. */
  readonly id: number;
}

export type Acl = readonly AclEntry[];

/** The list that decides, and the one that a directory gives to what is made in it. */
export type AclKind = "access" | "default";

/** A list that is set, or removed, as `FileSystem.setAcl` is asked. */
export interface AclChange {
  readonly kind: AclKind;
  /** Undefined: it is removed. */
  readonly acl: Acl | undefined;
  /** The permission bits beside it; undefined: as they are. */
  readonly mode: number | undefined;
}

/** Lists of a new inode. */
export interface NewAcls {
  readonly access: Acl | undefined;
  /** Of a directory alone. */
  readonly default: Acl | undefined;
}

const NAMES: Readonly<Record<AclKind, string>> = {
  access: "system.posix_acl_access",
  default: "system.posix_acl_default",
};

/** The name of the xattr that shows a list. */
export function aclName(kind: AclKind): string {
  return NAMES[kind];
}

/** The list that an xattr shows; undefined for any other xattr. */
export function aclKindOf(name: string): AclKind | undefined {
  if (name === NAMES.access) return "access";
  return name === NAMES.default ? "default" : undefined;
}

// The form of the xattr: a version, then eight bytes an entry.

const VERSION = 2;
const HEADER_BYTES = 4;
const ENTRY_BYTES = 8;

/** Whether an entry names a user or a group. */
export function isNamedEntry(tag: number): boolean {
  return tag === USER || tag === GROUP;
}

function isTag(tag: number): boolean {
  return tag === USER_OBJ || tag === USER || tag === GROUP_OBJ || tag === GROUP || tag === MASK || tag === OTHER;
}

/**
 * Reads the value of setxattr (posix_acl_from_xattr); whether the list is valid is another question.
 * @returns undefined for a list without entries, which asks to remove; ENOTSUP for another version; EINVAL for what is no list.
 */
export function parseAcl(value: Uint8Array): Acl | undefined | Errno {
  if (value.length === 0) return undefined;
  if (value.length < HEADER_BYTES) return EINVAL;
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  if (view.getUint32(0, true) !== VERSION) return ENOTSUP;
  if ((value.length - HEADER_BYTES) % ENTRY_BYTES !== 0) return EINVAL;
  const acl: AclEntry[] = [];
  for (let at = HEADER_BYTES; at < value.length; at += ENTRY_BYTES) {
    const tag = view.getUint16(at, true);
    const id = view.getUint32(at + 4, true);
    if (!isTag(tag) || (isNamedEntry(tag) && id === ACL_UNDEFINED_ID)) return EINVAL;
    acl.push({ tag, permissions: view.getUint16(at + 2, true), id: isNamedEntry(tag) ? id : ACL_UNDEFINED_ID });
  }
  return acl.length === 0 ? undefined : acl;
}

/** The value that getxattr shows (posix_acl_to_xattr). */
export function aclBytes(acl: Acl): Uint8Array {
  const value = new Uint8Array(HEADER_BYTES + ENTRY_BYTES * acl.length);
  const view = new DataView(value.buffer);
  view.setUint32(0, VERSION, true);
  let at = HEADER_BYTES;
  for (const { tag, permissions, id } of acl) {
    view.setUint16(at, tag, true);
    view.setUint16(at + 2, permissions, true);
    view.setUint32(at + 4, id, true);
    at += ENTRY_BYTES;
  }
  return value;
}

/** A list as a filesystem has kept it by `aclBytes`; undefined where it has kept none. */
export function keptAclOf(value: Uint8Array | Errno): Acl | undefined {
  const acl = isErrno(value) ? value : parseAcl(value);
  return isErrno(acl) ? undefined : acl;
}

/** Whether entries stand in their order, each where it may, with a mask where somebody is named (posix_acl_valid). */
export function isValidAcl(acl: Acl): boolean {
  // What may come next: an owner, named users or the group, named groups or what ends them, the others, nothing.
  let next = USER_OBJ;
  let needsMask = false;
  for (const { tag, permissions } of acl) {
    if ((permissions & ~7) !== 0) return false;
    if (tag === USER_OBJ && next === USER_OBJ) next = USER;
    else if (tag === USER && next === USER) needsMask = true;
    else if (tag === GROUP_OBJ && next === USER) next = GROUP;
    else if (tag === GROUP && next === GROUP) needsMask = true;
    else if (tag === MASK && next === GROUP) next = OTHER;
    else if (tag === OTHER && (next === OTHER || (next === GROUP && !needsMask))) next = 0;
    else return false;
  }
  return next === 0;
}

// Lists and modes

/** Whether a list says no more than a mode can (posix_acl_equiv_mode gives 0). */
function isMode(acl: Acl): boolean {
  return acl.every(({ tag }) => tag === USER_OBJ || tag === GROUP_OBJ || tag === OTHER);
}

/** What is kept of a list: nothing of an access list that says no more than a mode. */
export function keptAcl(kind: AclKind, acl: Acl | undefined): Acl | undefined {
  return kind === "access" && acl !== undefined && isMode(acl) ? undefined : acl;
}

/** The permission bits of a mode under a valid access list; the mask, where there is one, shows as those of the group. */
export function modeWithAcl(mode: number, acl: Acl): number {
  let bits = 0;
  let group = 0;
  for (const { tag, permissions } of acl) {
    if (tag === USER_OBJ) bits |= permissions << 6;
    else if (tag === GROUP_OBJ || tag === MASK) group = permissions << 3;
    else if (tag === OTHER) bits |= permissions;
  }
  return (mode & ~0o777) | bits | group;
}

/** The list that says what a mode says (posix_acl_from_mode). */
export function aclOfMode(mode: number): Acl {
  return ([6, 3, 0] as const).map((shift) => {
    const tag = shift === 6 ? USER_OBJ : shift === 3 ? GROUP_OBJ : OTHER;
    return { tag, permissions: (mode >> shift) & 7, id: ACL_UNDEFINED_ID };
  });
}

/** A list with other permissions of owner, mask (the group's where there is none) and others. */
function withClasses(acl: Acl, permissionsOf: (entry: AclEntry, shift: number) => number): Acl {
  const hasMask = acl.some(({ tag }) => tag === MASK);
  return acl.map((entry) => {
    const { tag, id } = entry;
    let shift = -1;
    if (tag === USER_OBJ) shift = 6;
    else if (tag === MASK || (tag === GROUP_OBJ && !hasMask)) shift = 3;
    else if (tag === OTHER) shift = 0;
    return shift < 0 ? entry : { tag, permissions: permissionsOf(entry, shift), id };
  });
}

/** An access list after chmod (__posix_acl_chmod_masq). */
export function aclWithMode(acl: Acl, mode: number): Acl {
  return withClasses(acl, (_, shift) => (mode >> shift) & 7);
}

/**
 * What a new inode has from its directory's default list: that list, and no more than the mode that was asked for (posix_acl_create).
 * @param mode - with its type bits; the umask does not count.
 */
export function inheritAcl(
  inherited: Acl,
  mode: number,
  isDirectory: boolean,
): { readonly mode: number; readonly acls: NewAcls } {
  const access = withClasses(inherited, ({ permissions }, shift) => permissions & (mode >> shift));
  return {
    mode: modeWithAcl(mode, access),
    acls: { access: keptAcl("access", access), default: isDirectory ? inherited : undefined },
  };
}

/**
 * Whether a list lets somebody who does not own the inode do something (posix_acl_permission): the entry of a named user decides, else any entry
 * of a group of theirs that has all that is wanted, both no further than the mask; who is in none of the groups is one of the others.
 * @param want - bits of rwx. @param gid - the inode's group.
 */
export function aclPermits(acl: Acl, who: Credentials, want: number, gid: number): boolean {
  let found = false;
  for (const { tag, permissions, id } of acl) {
    if (tag === USER && id === who.uid) return (permissions & maskOf(acl) & want) === want;
    if ((tag === GROUP_OBJ && inGroup(who, gid)) || (tag === GROUP && inGroup(who, id))) {
      found = true;
      if ((permissions & want) === want) return (maskOf(acl) & want) === want;
    }
    if (tag === OTHER) return !found && (permissions & want) === want;
  }
  return false;
}

/** The mask of a list; everything where it has none. */
function maskOf(acl: Acl): number {
  for (const { tag, permissions } of acl) if (tag === MASK) return permissions;
  return 7;
}
