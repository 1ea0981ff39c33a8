/** Constants of btrfs (include/uapi/linux/btrfs_tree.h, fs/btrfs/ctree.h, fs.h; spec/block-cow.md 2.1). */
import { type Bytes, GIB, KIB, MIB } from "../../core/units.ts";
import type { Key } from "../key.ts";
import type { NodeFormat } from "../node.ts";

export const SECTOR_SIZE = 4096;
export const NODE_SIZE = 16_384;

export const FORMAT: NodeFormat = { nodeBytes: NODE_SIZE, headerBytes: 101, itemBytes: 25, pointerBytes: 33 };

// Trees
export const ROOT_TREE = 1;
export const EXTENT_TREE = 2;
export const CHUNK_TREE = 3;
export const DEVICE_TREE = 4;
export const TOP_SUBVOLUME = 5;
export const CHECKSUM_TREE = 7;
export const QUOTA_TREE = 8;
export const UUID_TREE = 9;
export const FREE_SPACE_TREE = 10;
/** -9 as an unsigned number in btrfs; what counts is that it is behind all others. */
export const DATA_RELOCATION_TREE: number = 2 ** 52 - 9;
/** BTRFS_DEV_STATS_OBJECTID: counts of a device's errors. */
export const DEVICE_STATS = 0;
/** BTRFS_FIRST_FREE_OBJECTID: the first subvolume made, and the root folder of each. */
export const FIRST_FREE = 256;
/** Object ids from here on are not inodes or subvolumes. */
export const LAST_FREE: number = 2 ** 51;
/** BTRFS_EMPTY_SUBVOL_DIR_OBJECTID: what stands for a subvolume in a snapshot of the one around it. */
export const EMPTY_SUBVOLUME = 2;
/** BTRFS_ORPHAN_OBJECTID, -5. */
export const ORPHANS: number = 2 ** 52 - 5;
/** BTRFS_TREE_LOG_OBJECTID, -6: the tree of log trees' roots, and each log tree. */
export const TREE_LOG: number = 2 ** 52 - 6;
/** BTRFS_EXTENT_CSUM_OBJECTID, -10. */
export const CHECKSUMS: number = 2 ** 52 - 10;

// Kinds of keys
export const INODE_ITEM = 1;
export const INODE_REF = 12;
export const INODE_EXTREF = 13;
export const XATTR_ITEM = 24;
export const ORPHAN_ITEM = 48;
/** Of a log tree: of which indices of a directory the log says all that there is. */
export const DIR_LOG_INDEX = 72;
export const DIR_ITEM = 84;
export const DIR_INDEX = 96;
export const EXTENT_DATA = 108;
export const EXTENT_CSUM = 128;
export const ROOT_ITEM = 132;
export const ROOT_BACKREF = 144;
export const ROOT_REF = 156;
export const EXTENT_ITEM = 168;
export const METADATA_ITEM = 169;
export const TREE_BLOCK_REF = 176;
export const EXTENT_DATA_REF = 178;
export const SHARED_BLOCK_REF = 182;
export const SHARED_DATA_REF = 184;
export const BLOCK_GROUP_ITEM = 192;
export const FREE_SPACE_INFO = 198;
export const FREE_SPACE_EXTENT = 199;
export const FREE_SPACE_BITMAP = 200;
export const DEV_EXTENT = 204;
export const DEV_ITEM = 216;
export const CHUNK_ITEM = 228;
export const QGROUP_STATUS = 240;
export const QGROUP_INFO = 242;
export const QGROUP_LIMIT = 244;
export const QGROUP_RELATION = 246;
export const PERSISTENT_ITEM = 249;
export const UUID_SUBVOLUME = 251;

/** Behind all kinds that an object's items have. */
export const ITEM_KIND_MAX = 255;

// Sizes of items in bytes
export const INODE_BYTES = 160;
/** Of an inode reference, beside the name; of an extended one. */
export const REF_BYTES = 10;
export const EXTREF_BYTES = 18;
/** Five counts of errors of a device. */
export const DEVICE_STATS_BYTES = 40;
/** Of a directory item, an index item or an xattr, beside name and value. */
export const DIR_BYTES = 30;
export const FILE_EXTENT_BYTES = 53;
export const DIR_LOG_BYTES = 8;
/** Of a file extent whose data is in the item, beside the data. */
export const INLINE_BYTES = 21;
/** Of an extent, beside the references in it. */
export const EXTENT_ITEM_BYTES = 24;
/** What an extent's item grows to with references; more are items of their own (BTRFS_MAX_EXTENT_ITEM_SIZE). */
export const EXTENT_ITEM_BYTES_MAX: number = ((NODE_SIZE - 101) >> 4) - 25;
export const ROOT_BYTES = 439;
export const ROOT_REF_BYTES = 18;
/** Of one sector's checksum. */
const CHECKSUM_BYTES = 4;
/** The largest item that a leaf takes (BTRFS_MAX_ITEM_SIZE). */
export const ITEM_BYTES_MAX: number = NODE_SIZE - 101 - 25;

// Data
export const EXTENT_BYTES_MAX: Bytes = MIB(128);
export const COMPRESSED_BYTES_MAX: Bytes = KIB(128);
export const FILE_SIZE_MAX: number = Number.MAX_SAFE_INTEGER;
export const LINKS_MAX = 65_535;
export const COMMIT_SECONDS = 30;

// Where things are
export const SUPERBLOCK_AT: readonly number[] = [KIB(64), MIB(64), GIB(256)];
export const SUPERBLOCK_BYTES = 4096;
/** What chunks leave free around each copy of the superblock (BTRFS_STRIPE_LEN). */
export const STRIPE_LENGTH = 65_536;
/** The first byte of a device that a chunk may take (BTRFS_DEVICE_RANGE_RESERVED). */
export const DEVICE_RESERVED: Bytes = MIB(1);

/** What the space of one item of a transaction is estimated to need: a path of 8 nodes, twice for an insertion. */
export const ITEM_RESERVE: number = NODE_SIZE * 8 * 2;

/** FS_NOCOW_FL and FS_COMPR_FL, FS_NOCOMP_FL as chattr shows them. */
export const NOCOW_FLAG = 0x800000;
export const COMPRESS_FLAG = 0x4;
export const NOCOMPRESS_FLAG = 0x400;
/** BTRFS_INODE_PREALLOC, which chattr does not show: extents of the inode were preallocated once. */
export const PREALLOC_FLAG = 0x4000_0000;
/** BTRFS_INODE_NODATASUM, which chattr does not show: data of the inode has no checksums. */
export const NODATASUM_FLAG = 0x2000_0000;

/** How many leaves the checksums of so many sectors may need (btrfs_csum_bytes_to_leaves). */
export function checksumLeaves(sectors: number): number {
  return Math.ceil(sectors / Math.floor(ITEM_BYTES_MAX / CHECKSUM_BYTES));
}

export function key(object: number, kind: number, offset = 0): Key {
  return { object, kind, offset };
}

const INODES = 2 ** 32;
/** An inode's handle: its subvolume and its number. */
export function handleOf(subvolume: number, ino: number): number {
  return subvolume * INODES + ino;
}
export function subvolumeOf(handle: number): number {
  return Math.floor(handle / INODES);
}
export function inoOf(handle: number): number {
  // What division by INODES leaves: the low 32 bits.
  return handle >>> 0;
}
