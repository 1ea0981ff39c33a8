/**
 * security.capability: what a file's program may do, as it lies in the xattr (include/uapi/linux/capability.h, struct vfs_ns_cap_data), and what
 * setxattr and getxattr make of it (security/commoncap.c, cap_convert_nscap and cap_inode_getsecurity; Linux 6.18, recorded).
 */
import { EINVAL, type Errno, isErrno } from "../core/errno.ts";
import type { FileSystem, Inode } from "./filesystem.ts";

export const CAPABILITY = "security.capability";

/** The two revisions that are kept, by their length in bytes; the third has the user that counts as root behind. */
const REVISION_2 = 0x02000000;
const REVISION_3 = 0x03000000;
const REVISION_2_BYTES = 20;
const REVISION_3_BYTES = 24;
/** VFS_CAP_FLAGS_EFFECTIVE. */
const EFFECTIVE = 1;

/** The first word: the revision and its flags. */
function magicOf(value: Uint8Array): number {
  return new DataView(value.buffer, value.byteOffset, value.byteLength).getUint32(0, true);
}

/** The revision of a value; undefined for what is none. */
function revisionOf(value: Uint8Array): 2 | 3 | undefined {
  if (value.length !== REVISION_2_BYTES && value.length !== REVISION_3_BYTES) return undefined;
  const revision = (magicOf(value) & ~EFFECTIVE) >>> 0;
  if (value.length === REVISION_2_BYTES) return revision === REVISION_2 ? 2 : undefined;
  return revision === REVISION_3 ? 3 : undefined;
}

/** Whether setxattr takes a value. */
export function isCapabilityValue(value: Uint8Array): boolean {
  return revisionOf(value) !== undefined;
}

/** An xattr as the kernel reads it for others (vfs_getxattr). @returns also EINVAL for a capability that is none. */
export function readXattr(fs: FileSystem, inode: Inode, name: string): Uint8Array | Errno {
  const value = fs.getxattr(inode, name);
  return name === CAPABILITY && !isErrno(value) ? shownCapability(value) : value;
}

/** What getxattr shows of a stored value: revision 2 where root is meant. */
function shownCapability(value: Uint8Array): Uint8Array | Errno {
  const revision = revisionOf(value);
  if (revision === undefined) return EINVAL;
  const isRoots = revision === 3 && value.subarray(REVISION_2_BYTES).every((byte) => byte === 0);
  if (!isRoots) return value;
  const shown = value.slice(0, REVISION_2_BYTES);
  new DataView(shown.buffer).setUint32(0, (REVISION_2 | (magicOf(value) & EFFECTIVE)) >>> 0, true);
  return shown;
}
