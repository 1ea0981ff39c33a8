/**
 * The bytes of metadata blocks, as far as compression can tell them from others: their length after compression decides what they take on
 * the device (include/sys/dnode.h, spa.h, zap_impl.h, sa_impl.h, zfs_znode.h).
 *
 * Interface: each function fills the one scratch buffer and gives the compressed length. Checksums are as long and as random as real ones.
 */
import type { Time } from "../../core/clock.ts";
import { S_IFDIR, S_IFMT } from "../../vfs/filesystem.ts";
import { bonusBytesOf, DNODE_BYTES, POINTER_BYTES } from "./attributes.ts";
import type { BlockKind, BlockPointer } from "./block-pointer.ts";
import { compressedLength, SECTOR } from "./compress.ts";
import type { ZfsProfile } from "./profile.ts";
import {
  BLOCK_SIZE,
  BLOCKS,
  type CompressedRecord,
  DNODES_PER_BLOCK,
  type DnodeBody,
  type DnodeColumns,
  EXTRA_SLOTS,
  GENERATION,
  GID,
  LEVELS,
  MODE,
  NLINK,
  PARENT,
  RDEV,
  SIZE,
  TIMES,
  UID,
  USED,
  WORDS,
} from "./records.ts";

/** Bytes of a link's target that the bonus of a small dnode holds. */
const TARGET_MAX = 144;
export const DNODE_BLOCK_BYTES: number = DNODE_BYTES * DNODES_PER_BLOCK;
/** Object types (include/sys/dmu.h) and how blocks of each kind are marked. */
const TYPES: Readonly<Record<BlockKind, number>> = {
  data: 19,
  indirect: 19,
  dnodes: 10,
  objset: 11,
  directory: 20,
  system: 21,
  mos: 2,
};
/** In the last byte of a place (DVA_SET_GANG). */
const GANG_BIT = 0x80;
const FLETCHER_4 = 7;
const COMPRESS_LZ4 = 15;
const COMPRESS_OFF = 2;
/** Flags that every file has: archive, modified, trivial ACL (zfs_znode.h). */
const FILE_FLAGS_LOW = 0x00000007;
const FILE_FLAGS_HIGH = 0x00000408;
const SA_MAGIC = 0x2f505a;

const raw = new Uint8Array(1 << 17);
const view = new DataView(raw.buffer);
/** The bytes of the block that was made last, from its beginning on. */
export const lastBlock: Uint8Array = raw;

function put64(at: number, value: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / 2 ** 32) >>> 0, true);
}

function putText(at: number, text: string): void {
  for (let n = 0; n < text.length; n++) raw[at + n] = text.charCodeAt(n);
}

function mix(value: number): number {
  let hash = Math.imul(value ^ (value >>> 16), 0x7feb352d);
  hash = Math.imul(hash ^ (hash >>> 15), 0x846ca68b);
  return hash ^ (hash >>> 16);
}

/** Four sums as Fletcher's of so many random 32-bit words would be: near their mean while they fit 64 bits, any number beyond. */
function putChecksum(at: number, stamp: number, length: number): void {
  const words = length / 4;
  const spread = 2 / Math.sqrt(words);
  let mean = words * 2 ** 31;
  for (let n = 0; n < 4; n++) {
    const place = (mix(stamp ^ (n + 77)) >>> 8) / 2 ** 24;
    const high = mean < 2 ** 63 ? (mean * (1 + (place - 0.5) * spread)) / 2 ** 32 : place * 2 ** 32;
    view.setUint32(at + n * 8, mix(stamp + n * 0x9e3779b1), true);
    view.setUint32(at + n * 8 + 4, Math.floor(high) >>> 0, true);
    mean = (mean * words) / (n + 2);
  }
}

function putPointer(at: number, pointer: BlockPointer | undefined): void {
  if (pointer === undefined) return;
  for (const [n, dva] of pointer.dvas.entries()) {
    view.setUint32(at + n * 16, dva.size / SECTOR, true);
    view.setUint32(at + n * 16 + 4, dva.vdev, true);
    put64(at + n * 16 + 8, dva.offset / SECTOR);
    if (dva.gang !== undefined) raw[at + n * 16 + 15] = GANG_BIT;
  }
  if (pointer.dvas.length === 0) {
    putPayload(at, pointer);
    return;
  }
  const isCompressed = pointer.physicalSize < pointer.logicalSize;
  view.setUint16(at + 48, pointer.logicalSize / SECTOR - 1, true);
  view.setUint16(at + 50, pointer.physicalSize / SECTOR - 1, true);
  raw[at + 52] = isCompressed ? COMPRESS_LZ4 : COMPRESS_OFF;
  raw[at + 53] = FLETCHER_4;
  raw[at + 54] = TYPES[pointer.kind];
  raw[at + 55] = 0x80 | pointer.level;
  put64(at + 80, pointer.birth);
  put64(at + 88, 1);
  if (pointer.stamp !== 0) putChecksum(at + 96, pointer.stamp, pointer.physicalSize);
}

/** Bytes of an embedded block that a compressor found no run in: of a file's those before the zeros at its end. */
function literalBytes({ physicalSize, embedded }: BlockPointer): number {
  if (embedded?.kind !== "zfs.compressed") return physicalSize;
  const { content } = embedded as CompressedRecord;
  const last = content.runs.at(-1);
  return Math.min(physicalSize, content.length - (last?.kind === "zero" ? last.length : 0));
}

/** An embedded block: its compressed bytes lie where places and checksum would, and leave two words of the pointer out. */
function putPayload(at: number, pointer: BlockPointer): void {
  const literal = literalBytes(pointer);
  for (let n = 0; n < pointer.physicalSize; n++) {
    const to = n < 48 ? n : n < 72 ? n + 8 : n + 16;
    raw[at + to] = n < literal ? mix(pointer.stamp * 128 + n) : 0xff;
  }
  raw[at + 49] = pointer.physicalSize;
  raw[at + 52] = COMPRESS_LZ4 | 0x80;
  raw[at + 54] = TYPES[pointer.kind];
  raw[at + 55] = 0x80;
  put64(at + 80, pointer.birth);
}

/** A time; a real clock's ticks do not fall on whole milliseconds, as the virtual one's do. */
function putTime(at: number, time: Time | undefined): void {
  if (time === undefined) return;
  put64(at, time.seconds);
  put64(at + 8, time.nanoseconds + (mix(time.nanoseconds ^ time.seconds) & 0xff));
}

/** The three entries of an ACL that says what the mode does. */
function putTrivialAcl(at: number, mode: number): void {
  for (let n = 0; n < 3; n++) {
    view.setUint16(at + n * 8 + 2, (0x1000 << n) & 0x7000, true);
    view.setUint32(at + n * 8 + 4, 0x120088 | (((mode >>> (6 - n * 3)) & 7) << 1), true);
  }
}

function putAttributes(at: number, columns: DnodeColumns, index: number): void {
  const { words, times, bodies } = columns;
  const word = (column: number): number => words[index * WORDS + column] as number;
  view.setUint32(at, SA_MAGIC, true);
  view.setUint16(at + 4, 0x402, true);
  const mode = word(MODE);
  const isDirectory = (mode & S_IFMT) === S_IFDIR;
  const numbers = [mode, isDirectory ? word(SIZE) + 2 : word(SIZE), word(GENERATION), word(UID), word(GID), word(PARENT)];
  let to = at + 8;
  for (const number of numbers) {
    put64(to, number);
    to += 8;
  }
  view.setUint32(to, FILE_FLAGS_LOW, true);
  view.setUint32(to + 4, FILE_FLAGS_HIGH, true);
  to += 8;
  for (let n = 0; n < TIMES; n++) {
    putTime(to, times[index * TIMES + n]);
    to += 16;
  }
  put64(to, word(NLINK));
  put64(to + 8, 0);
  put64(to + 16, 3);
  putTrivialAcl(to + 24, mode);
  put64(to + 48, word(RDEV));
  const body = bodies[index];
  if (body === undefined) return;
  if (body.folder !== undefined) put64(to + 48, body.folder);
  const extra = word(EXTRA_SLOTS);
  putBody(to + 48, body, TARGET_MAX + extra * DNODE_BYTES);
  putPointer(at + bonusBytesOf(extra) - POINTER_BYTES, body.spill);
}

/** A target and extended attributes, one behind the other. */
function putBody(at: number, { target = "", xattrs }: Pick<DnodeBody, "target" | "xattrs">, targetMax: number): void {
  const shown = target.slice(0, targetMax);
  putText(at, shown);
  let to = at + shown.length;
  for (const [name, value] of xattrs ?? []) {
    put64(to, value.length);
    putText(to + 8, name);
    raw.set(value, to + 8 + name.length);
    to += 8 + name.length + value.length;
  }
}

/** What a spill block compresses to: its bytes but for the head. */
export function spillLength(profile: ZfsProfile, bytes: Uint8Array): number {
  raw.set(bytes);
  view.setUint32(0, SA_MAGIC, true);
  view.setUint32(4, 0x402, true);
  return compressedLength(raw, bytes.length, profile.metadataCompression);
}

function putDnode(at: number, profile: ZfsProfile, columns: DnodeColumns, index: number): void {
  const { words, tops } = columns;
  const word = (column: number): number => words[index * WORDS + column] as number;
  raw[at] = (word(MODE) & S_IFMT) === S_IFDIR ? 20 : 19;
  raw[at + 1] = profile.indirectShift;
  raw[at + 2] = word(LEVELS);
  raw[at + 3] = 1;
  raw[at + 4] = profile.systemAttributes ? 44 : 17;
  raw[at + 7] = 3;
  view.setUint16(at + 8, word(BLOCK_SIZE) / SECTOR, true);
  view.setUint16(at + 10, profile.bonusBytes, true);
  raw[at + 12] = word(EXTRA_SLOTS);
  put64(at + 16, Math.max(0, word(BLOCKS) - 1));
  put64(at + 24, word(USED));
  putPointer(at + 64, tops[index]);
  putAttributes(at + 64 + POINTER_BYTES, columns, index);
}

/** A dnode of the system: no attributes, one pointer. */
function putSystemDnode(at: number, profile: ZfsProfile, pointer: BlockPointer | undefined): void {
  raw[at] = 21;
  raw[at + 1] = profile.indirectShift;
  raw[at + 2] = 1;
  raw[at + 3] = 3;
  raw[at + 7] = 3;
  view.setUint16(at + 8, 1, true);
  put64(at + 24, 1024);
  putPointer(at + 64, pointer);
}

/** What a block of dnodes compresses to. `system` are objects of the system in it, by their place. */
export function dnodesLength(
  profile: ZfsProfile,
  columns: DnodeColumns,
  system: ReadonlyMap<number, BlockPointer | undefined>,
): number {
  let last = 0;
  raw.fill(0, 0, DNODE_BLOCK_BYTES);
  for (let index = 0; index < DNODES_PER_BLOCK; index++) {
    if (system.has(index)) putSystemDnode(index * DNODE_BYTES, profile, system.get(index));
    else if (columns.words[index * WORDS + MODE] !== 0) putDnode(index * DNODE_BYTES, profile, columns, index);
    else continue;
    last = index + 1 + (columns.words[index * WORDS + EXTRA_SLOTS] as number);
  }
  return tailed(profile, last * DNODE_BYTES, DNODE_BLOCK_BYTES);
}

/** The compressed length of a block of `whole` bytes whose first `used` are in the buffer; behind them are zeros. */
function tailed(profile: ZfsProfile, used: number, whole: number): number {
  raw.fill(0, used, whole);
  return compressedLength(raw, whole, profile.metadataCompression, used);
}

/** What an indirect block compresses to. */
export function indirectLength(profile: ZfsProfile, pointers: readonly (BlockPointer | undefined)[]): number {
  raw.fill(0, 0, pointers.length * POINTER_BYTES);
  for (const [index, pointer] of pointers.entries()) putPointer(index * POINTER_BYTES, pointer);
  return tailed(profile, pointers.length * POINTER_BYTES, 1 << profile.indirectShift);
}

/** What an object set's block compresses to. */
export function objsetLength(
  profile: ZfsProfile,
  parts: {
    readonly tops: readonly (BlockPointer | undefined)[];
    readonly accounting: readonly BlockPointer[];
    readonly levels: number;
  },
): number {
  raw.fill(0, 0, profile.objsetBytes);
  raw[0] = 10;
  raw[1] = profile.indirectShift;
  raw[2] = parts.levels;
  raw[3] = 3;
  view.setUint16(8, DNODE_BLOCK_BYTES / SECTOR, true);
  put64(24, 30_000);
  for (const [n, top] of parts.tops.entries()) putPointer(64 + n * POINTER_BYTES, top);
  put64(704, 2);
  for (const [n, pointer] of parts.accounting.entries()) putSystemDnode(1024 + n * DNODE_BYTES, profile, pointer);
  return compressedLength(raw, profile.objsetBytes, profile.metadataCompression);
}

/** Bytes of a small directory's head, and of each of its entries. */
const MICRO_HEAD = 64;
const MICRO_ENTRY = 64;
/** The longest name that an entry of a small directory holds. */
export const MICRO_NAME_MAX = 49;

/** What the block of a small directory compresses to. */
export function microDirectoryLength(
  profile: ZfsProfile,
  block: { readonly size: number; readonly names: readonly string[]; readonly objects: readonly number[]; readonly salt: number },
): number {
  raw.fill(0, 0, block.size);
  view.setUint32(0, 3, true);
  view.setUint32(4, 0x80000000, true);
  view.setUint32(8, mix(block.salt), true);
  view.setUint32(12, mix(block.salt + 1), true);
  for (const [n, name] of block.names.entries()) {
    const at = MICRO_HEAD + n * MICRO_ENTRY;
    put64(at, block.objects[n] as number);
    raw[at + 7] = 0x80;
    putText(at + 14, name.slice(0, MICRO_NAME_MAX));
  }
  return compressedLength(raw, block.size, profile.metadataCompression);
}

/** Chunks of 24 bytes in a leaf of 16 KiB, and what each entry takes of them. */
export const LEAF_BYTES = 16_384;
const LEAF_CHUNKS = 638;
const LEAF_HEAD = 48 + 1024;
const CHUNK_BYTES = 24;
const CHUNK_PAYLOAD = 21;
/** What stands where no further chunk follows. */
const NONE = 0xffff;

/** Chunks that a name takes in a leaf: the entry, its name and its value. */
export function leafChunks(nameBytes: number): number {
  return 2 + Math.ceil((nameBytes + 1) / CHUNK_PAYLOAD);
}

/** Whether a leaf holds so many chunks. */
export function leafHolds(chunks: number): boolean {
  return chunks <= LEAF_CHUNKS;
}

/** What a leaf of a large directory compresses to. Chunks are taken one after the other; an entry's name and value are lists of them. */
export function leafLength(profile: ZfsProfile, names: readonly string[], salt: number): number {
  raw.fill(0, 0, LEAF_BYTES);
  view.setUint32(4, 0x80000000, true);
  view.setUint32(24, 0x2ab1eaf, true);
  raw.fill(0xff, 48, LEAF_HEAD);
  let chunk = 0;
  const next = (kind: number): number => {
    const at = LEAF_HEAD + chunk * CHUNK_BYTES;
    chunk += 1;
    raw[at] = kind;
    return at;
  };
  for (const [n, name] of names.entries()) {
    const hash = mix(salt + n);
    const bucket = 48 + (hash & 511) * 2;
    const parts = Math.ceil((name.length + 1) / CHUNK_PAYLOAD);
    const sooner = view.getUint16(bucket, true);
    view.setUint16(bucket, chunk, true);
    const entry = next(252);
    raw[entry + 1] = 8;
    view.setUint16(entry + 2, sooner, true);
    view.setUint16(entry + 4, chunk, true);
    view.setUint16(entry + 6, name.length + 1, true);
    view.setUint16(entry + 8, chunk + parts, true);
    view.setUint16(entry + 10, 1, true);
    // Of a hash the highest 28 bits (zap_hashbits).
    view.setUint32(entry + 20, mix(hash) & ~0xf, true);
    for (let part = 0; part < parts; part++) {
      const at = next(251);
      putText(at + 1, name.slice(part * CHUNK_PAYLOAD, (part + 1) * CHUNK_PAYLOAD));
      view.setUint16(at + 22, part + 1 < parts ? chunk : NONE, true);
    }
    // A directory's entry: the type of what it leads to in the highest bits, big endian.
    const value = next(251);
    raw[value + 1] = 0x80;
    view.setUint32(value + 5, salt + n, false);
    view.setUint16(value + 22, NONE);
  }
  view.setUint16(28, LEAF_CHUNKS - chunk, true);
  view.setUint16(30, names.length, true);
  for (; chunk < LEAF_CHUNKS; ) {
    const at = next(253);
    view.setUint16(at + 22, chunk, true);
  }
  return compressedLength(raw, LEAF_BYTES, profile.metadataCompression);
}

/** What the head of a large directory compresses to: pointers to its leaves, each as often as its prefix is short. */
export function headLength(profile: ZfsProfile, leaves: Uint32Array): number {
  raw.fill(0, 0, LEAF_BYTES);
  view.setUint32(0, 1, true);
  view.setUint32(4, 0x80000000, true);
  const each = 1024 / Math.min(1024, leaves.length);
  for (let n = 0; n < 1024; n++) put64(LEAF_BYTES / 2 + n * 8, leaves[Math.floor(n / each)] as number);
  return compressedLength(raw, LEAF_BYTES, profile.metadataCompression);
}
