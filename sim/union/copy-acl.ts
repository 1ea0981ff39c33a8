/** The access control lists of a copy (fs/overlayfs/copy_up.c, ovl_copy_acl, Linux 6.18, recorded; fs/aufs/xattr.c, au_cpup_xattr). */
import { ENOTSUP, type Errno } from "../core/errno.ts";
import type { FileSystem, Inode } from "../vfs/filesystem.ts";
import { type AclKind, modeWithAcl } from "../vfs/posix-acl.ts";

/** Gives a copy the list of its source. @returns ENOTSUP where the filesystem of the copy keeps none. */
export function copyAcl(
  source: { readonly fs: FileSystem; readonly inode: Inode },
  copy: { readonly fs: FileSystem; readonly inode: Inode },
  kind: AclKind,
): Errno | undefined {
  const acl = source.fs.acl?.(source.inode, kind);
  if (acl === undefined) return undefined;
  if (copy.fs.setAcl === undefined) return ENOTSUP;
  const mode = kind === "access" ? modeWithAcl(copy.fs.mode(copy.inode), acl) & 0o7777 : undefined;
  return copy.fs.setAcl(copy.inode, kind, acl, mode);
}
