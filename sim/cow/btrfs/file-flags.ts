/** Flags of chattr(1) (fs/btrfs/ioctl.c: btrfs_fileattr_set, check_fsflags; Linux 6.18). */
import { EINVAL, ENOTSUP, ENOTTY, EROFS, type Errno } from "../../core/errno.ts";
import { S_IFDIR, S_IFMT, S_IFREG } from "../../vfs/filesystem.ts";
import { APPEND_ONLY, IMMUTABLE, NO_ATIME, NO_DUMP, SYNCHRONOUS } from "../../vfs/inode-flags.ts";
import type { Compression } from "./compression.ts";
import type { InodeState } from "./inode-state.ts";
import { stamp } from "./inodes.ts";
import { COMPRESS_FLAG, NOCOMPRESS_FLAG, NOCOW_FLAG, NODATASUM_FLAG, PREALLOC_FLAG } from "./layout.ts";
import { setCompressed } from "./props.ts";
import type { BtrfsState } from "./state.ts";
import { begin } from "./transaction.ts";

/** FS_DIRSYNC_FL: D, for folders. */
const SYNCHRONOUS_FOLDER = 0x10000;
const PLAIN: number = SYNCHRONOUS | IMMUTABLE | APPEND_ONLY | NO_DUMP | NO_ATIME | SYNCHRONOUS_FOLDER;
const OF_COMPRESSION: number = COMPRESS_FLAG | NOCOMPRESS_FLAG;
/** What only btrfs itself knows of. */
const HIDDEN: number = PREALLOC_FLAG | NODATASUM_FLAG;
/** What changing them is estimated to change, in items: the inode's, and those of its property. */
const FLAG_ITEMS = 3;

export function fileFlags(inode: InodeState): number | Errno {
  return inode.isPlaceholder ? ENOTTY : inode.flags & ~HIDDEN;
}

/** What of asked flags a type of inode has (btrfs_mask_fsflags_for_type). */
function maskFor(type: number): number {
  if (type === S_IFDIR) return -1;
  return type === S_IFREG ? ~SYNCHRONOUS_FOLDER : NO_DUMP | NO_ATIME;
}

/**
 * Whether flags do not go together: compression with none or with no copying, and of an inode that is not copied on write what is said of
 * compression, and the other way round.
 */
function exclude(old: number, flags: number): boolean {
  if ((flags & COMPRESS_FLAG) !== 0 && (flags & (NOCOMPRESS_FLAG | NOCOW_FLAG)) !== 0) return true;
  const before = (old & NOCOW_FLAG) !== 0 && (flags & OF_COMPRESSION) !== 0;
  return before || ((flags & NOCOW_FLAG) !== 0 && (old & OF_COMPRESSION) !== 0);
}

export function setFileFlags(state: BtrfsState, inode: InodeState, asked: number): Errno | undefined {
  if (inode.isPlaceholder) return ENOTTY;
  if (inode.subvolume.item.readOnly) return EROFS;
  const flags = asked & maskFor(inode.mode & S_IFMT);
  if ((flags & ~(PLAIN | NOCOW_FLAG | OF_COMPRESSION)) !== 0) return ENOTSUP;
  if (exclude(inode.flags, flags)) return EINVAL;
  const refused = begin(state, FLAG_ITEMS, inode.subvolume);
  if (refused !== undefined) return refused;
  setCompressed(inode, (flags & COMPRESS_FLAG) === 0 ? undefined : algorithmFor(state));
  inode.flags = (flags & (PLAIN | OF_COMPRESSION)) | (inode.flags & PREALLOC_FLAG) | copying(inode, flags);
  stamp(state, inode, false);
  return undefined;
}

/** What chattr +c compresses with: what the mount does, else zlib. */
function algorithmFor(state: BtrfsState): Compression {
  const asked = state.environment.options?.compress ?? "none";
  return asked === "none" ? "zlib" : asked;
}

/** Copying on write is only given up, or taken up again, by a file without data, and its checksums with it. A folder says it for what comes into it. */
function copying(inode: InodeState, flags: number): number {
  const both = NOCOW_FLAG | NODATASUM_FLAG;
  if ((inode.mode & S_IFMT) !== S_IFREG) return (flags & NOCOW_FLAG) | (inode.flags & NODATASUM_FLAG);
  if (inode.size > 0) return inode.flags & both;
  return (flags & NOCOW_FLAG) !== 0 ? both : 0;
}
