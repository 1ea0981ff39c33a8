/**
 * Access control lists (fs/btrfs/acl.c): kept as the xattrs that show them, and cached with the inode.
 */
import { ENODATA, type Errno } from "../../core/errno.ts";
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
import type { InodeState } from "./inode-state.ts";
import { stamp } from "./inodes.ts";
import type { BtrfsState } from "./state.ts";
import { getxattr, removexattr, setxattr } from "./xattrs.ts";

/** A list of an inode. */
export function aclOf(inode: InodeState, kind: AclKind): Acl | undefined {
  let acls = inode.acls;
  if (acls === undefined) {
    acls = { access: read(inode, "access"), default: inode.isDirectory ? read(inode, "default") : undefined };
    inode.acls = acls;
  }
  return acls[kind];
}

function read(inode: InodeState, kind: AclKind): Acl | undefined {
  return keptAclOf(getxattr(inode, aclName(kind)));
}

/** btrfs_set_acl: the inode is written in any case. A removal leaves the permission bits as they are. */
export function setAcl(state: BtrfsState, inode: InodeState, { kind, acl, mode }: AclChange): Errno | undefined {
  const failed = put(state, inode, kind, keptAcl(kind, acl));
  if (failed !== undefined) return failed;
  if (acl !== undefined && mode !== undefined) inode.mode = (inode.mode & S_IFMT) | mode;
  stamp(state, inode, false);
  return undefined;
}

function put(state: BtrfsState, inode: InodeState, kind: AclKind, acl: Acl | undefined): Errno | undefined {
  inode.acls = undefined;
  if (acl !== undefined) return setxattr(state, inode, { name: aclName(kind), value: aclBytes(acl) }, 0);
  const failed = removexattr(state, inode, aclName(kind));
  return failed === ENODATA ? undefined : failed;
}

/** Gives a new inode what its directory's default list says (btrfs_create_new_inode). */
export function initAcls(state: BtrfsState, inode: InodeState, acls: NewAcls | undefined): void {
  inode.acls = NO_ACLS;
  if (acls === undefined) return;
  for (const kind of ["default", "access"] as const) {
    const acl = acls[kind];
    if (acl !== undefined) put(state, inode, kind, acl);
  }
}

const NO_ACLS: NewAcls = { access: undefined, default: undefined };
