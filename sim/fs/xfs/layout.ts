/**
 * Where things lie on an xfs (mkfs/xfs_mkfs.c of xfsprogs 6.1, fs/xfs/libxfs/xfs_format.h): geometry is computed once by mkfs and kept in the superblock.
 *
 * A disk is cut into allocation groups (AGs). The first block of each holds four sectors: a superblock, the AGF (free space), the AGI (inodes)
 * and the AGFL (blocks kept for the free space trees); then come the roots of its trees. The log lies in the middle group, behind them.
 *
 * Interface: a block's number here is its place on the device. An inode's number is its place too, with bit fields: group, block in the
 * group, inode in the block.
 */
import { KIB, MIB } from "../../core/units.ts";
import { S_IFBLK, S_IFCHR } from "../../vfs/filesystem.ts";

export const BLOCK_SIZE = 4096;
export const SECTOR_SIZE = 512;
export const SECTORS_PER_BLOCK = 8;
/** XFS_INODES_PER_CHUNK: what one record of the inode tree is about. */
export const CHUNK_INODES = 64;
/** Inodes of one buffer: 16 KiB of 512-byte inodes, or 8 KiB of 256-byte ones. */
export const CLUSTER_INODES = 32;
/** XFS_MAXLINK. */
export const LINK_MAX: number = 2 ** 31 - 1;
/** XFS_SYMLINK_MAXLEN. */
export const SYMLINK_BYTES_MAX = 1024;
/** XFS_MAX_BMBT_EXTLEN. */
export const EXTENT_BLOCKS_MAX: number = 2 ** 21 - 1;
/** XFS_AG_MAX_BYTES in blocks: 1 TiB. */
const AG_BLOCKS_MAX: number = 2 ** 28;
/** mkfs.xfs refuses less. */
export const DEVICE_BYTES_MIN: number = MIB(300);
/** XFS_AG_MIN_BYTES in blocks: mkfs makes no smaller group. */
const GROUP_BLOCKS_MIN: number = MIB(16) / BLOCK_SIZE;
/** A stripe unit beyond this is none of the log's, which then gets one of 32 KiB. */
const LOG_UNIT_MAX: number = KIB(256) / BLOCK_SIZE;
const LOG_UNIT_DEFAULT: number = KIB(32) / BLOCK_SIZE;
/** Blocks of the AGFL that mkfs fills. */
const FREE_LIST_BLOCKS = 4;
/** Inode numbers stay below this, as with mount -o inode32, whatever the disk's size. */
const INODE_NUMBER_LIMIT: number = 2 ** 32;

/** How the device below is striped, in blocks: one disk's part, and a whole stripe. */
export interface Stripe {
  readonly unit: number;
  readonly width: number;
}

export interface GeometryOptions {
  /** d_type in directory entries (-n ftype=). Default true; a filesystem with checksums always has it. */
  readonly ftype?: boolean;
  /** Shared extents (-m reflink=). Default true; needs `crc`. */
  readonly reflink?: boolean;
  /** Checksums, and all that came with them (-m crc=): inodes of 512 bytes, a tree of free inodes. Default true. */
  readonly crc?: boolean;
  /** -d su=,sw=. Default: none. */
  readonly stripe?: Stripe | undefined;
}

export interface Geometry {
  readonly blocks: number;
  readonly groups: number;
  /** Of every group but perhaps the last. */
  readonly groupBlocks: number;
  /** sb_agblklog. */
  readonly groupBits: number;
  readonly inodeSize: number;
  readonly inodesPerBlock: number;
  readonly logStart: number;
  readonly logBlocks: number;
  /** sb_logsunit in blocks: what a write to the log is a multiple of; 0: of a sector. */
  readonly logUnit: number;
  /** sb_unit in blocks: what inode chunks and large files begin at a multiple of; 0: anywhere. */
  readonly stripeUnit: number;
  /** sb_imax_pct. */
  readonly inodePercent: number;
  readonly ftype: boolean;
  readonly reflink: boolean;
  readonly crc: boolean;
}

/** Blocks that each group has before anything else: four sectors and the roots of its trees. */
export function fixedBlocks(geometry: Pick<Geometry, "reflink" | "crc">): number {
  // Free space by block and by size, inodes; free inodes; shared extents.
  return 1 + 3 + (geometry.crc ? 1 : 0) + (geometry.reflink ? 1 : 0);
}

/** calc_default_ag_geometry: for one disk 4 groups up to 4 TiB, groups of 1 TiB beyond; more of them where the device is striped. */
function defaultGroupBlocks(blocks: number, isStriped: boolean): number {
  if (blocks >= (isStriped ? 32 : 4) * AG_BLOCKS_MAX) return AG_BLOCKS_MAX;
  const count = !isStriped ? 4 : blocks > MIB(512 * 1024) / BLOCK_SIZE ? 32 : blocks > MIB(8 * 1024) / BLOCK_SIZE ? 16 : 8;
  return Math.min(AG_BLOCKS_MAX, Math.ceil(blocks / count));
}

/** align_ag_geometry: groups of whole stripe units, which do not all begin on the same disk. */
function groupBlocksOf(blocks: number, stripe: Stripe | undefined): number {
  const usual = defaultGroupBlocks(blocks, stripe !== undefined);
  if (stripe === undefined) return usual;
  const aligned = roundUp(usual, stripe.unit);
  const fits = aligned <= AG_BLOCKS_MAX ? aligned : aligned - stripe.unit;
  return fits % stripe.width === 0 && stripe.width !== stripe.unit ? fits - stripe.unit : fits;
}

function roundUp(value: number, unit: number): number {
  return unit === 0 ? value : Math.ceil(value / unit) * unit;
}

/** The stripe unit that the log gets of the device's. */
function logUnitOf(stripe: Stripe | undefined): number {
  if (stripe === undefined) return 0;
  return stripe.unit > LOG_UNIT_MAX ? LOG_UNIT_DEFAULT : stripe.unit;
}

/** calculate_log_size: a 2048th of the disk, from 64 MiB to just below 2 GiB, in whole units. */
function logBlocksOf(blocks: number, groupBlocks: number, unit: number): number {
  const wanted = Math.max(MIB(64) / BLOCK_SIZE, Math.floor(blocks / 2048));
  return Math.min(roundUp(wanted, unit), (2 ** 31 - MIB(10)) / BLOCK_SIZE, groupBlocks - 16);
}

export function geometryOf(size: number, options: GeometryOptions = {}): Geometry {
  const crc = options.crc ?? true;
  const reflink = crc && (options.reflink ?? true);
  const { stripe } = options;
  let blocks = Math.floor(size / BLOCK_SIZE);
  const groupBlocks = groupBlocksOf(blocks, stripe);
  const logUnit = logUnitOf(stripe);
  // A last group that is too small to be one is left out.
  if (blocks % groupBlocks < GROUP_BLOCKS_MIN) blocks -= blocks % groupBlocks;
  const groups = Math.ceil(blocks / groupBlocks);
  const inodeSize = crc ? 512 : 256;
  const fixed = fixedBlocks({ crc, reflink });
  return {
    blocks,
    groups,
    groupBlocks,
    groupBits: Math.ceil(Math.log2(groupBlocks)),
    inodeSize,
    inodesPerBlock: BLOCK_SIZE / inodeSize,
    logStart: roundUp(Math.floor(groups / 2) * groupBlocks + fixed, logUnit),
    logBlocks: logBlocksOf(blocks, groupBlocks, logUnit),
    logUnit,
    stripeUnit: stripe?.unit ?? 0,
    inodePercent: size < 2 ** 40 ? 25 : size < 50 * 2 ** 40 ? 5 : 1,
    ftype: crc || (options.ftype ?? true),
    reflink,
    crc,
  };
}

/** The first block of a group. */
export function groupStart(geometry: Geometry, group: number): number {
  return group * geometry.groupBlocks;
}
/** How many blocks a group has. */
export function blocksIn(geometry: Geometry, group: number): number {
  return Math.min(geometry.groupBlocks, geometry.blocks - group * geometry.groupBlocks);
}
/** Whether the log lies in a group. */
export function holdsLog(geometry: Geometry, group: number): boolean {
  return Math.floor(geometry.logStart / geometry.groupBlocks) === group;
}
/** Groups that may hold inodes: those whose numbers stay below 2^32 (inode32). */
export function inodeGroups(geometry: Geometry): number {
  return Math.min(geometry.groups, Math.floor(INODE_NUMBER_LIMIT / groupInodes(geometry)));
}
/** How far apart the inode numbers of two neighbouring groups are. */
export function groupInodes(geometry: Geometry): number {
  // A group has at most 2^28 blocks, and a power costs ten times as much as a shift.
  return (1 << geometry.groupBits) * geometry.inodesPerBlock;
}

// Inode numbers

export function groupOfInode(geometry: Geometry, ino: number): number {
  return Math.floor(ino / groupInodes(geometry));
}
/** The block on the device that holds an inode. */
export function blockOfInode(geometry: Geometry, ino: number): number {
  const group = groupOfInode(geometry, ino);
  return groupStart(geometry, group) + Math.floor((ino % groupInodes(geometry)) / geometry.inodesPerBlock);
}
export function chunkBlocks(geometry: Geometry): number {
  return CHUNK_INODES / geometry.inodesPerBlock;
}
/** ialloc_align: where inode chunks begin, the stripe unit where that holds whole chunks. */
export function chunkAlignment(geometry: Geometry): number {
  const unit = chunkBlocks(geometry);
  return geometry.stripeUnit > 0 && geometry.stripeUnit % unit === 0 ? geometry.stripeUnit : unit;
}
/** The first inodes lie at a block that is a multiple of the chunks' alignment, behind headers and the AGFL's blocks. */
export function rootInode(geometry: Geometry): number {
  const unit = chunkAlignment(geometry);
  const behind = fixedBlocks(geometry) + FREE_LIST_BLOCKS;
  return Math.ceil(behind / unit) * unit * geometry.inodesPerBlock;
}

// What fits where

/** Bytes of an inode behind its core: its forks (XFS_LITINO). */
export function forkBytes(geometry: Geometry): number {
  return geometry.inodeSize - (geometry.crc ? 176 : 100);
}
/** Room that the roots of an attribute fork's and of a data fork's tree need at least (MINABTPTRS, MINDBTPTRS). */
export const ATTRIBUTE_FORK_BYTES_MIN = 36;
export const DATA_FORK_BYTES_MIN = 56;
/**
 * Where a new inode's attribute fork begins, in units of 8 bytes (xfs_default_attroffset). A kernel with security modules expects every new inode but a
 * symbolic link to get an attribute, and makes the fork at once (xfs_create_need_xattr): measured on 6.18.
 */
export function firstForkOffset(geometry: Geometry, type: number): number {
  if (type === S_IFCHR || type === S_IFBLK) return 1;
  const usual = geometry.crc ? 6 * 2 * 16 + 4 : forkBytes(geometry) - ATTRIBUTE_FORK_BYTES_MIN;
  return Math.floor(usual / 8);
}
/** How many records, or pairs of key and pointer, a tree's block holds behind its header. */
export function perBlock(geometry: Geometry, bytesEach: number): number {
  return Math.floor((BLOCK_SIZE - (geometry.crc ? 56 : 16)) / bytesEach);
}
/** The same for blocks of a file's extent tree, whose pointers are longer (8 bytes). */
export function extentsPerBlock(geometry: Geometry): number {
  return Math.floor((BLOCK_SIZE - (geometry.crc ? 72 : 24)) / 16);
}

/** xfs_btree_calc_size: the blocks of a tree of `records` whose blocks are filled to the least. */
export function treeBlocksMax(leafMin: number, nodeMin: number, records: number): number {
  let total = 0;
  let level = records;
  for (let least = leafMin; level > 0; least = nodeMin) {
    level = Math.ceil(level / least);
    total += level;
    if (level === 1) break;
  }
  return total;
}

/** xfs_bmap_compute_maxlevels of the data fork, for 2^31 - 1 extents. */
function forkLevelsMax(geometry: Geometry): number {
  const least = Math.floor(extentsPerBlock(geometry) / 2);
  const inRoot = Math.floor((forkBytes(geometry) - 4) / 16);
  let levels = 1;
  for (let blocks = Math.ceil((2 ** 31 - 1) / least); blocks > 1; levels++)
    blocks = blocks <= inRoot ? 1 : Math.ceil(blocks / least);
  return levels;
}

/** XFS_EXTENTADD_SPACE_RES: blocks of its extent tree that one more extent of a file may need at worst. */
export function extentReserve(geometry: Geometry): number {
  return forkLevelsMax(geometry) - 1;
}

/** XFS_DIRENTER_SPACE_RES: what a new name may need at worst, for blocks of the directory and of its extent tree. */
export function entryReserve(geometry: Geometry): number {
  // Depth of the index, a block of entries and one of free space (XFS_DAENTER_DBS).
  const blocks = 5 + 2;
  return blocks + blocks * extentReserve(geometry);
}
/** XFS_IALLOC_SPACE_RES: what a new inode may need at worst, for a chunk and the trees that tell of it. */
export function inodeReserve(geometry: Geometry): number {
  const leaf = perBlock(geometry, 16) >>> 1;
  const node = perBlock(geometry, 8) >>> 1;
  let levels = 1;
  for (let blocks = Math.ceil((geometry.groupBlocks * geometry.inodesPerBlock) / CHUNK_INODES / leaf); blocks > 1; levels++)
    blocks = Math.ceil(blocks / node);
  return chunkBlocks(geometry) + (geometry.crc ? 2 : 1) * levels;
}

/** xfs_bmap_worst_indlen: the blocks of its extent tree that `count` delayed blocks may need at worst. */
export function worstTreeBlocks(geometry: Geometry, count: number): number {
  const levels = forkLevelsMax(geometry);
  const most = extentsPerBlock(geometry);
  let total = 0;
  let length = count;
  for (let level = 0; level < levels; level++) {
    length = Math.ceil(length / most);
    total += length;
    if (length === 1) return total + levels - level - 1;
  }
  return total;
}

/** The largest file, in bytes: the kernel's is 8 EiB; numbers here are exact below this. */
export const FILE_SIZE_MAX: number = Number.MAX_SAFE_INTEGER - KIB(4);
