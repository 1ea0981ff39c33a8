/**
 * Immutable and append-only flags of upper inodes (fs/overlayfs/util.c, ovl_check_protattr and ovl_set_protattr; copy_up.c, ovl_copy_fileattr;
 * Linux 6.18, recorded).
 *
 * Interface: they are not set on an upper inode, whose xattrs and links could not be changed any more then, but told in its xattr
 * overlay.protattr: "a", "i" or "ai". Other flags are the real inode's.
 */
import { ENODATA, ENOTSUP, EPERM, type Errno, isErrno } from "../../core/errno.ts";
import { type FileSystem, type Inode, S_IFDIR, S_IFMT, S_IFREG } from "../../vfs/filesystem.ts";
import { APPEND_ONLY, IMMUTABLE, NO_ATIME, SYNCHRONOUS } from "../../vfs/inode-flags.ts";
import type { Overlay, UpperLayer } from "./state.ts";

/** Flags that are told in the xattr. */
export const PROTECTING: number = IMMUTABLE | APPEND_ONLY;
/** What a copy has of its source. */
const COPIED = SYNCHRONOUS | NO_ATIME;

const LETTER_A = 0x61;
const LETTER_I = 0x69;

/** What an upper inode's xattr says. Where the mount began with an empty layer it knows which inodes have one. */
export function protectionOf(overlay: Overlay, upper: FileSystem, inode: Inode): number {
  if (!overlay.profile.flagsInXattr) return 0;
  if (!overlay.beganEmpty()) return protectionIn(upper.getxattr(inode, overlay.xattrs.protattr));
  return overlay.protections.size === 0 ? 0 : (overlay.protections.get(inode) ?? 0);
}

/** ovl_check_protattr: letters it does not know end it, and then none counts. */
function protectionIn(value: Uint8Array | Errno): number {
  if (isErrno(value) || value.length === 0) return 0;
  let flags = 0;
  for (const letter of value) {
    if (letter !== LETTER_A && letter !== LETTER_I) return 0;
    flags |= letter === LETTER_A ? APPEND_ONLY : IMMUTABLE;
  }
  return flags;
}

/** @returns EPERM where the upper filesystem has no xattrs. */
export function protect(overlay: Overlay, upper: UpperLayer, inode: Inode, flags: number): Errno | undefined {
  const name = overlay.xattrs.protattr;
  if (flags === 0 && protectionOf(overlay, upper.fs, inode) === 0) return undefined;
  const letters = [...((flags & APPEND_ONLY) !== 0 ? [LETTER_A] : []), ...((flags & IMMUTABLE) !== 0 ? [LETTER_I] : [])];
  const failed = flags === 0 ? upper.fs.removexattr(inode, name) : upper.fs.setxattr(inode, name, Uint8Array.from(letters), 0);
  if (failed === ENOTSUP) return flags === 0 ? undefined : EPERM;
  if (failed !== undefined && failed !== ENODATA) return failed;
  if (flags === 0) overlay.protections.delete(inode);
  else overlay.protections.set(inode, flags);
  return undefined;
}

/** Gives a copy the flags of its source, of a file or a directory. */
export function copyFlags(
  overlay: Overlay,
  upper: UpperLayer,
  source: { readonly fs: FileSystem; readonly inode: Inode; readonly mode: number },
  copy: Inode,
): Errno | undefined {
  const type = source.mode & S_IFMT;
  if (!overlay.profile.flagsInXattr || (type !== S_IFREG && type !== S_IFDIR)) return undefined;
  const flags = source.fs.fileFlags?.(source.inode);
  if (typeof flags !== "number") return undefined;
  const failed = (flags & PROTECTING) === 0 ? undefined : protect(overlay, upper, copy, flags & PROTECTING);
  if (failed !== undefined && failed !== EPERM) return failed;
  if ((flags & COPIED) === 0) return undefined;
  const known = upper.fs.fileFlags?.(copy);
  return typeof known === "number" ? upper.fs.setFileFlags?.(copy, (known & ~COPIED) | (flags & COPIED)) : undefined;
}
