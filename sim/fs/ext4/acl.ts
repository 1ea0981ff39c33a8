/**
 * Access control lists (fs/ext4/acl.c): xattrs of two indexes of their own, whose entries take 4 bytes where they name nobody.
 */
import { ENODATA, ENOSPC, type Errno } from "../../core/errno.ts";
import { S_IFMT } from "../../vfs/filesystem.ts";
import {
  type Acl,
  type AclChange,
  type AclKind,
  aclBytes,
  aclName,
  keptAcl,
  keptAclOf,
  type NewAcls,
} from "../../vfs/posix-acl.ts";
import { MODE } from "./inode-words.ts";
import { stamp } from "./stamp.ts";
import type { Ext4State } from "./state.ts";
import { blocksForNew, getxattr, hasXattrs, removexattr, setxattr } from "./xattrs.ts";

/** A list of an inode; quick for one without xattrs. */
export function aclOf(state: Ext4State, ino: number, kind: AclKind): Acl | undefined {
  if (!hasXattrs(state, ino)) return undefined;
  return keptAclOf(getxattr(state, ino, aclName(kind)));
}

/** ext4_set_acl. A removal leaves the permission bits as they are. */
export function setAcl(state: Ext4State, ino: number, { kind, acl, mode }: AclChange): Errno | undefined {
  const failed = put(state, ino, kind, keptAcl(kind, acl));
  if (failed !== undefined) return failed;
  const before = state.word(ino, MODE);
  if (acl === undefined || mode === undefined || mode === (before & 0o7777)) return undefined;
  const refused = state.begin();
  if (refused !== undefined) return refused;
  state.setWord(ino, MODE, (before & S_IFMT) | mode);
  stamp(state, ino, false);
  return undefined;
}

function put(state: Ext4State, ino: number, kind: AclKind, acl: Acl | undefined): Errno | undefined {
  if (acl !== undefined) return setxattr(state, ino, { name: aclName(kind), value: aclBytes(acl) }, 0);
  const failed = removexattr(state, ino, aclName(kind));
  return failed === ENODATA ? undefined : failed;
}

function valuesOf(acls: NewAcls): [name: string, value: Uint8Array][] {
  const values: [string, Uint8Array][] = [];
  // The default list comes first (ext4_init_acl).
  for (const kind of ["default", "access"] as const) {
    const acl = acls[kind];
    if (acl !== undefined) values.push([aclName(kind), aclBytes(acl)]);
  }
  return values;
}

/** How many blocks the lists of a new inode need beside it. @returns ENOSPC where they do not fit one. */
export function blocksForAcls(acls: NewAcls | undefined): number | Errno {
  return acls === undefined ? 0 : (blocksForNew(valuesOf(acls)) ?? ENOSPC);
}

/** Gives a new inode its lists (ext4_init_acl); `blocksForAcls` has asked for the room. */
export function initAcls(state: Ext4State, ino: number, acls: NewAcls): void {
  for (const [name, value] of valuesOf(acls)) setxattr(state, ino, { name, value }, 0);
}
