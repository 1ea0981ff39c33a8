/**
 * The records of metadata blocks (records.ts) in words (packed-words.ts): one pair of functions a kind, which agree on the order of its words.
 *
 * Interface: `unpackRecord` gives a record as it was packed, with those that it builds on. `PackedBlock` is a record on the device: in the log it is
 * only moved; in its place it is unpacked when somebody reads it. `PackedRun` is several that follow each other there.
 */
import { type BlockRecord, wholeAt } from "../../core/block-record.ts";
import type { Content } from "../../core/content.ts";
import type { NameTable } from "../../core/names.ts";
import { BLOCK_SIZE, BLOCKS_PER_GROUP, type Geometry } from "./layout.ts";
import { unpackInodes } from "./packed-inodes.ts";
import { PackedReader, type PackedWords, type Place, USED_BITMAPS } from "./packed-words.ts";
import {
  type BitmapRecord,
  type DescriptorsRecord,
  type DirectoryRecord,
  type ExtentRecord,
  type MetadataRecord,
  SUPERBLOCK_BYTES,
  type SuperblockRecord,
} from "./records.ts";

/** What the head of an entry says it is. */
const SUPERBLOCK = 1;
export const DESCRIPTORS = 2;
export const BLOCK_BITMAP = 3;
export const INODE_BITMAP = 4;
export const INODE_TABLE = 5;
const DIRECTORY_BLOCK = 6;
const EXTENT_BLOCK = 7;
export const XATTR_BLOCK = 8;
export const SYMLINK_BLOCK = 9;

/** The record at a place. @param index - which one of several there. */
export function unpackRecord(place: Place, index = 0): MetadataRecord {
  const reader = PackedReader.ofEntry(place);
  const kind = place.packed.kindOf(place.at);
  switch (kind) {
    case SUPERBLOCK:
      return unpackSuperblock(reader);
    case DESCRIPTORS:
      return unpackDescriptors(reader);
    case BLOCK_BITMAP:
      return unpackBitmap(reader, "ext4.blockBitmap");
    case INODE_BITMAP:
      return unpackBitmap(reader, "ext4.inodeBitmap");
    case USED_BITMAPS:
      return unpackUsed(reader, index);
    case INODE_TABLE:
      return { kind: "ext4.inodeTable", length: BLOCK_SIZE, since: sinceOf(reader), changes: unpackInodes(reader) };
    case DIRECTORY_BLOCK:
      return unpackDirectory(reader);
    case EXTENT_BLOCK:
      return unpackExtents(reader);
    case XATTR_BLOCK:
      return unpackXattrs(reader);
    case SYMLINK_BLOCK:
      return { kind: "ext4.symlinkBlock", length: BLOCK_SIZE, target: reader.object() as string };
    default:
      throw new RangeError(`no record of kind ${kind}`);
  }
}

function unpackXattrs(reader: PackedReader): MetadataRecord {
  const entries = reader.object() as ReadonlyMap<string, Content>;
  return { kind: "ext4.xattrBlock", length: BLOCK_SIZE, entries, references: reader.unsigned() };
}

/** The record that one builds on: of the same block, and so of the same kind. */
function sinceOf<Version extends MetadataRecord>(reader: PackedReader): Version | undefined {
  const place = reader.place();
  return place === undefined ? undefined : (unpackRecord(place) as Version);
}

export class PackedBlock implements BlockRecord {
  readonly kind = "ext4.packed";
  readonly #packed: PackedWords;
  readonly #at: number;
  readonly #index: number;

  constructor({ packed, at }: Place, index = 0) {
    this.#packed = packed;
    this.#at = at;
    this.#index = index;
  }
  get length(): number {
    return BLOCK_SIZE;
  }
  get decisiveBytes(): number {
    return this.#packed.kindOf(this.#at) === SUPERBLOCK ? SUPERBLOCK_BYTES : BLOCK_SIZE;
  }
  blockAt(offset: number, length: number): BlockRecord | undefined {
    return wholeAt(this, offset, length) && unpackRecord({ packed: this.#packed, at: this.#at }, this.#index);
  }
}

/** The blocks of an entry that is of several, one behind the other. */
export class PackedRun implements BlockRecord {
  readonly kind = "ext4.packedRun";
  readonly length: number;
  readonly #place: Place;

  constructor(place: Place) {
    this.#place = place;
    this.length = place.packed.blocksOf(place.at) * BLOCK_SIZE;
  }
  blockAt(offset: number, length: number): BlockRecord | undefined {
    const inBlock = offset % BLOCK_SIZE;
    if (length > BLOCK_SIZE) return undefined;
    return new PackedBlock(this.#place, (offset - inBlock) / BLOCK_SIZE).blockAt(inBlock, length);
  }
}

export function packSuperblock(into: PackedWords, record: SuperblockRecord): number {
  into.putCommon(record.geometry);
  into.putCommon(record.journal);
  into.put(record.freeBlocks);
  into.put(record.freeInodes);
  into.put(record.needsRecovery ? 1 : 0);
  into.put(record.mountCount);
  into.putAll(record.orphans);
  return SUPERBLOCK;
}

function unpackSuperblock(reader: PackedReader): SuperblockRecord {
  return {
    kind: "ext4.superblock",
    length: BLOCK_SIZE,
    decisiveBytes: SUPERBLOCK_BYTES,
    geometry: reader.common() as Geometry,
    journal: reader.common() as readonly number[],
    freeBlocks: reader.unsigned(),
    freeInodes: reader.unsigned(),
    needsRecovery: reader.unsigned() === 1,
    mountCount: reader.unsigned(),
    orphans: reader.unsignedList(),
  };
}

/**
 * Behind what was put by `Revisions.begin`: the first group of the block, how many runs of groups are told, and of each its first group, how many
 * they are, and the counts that all of them have.
 */
function unpackDescriptors(reader: PackedReader): DescriptorsRecord {
  const since = sinceOf<DescriptorsRecord>(reader);
  const first = reader.unsigned();
  const changes: number[] = [];
  for (let runs = reader.unsigned(); runs > 0; runs--) {
    const group = reader.unsigned();
    const end = group + reader.unsigned();
    const [freeBlocks, freeInodes, directories] = [reader.signed(), reader.signed(), reader.signed()];
    for (let at = group; at < end; at++) changes.push(at, freeBlocks, freeInodes, directories);
  }
  return { kind: "ext4.groupDescriptors", length: BLOCK_SIZE, since, first, changes };
}

/** What a run of bitmaps tells, all of whose blocks are used: how many they are, and the first one's group. */
export function packUsed(into: PackedWords, count: number, group: number): number {
  into.put(count);
  into.put(group);
  return USED_BITMAPS;
}

function unpackUsed(reader: PackedReader, index: number): BitmapRecord {
  reader.unsigned();
  const group = reader.unsigned() + index;
  return { kind: "ext4.blockBitmap", length: BLOCK_SIZE, since: undefined, group, changes: [0, BLOCKS_PER_GROUP] };
}

/** Behind what was put by `Revisions.begin`: the group, and pairs as BitmapRecord.changes has them. */
function unpackBitmap(reader: PackedReader, kind: BitmapRecord["kind"]): BitmapRecord {
  return { kind, length: BLOCK_SIZE, since: sinceOf(reader), group: reader.unsigned(), changes: reader.signedList() };
}

/** What a directory block tells; `changes` in triples as DirectoryRecord has them. */
export function packDirectory(into: PackedWords, record: Pick<DirectoryRecord, "inode" | "names" | "changes" | "index">): number {
  into.put(record.inode);
  into.putCommon(record.names);
  into.putAll(record.changes);
  into.putAll(record.index);
  return DIRECTORY_BLOCK;
}

function unpackDirectory(reader: PackedReader): DirectoryRecord {
  return {
    kind: "ext4.directoryBlock",
    length: BLOCK_SIZE,
    since: sinceOf(reader),
    inode: reader.unsigned(),
    names: reader.common() as NameTable,
    changes: reader.unsignedList(),
    index: reader.unsignedList(),
  };
}

/** A leaf's triples from one item of a list up to another, or an index block's pairs. */
export function packExtents(
  into: PackedWords,
  depth: number,
  items: readonly number[],
  from = 0,
  to: number = items.length,
): number {
  into.put(depth);
  into.put(to - from);
  into.putWords(items, from, to);
  return EXTENT_BLOCK;
}

function unpackExtents(reader: PackedReader): ExtentRecord {
  const depth = reader.unsigned();
  return { kind: "ext4.extentBlock", length: BLOCK_SIZE, depth, entries: reader.treeEntries(depth, reader.unsigned()) };
}
