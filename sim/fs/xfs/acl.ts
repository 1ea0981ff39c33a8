/**
 * Access control lists (fs/xfs/xfs_acl.c): attributes of the root namespace, which trusted.* shows as they lie on the disk.
 */
import { E2BIG, ENODATA, type Errno, isErrno } from "../../core/errno.ts";
import { S_IFMT } from "../../vfs/filesystem.ts";
import {
  ACL_UNDEFINED_ID,
  type Acl,
  type AclChange,
  type AclEntry,
  type AclKind,
  aclName,
  isNamedEntry,
  keptAcl,
  type NewAcls,
} from "../../vfs/posix-acl.ts";
import { MODE } from "./inodes.ts";
import { stamp } from "./stamp.ts";
import type { XfsState } from "./state.ts";
import { getxattr, hasXattrs, removexattr, setxattr } from "./xattrs.ts";

/** SGI_ACL_FILE and SGI_ACL_DEFAULT. */
const STORED: Readonly<Record<AclKind, string>> = { access: "trusted.SGI_ACL_FILE", default: "trusted.SGI_ACL_DEFAULT" };

/** A count, then entries of tag, id, permissions and a gap, all big-endian. */
const HEADER_BYTES = 4;
const ENTRY_BYTES = 12;
/** XFS_ACL_MAX_ENTRIES; filesystems without checksums had room for 25. */
const ENTRIES_MAX = Math.floor((65_536 - HEADER_BYTES) / ENTRY_BYTES);
const OLD_ENTRIES_MAX = 25;

/** xfs_acl_to_disk. */
function stored(acl: Acl): Uint8Array {
  const value = new Uint8Array(HEADER_BYTES + ENTRY_BYTES * acl.length);
  const view = new DataView(value.buffer);
  view.setUint32(0, acl.length);
  let at = HEADER_BYTES;
  for (const entry of acl) {
    view.setUint32(at, entry.tag);
    view.setUint32(at + 4, entry.id);
    view.setUint16(at + 8, entry.permissions);
    at += ENTRY_BYTES;
  }
  return value;
}

/** xfs_acl_from_disk; undefined for what is no list. */
function aclIn(value: Uint8Array): Acl | undefined {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  if (value.length < HEADER_BYTES || value.length !== HEADER_BYTES + ENTRY_BYTES * view.getUint32(0)) return undefined;
  const acl: AclEntry[] = [];
  for (let at = HEADER_BYTES; at < value.length; at += ENTRY_BYTES) {
    const tag = view.getUint32(at);
    acl.push({ tag, permissions: view.getUint16(at + 8), id: isNamedEntry(tag) ? view.getUint32(at + 4) : ACL_UNDEFINED_ID });
  }
  return acl;
}

/** A list of an inode; quick for one without xattrs. */
export function aclOf(state: XfsState, ino: number, kind: AclKind): Acl | undefined {
  if (!hasXattrs(state, ino)) return undefined;
  const value = getxattr(state, ino, STORED[kind]);
  return isErrno(value) ? undefined : aclIn(value);
}

/** Names as listxattr shows them: a list's own before the attribute that keeps it (xfs_xattr_put_listent). */
export function withAclNames(names: readonly string[] | Errno): string[] | Errno {
  if (isErrno(names)) return names;
  return names.flatMap((name) => {
    if (name === STORED.access) return [aclName("access"), name];
    return name === STORED.default ? [aclName("default"), name] : [name];
  });
}

/** xfs_set_acl. A removal leaves the permission bits as they are. @returns E2BIG for more entries than an attribute holds. */
export function setAcl(state: XfsState, ino: number, { kind, acl, mode }: AclChange): Errno | undefined {
  if (acl !== undefined && acl.length > (state.geometry.crc ? ENTRIES_MAX : OLD_ENTRIES_MAX)) return E2BIG;
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

function put(state: XfsState, ino: number, kind: AclKind, acl: Acl | undefined): Errno | undefined {
  if (acl !== undefined) return setxattr(state, ino, { name: STORED[kind], value: stored(acl) }, 0);
  const failed = removexattr(state, ino, STORED[kind]);
  return failed === ENODATA ? undefined : failed;
}

/** Gives a new inode what its directory's default list says, when it has its name already (xfs_generic_create). @returns ENOSPC. */
export function initAcls(state: XfsState, ino: number, acls: NewAcls): Errno | undefined {
  for (const kind of ["default", "access"] as const) {
    const acl = acls[kind];
    const failed = acl === undefined ? undefined : put(state, ino, kind, acl);
    if (failed !== undefined) return failed;
  }
  return undefined;
}
