/**
 * Extended attributes (fs/xfs/libxfs/xfs_attr.c, xfs_attr_leaf.c, xfs_attr_remote.c): in the inode while they fit its attribute fork, else in leaves
 * of 4 KiB, with values from 3 KiB on in blocks of their own.
 *
 * Interface: names come whole ("user.k"). The attribute fork takes what the data fork leaves of the inode; it keeps its beginning
 * (FORK_OFFSET) until the last attribute goes.
 */
import { EEXIST, EINVAL, EIO, ENODATA, ENOSPC, ENOTSUP, ERANGE, type Errno, isErrno } from "../../core/errno.ts";
import { utf8Length } from "../../core/names.ts";
import { S_IFBLK, S_IFCHR, S_IFMT, XATTR_CREATE, XATTR_REPLACE } from "../../vfs/filesystem.ts";
import { DirectoryData } from "./directory-data.ts";
import { FileData } from "./file-data.ts";
import { EXTENT_BYTES, FORK_OFFSET, inWords, MODE, SymlinkData } from "./inodes.ts";
import {
  ATTRIBUTE_FORK_BYTES_MIN,
  BLOCK_SIZE,
  blockOfInode,
  CHUNK_INODES,
  DATA_FORK_BYTES_MIN,
  firstForkOffset,
  forkBytes,
} from "./layout.ts";
import { readBlock } from "./records.ts";
import { canReserve } from "./reserve.ts";
import { allocateMetadata, freeMetadata } from "./space.ts";
import { stamp } from "./stamp.ts";
import type { XfsState } from "./state.ts";
import { XattrBlock, type XattrSet } from "./xattr-set.ts";

const NAME_BYTES_MAX = 255;
/** What is kept as a flag instead of the name's beginning; the flags' order is that of listing nothing. */
const PREFIXES = ["user.", "trusted.", "security."];
/** xfs_attr_sf_hdr, and an entry without name and value. */
const SHORT_HEADER_BYTES = 4;
const SHORT_ENTRY_BYTES = 3;

/** Bytes of a name behind its namespace; -1 for a namespace that xfs does not keep. */
function nameBytes(name: string): number {
  const prefix = PREFIXES.find((known) => name.startsWith(known));
  return prefix === undefined ? -1 : utf8Length(name) - prefix.length;
}

/** Bytes of all attributes in the inode; infinite where one is too long for it. */
function shortBytes(entries: ReadonlyMap<string, Uint8Array>): number {
  let sum = SHORT_HEADER_BYTES;
  for (const [name, value] of entries) {
    const { length } = value;
    if (length > 255) return Number.POSITIVE_INFINITY;
    sum += SHORT_ENTRY_BYTES + nameBytes(name) + length;
  }
  return sum;
}

/** Bytes that the data fork uses of the inode (xfs_attr_shortform_bytesfit). */
function dataForkUsed(state: XfsState, ino: number): number {
  const data = state.data(ino);
  const type = state.word(ino, MODE) & S_IFMT;
  if (type === S_IFCHR || type === S_IFBLK) return 8;
  let used = 0;
  if (data instanceof SymlinkData) used = data.block === 0 ? utf8Length(data.target) : 16;
  else if (data instanceof DirectoryData && data.isShort) used = data.shortBytes;
  else if (data !== undefined && "fork" in data) used = data.fork.isTree ? DATA_FORK_BYTES_MIN : data.fork.list.count * 16;
  return Math.max(used, DATA_FORK_BYTES_MIN);
}

/** Where the attribute fork can begin so that `bytes` fit it, in units of 8 bytes; 0: nowhere. */
function forkOffsetFor(state: XfsState, ino: number, bytes: number): number {
  const whole = forkBytes(state.geometry);
  if (bytes > whole) return 0;
  const known = state.word(ino, FORK_OFFSET);
  if (known !== 0 && bytes <= whole - known * 8) return known;
  // The root of a tree of extents lies before the attributes: it does not move.
  const data = state.data(ino);
  if (known !== 0 && data instanceof FileData && data.fork.isTree) return 0;
  const offset = Math.floor((whole - bytes) / 8);
  const least = Math.ceil(dataForkUsed(state, ino) / 8);
  const most = Math.floor((whole - ATTRIBUTE_FORK_BYTES_MIN) / 8);
  const type = state.word(ino, MODE) & S_IFMT;
  if (type === S_IFCHR || type === S_IFBLK) return offset >= least ? least : 0;
  if (offset >= most) return Math.max(most, least);
  return offset >= least ? offset : 0;
}

const NONE: ReadonlyMap<string, Uint8Array> = new Map();

function setOf(state: XfsState, ino: number): XattrSet | undefined {
  return state.chunk(ino).xattrs?.[ino % CHUNK_INODES];
}
/** The attributes of an inode; their blocks are read when first asked for. @returns EIO or EUCLEAN when that fails. */
export function xattrsOf(state: XfsState, ino: number): ReadonlyMap<string, Uint8Array> | Errno {
  const set = setOf(state, ino);
  if (set === undefined) return NONE;
  return set.entries ?? readEntries(state, set);
}
function readEntries(state: XfsState, set: XattrSet): ReadonlyMap<string, Uint8Array> | Errno {
  const { blockNumbers = [] } = set;
  const blocks: XattrBlock[] = [];
  const entries = new Map<string, Uint8Array>();
  for (const block of blockNumbers) {
    const record = readBlock(state.device, block, "xfs.attributeLeaf", "xfs.attributeNode", "xfs.attributeValue");
    if (isErrno(record)) return record;
    const made = new XattrBlock(record.kind, block, false);
    made.entries = record.entries;
    for (const [name, value] of record.entries) entries.set(name, value);
    blocks.push(made);
  }
  set.blocks = blocks;
  set.entries = entries;
  return entries;
}
function putSet(state: XfsState, ino: number, set: XattrSet | undefined): void {
  const chunk = state.chunk(ino);
  chunk.xattrs ??= new Array(CHUNK_INODES).fill(undefined);
  chunk.xattrs[ino % CHUNK_INODES] = set;
}

/** Whether an inode has any attribute: two looks into memory. */
export function hasXattrs(state: XfsState, ino: number): boolean {
  return setOf(state, ino) !== undefined;
}

export function getxattr(state: XfsState, ino: number, name: string): Uint8Array | Errno {
  if (nameBytes(name) < 0) return ENOTSUP;
  const entries = readable(state, ino);
  return isErrno(entries) ? entries : (entries.get(name) ?? ENODATA);
}

export function listxattr(state: XfsState, ino: number): string[] | Errno {
  const entries = readable(state, ino);
  return isErrno(entries) ? entries : [...entries.keys()];
}
function readable(state: XfsState, ino: number): ReadonlyMap<string, Uint8Array> | Errno {
  return state.isShutDown ? EIO : xattrsOf(state, ino);
}

/** One block of the attribute fork as it should be. */
interface Planned {
  readonly kind: XattrBlock["kind"];
  readonly entries: (readonly [name: string, value: Uint8Array])[];
}

/** The blocks that attributes need: leaves, a node above several, and blocks of long values. */
function plan(state: XfsState, entries: ReadonlyMap<string, Uint8Array>): Planned[] {
  const header = state.geometry.crc ? 80 : 32;
  const perValueBlock = BLOCK_SIZE - (state.geometry.crc ? 56 : 0);
  const leaves: Planned[] = [];
  const values: Planned[] = [];
  let room = 0;
  for (const [name, value] of entries) {
    const { length } = value;
    // xfs_attr_leaf_newentsize: 8 bytes of index, and name and value, or name and place of the value.
    let size = 8 + ((3 + nameBytes(name) + length + 3) & ~3);
    if (size - 8 >= (BLOCK_SIZE * 3) / 4) {
      size = 8 + ((9 + nameBytes(name) + 3) & ~3);
      for (let at = 0; at < length; at += perValueBlock) values.push({ kind: "xfs.attributeValue", entries: [] });
    }
    let leaf = leaves.at(-1);
    if (leaf === undefined || room < size) {
      leaf = { kind: "xfs.attributeLeaf", entries: [] };
      leaves.push(leaf);
      room = BLOCK_SIZE - header;
    }
    leaf.entries.push([name, value]);
    room -= size;
  }
  const nodes: Planned[] = leaves.length > 1 ? [{ kind: "xfs.attributeNode", entries: [] }] : [];
  return [...leaves, ...nodes, ...values];
}

/** Puts the blocks of an attribute fork in order: those that stay are written where they changed. */
function settleBlocks(state: XfsState, ino: number, set: XattrSet, wanted: readonly Planned[]): XattrBlock[] {
  const spare = [...set.blocks];
  const blocks = wanted.map(({ kind, entries }) => {
    const at = spare.findIndex((block) => block.kind === kind);
    const known = at < 0 ? undefined : spare.splice(at, 1)[0];
    const block = known ?? new XattrBlock(kind, newBlock(state, ino), true);
    const same = known?.entries.length === entries.length && entries.every((entry, n) => entry[1] === known.entries[n]?.[1]);
    if (!same) {
      block.entries = entries;
      state.log.dirty(block);
    }
    return block;
  });
  for (const block of spare) dropBlock(state, ino, block);
  return blocks;
}

function newBlock(state: XfsState, ino: number): number {
  state.addBlocks(ino, 1);
  return allocateMetadata(state, blockOfInode(state.geometry, ino));
}
function dropBlock(state: XfsState, ino: number, block: XattrBlock): void {
  state.addBlocks(ino, -1);
  freeMetadata(state, block, block.block);
}

/** Gives an inode these attributes. @returns ENOSPC when there are no blocks for them. */
function replace(state: XfsState, ino: number, entries: ReadonlyMap<string, Uint8Array>): Errno | undefined {
  const set = setOf(state, ino) ?? { entries, inInode: undefined, blocks: [], blockNumbers: undefined, forkBytes: 0 };
  const offset = forkOffsetFor(state, ino, shortBytes(entries));
  const wanted = offset === 0 ? plan(state, entries) : [];
  const more = wanted.length - set.blocks.length;
  if (more > 0 && !canReserve(state, ino, more)) return ENOSPC;
  const refused = state.begin(Math.max(0, more));
  if (refused !== undefined) return refused;
  stamp(state, ino, false);
  if (entries.size === 0) {
    freeXattrs(state, ino);
    state.setWord(ino, FORK_OFFSET, 0);
    return undefined;
  }
  if (offset !== 0) state.setWord(ino, FORK_OFFSET, offset);
  else if (state.word(ino, FORK_OFFSET) === 0) state.setWord(ino, FORK_OFFSET, leafOffset(state, ino));
  const blocks = settleBlocks(state, ino, set, wanted);
  set.entries = entries;
  set.blocks = blocks;
  set.blockNumbers = blocks.length === 0 ? undefined : blocks.map(({ block }) => block);
  set.inInode = blocks.length === 0 ? entries : undefined;
  set.forkBytes = blocks.length === 0 ? inWords(shortBytes(entries)) : runsOf(set.blockNumbers ?? []) * EXTENT_BYTES;
  state.dirtyAttributes(ino);
  state.noteAttributes();
  putSet(state, ino, set);
  return undefined;
}

/** How many runs numbers form of which each is one more than the last. */
function runsOf(numbers: readonly number[]): number {
  return numbers.filter((number, at) => at === 0 || number !== (numbers[at - 1] as number) + 1).length;
}

/** Where a fork begins that holds no attributes itself. */
function leafOffset(state: XfsState, ino: number): number {
  const usual = firstForkOffset(state.geometry, state.word(ino, MODE) & S_IFMT);
  return Math.max(Math.ceil(dataForkUsed(state, ino) / 8), usual);
}

export function setxattr(
  state: XfsState,
  ino: number,
  attribute: { readonly name: string; readonly value: Uint8Array },
  flags: number,
): Errno | undefined {
  const { name, value } = attribute;
  const length = nameBytes(name);
  if (length < 0) return ENOTSUP;
  if (length === 0) return EINVAL;
  if (length > NAME_BYTES_MAX) return ERANGE;
  const known = readable(state, ino);
  if (isErrno(known)) return known;
  const exists = known.has(name);
  if (exists && (flags & XATTR_CREATE) !== 0) return EEXIST;
  if (!exists && (flags & XATTR_REPLACE) !== 0) return ENODATA;
  // A replaced attribute is removed and added: it becomes the last.
  const entries = new Map(known);
  entries.delete(name);
  // The caller keeps its bytes.
  entries.set(name, value.slice());
  return replace(state, ino, entries);
}

export function removexattr(state: XfsState, ino: number, name: string): Errno | undefined {
  if (nameBytes(name) < 0) return ENOTSUP;
  const known = readable(state, ino);
  if (isErrno(known)) return known;
  const entries = new Map(known);
  return entries.delete(name) ? replace(state, ino, entries) : ENODATA;
}

/** Frees the attributes of an inode, which have been read. */
export function freeXattrs(state: XfsState, ino: number): void {
  const set = setOf(state, ino);
  if (set === undefined) return;
  for (const block of set.blocks) dropBlock(state, ino, block);
  putSet(state, ino, undefined);
}
