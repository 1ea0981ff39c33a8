/**
 * Metadata as commits left it: words one behind the other, and beside them the few objects that are no words. A commit of a small change is two or three
 * hundred bytes in an array that is there already, where a record of each block would be an object, its fields and its lists.
 *
 * A word takes as many bytes as it needs, seven bits in each, the lowest first; the top bit says that more follow (LEB128). Most are small.
 *
 * Interface: what was put is never changed, and nothing is put before it: a place is an immutable record for as long as somebody holds it. An entry
 * begins with a head: how many bytes it is (with the head) and the record's kind; then comes its block's home. Places and sizes are in bytes.
 */
import { assert } from "../../core/assert.ts";

/** A segment of the log is closed when it has more bytes. What one record keeps from being collected. */
export const SEGMENT_BYTES = 8192;
/** Bytes beyond them that there is room for at once: most of what the transaction that reaches the end puts behind it. */
const OVERHANG_BYTES = 512;
/** Place 0 is none. */
const FIRST_PLACE = 1;
/** The bytes of an entry's head, and of a word at most. */
const HEAD_BYTES = 3;
const WORD_BYTES_MAX = 5;
const GROUP_BITS = 7;
const GROUP_MASK: number = (1 << GROUP_BITS) - 1;
const MORE: number = 1 << GROUP_BITS;
const KIND_BITS = 4;
const KIND_MASK: number = (1 << KIND_BITS) - 1;
/** The kind whose records are of several blocks, which their first word behind the home counts. */
export const USED_BITMAPS = 10;

/** A metadata block in memory. */
export interface Metadata {
  /** Its home on the device. */
  readonly block: number;
  /** The transaction it last joined; -1: freed. */
  stamp: number;
  /** Puts its record as it is now. @returns the record's kind (packed-records.ts). */
  pack(into: PackedWords): number;
}

/** Metadata blocks that follow each other on the device, from `block` on, and are one record. */
export interface MetadataRun extends Metadata {
  readonly count: number;
}

/** A record: where its entry begins. */
export interface Place {
  readonly packed: PackedWords;
  readonly at: number;
}

/** Puts a word's bytes at a place that has room for them. @returns the place behind them. */
function putWord(bytes: Uint8Array, at: number, word: number): number {
  let end = at;
  let rest = word | 0;
  for (; (rest & ~GROUP_MASK) !== 0; rest >>>= GROUP_BITS) bytes[end++] = rest | MORE;
  bytes[end] = rest;
  return end + 1;
}

export class PackedWords {
  #bytes: Uint8Array<ArrayBuffer>;
  #end = FIRST_PLACE;
  #objects: unknown[] = [];
  /** Objects that many records have in common. */
  readonly #common: unknown[] = [];
  /** The entry that is being put. */
  #entry = 0;

  constructor(room: number = SEGMENT_BYTES + OVERHANG_BYTES) {
    this.#bytes = new Uint8Array(room);
  }

  /** Where the next word goes. */
  get end(): number {
    return this.#end;
  }
  /** Where the entry that is being put begins. */
  get entry(): number {
    return this.#entry;
  }

  /** Puts one block's record. @returns its place. */
  putBlock(metadata: Metadata): number {
    const entry = this.#end;
    this.#entry = entry;
    this.#reserve(HEAD_BYTES);
    this.#end += HEAD_BYTES;
    this.put(metadata.block);
    const kind = metadata.pack(this);
    const head = ((this.#end - entry) << KIND_BITS) | kind;
    if (head >= 1 << (8 * HEAD_BYTES)) assert(false, `the entry of block ${metadata.block} has ${this.#end - entry} bytes`);
    for (let byte = 0; byte < HEAD_BYTES; byte++) this.#bytes[entry + byte] = head >>> (8 * byte);
    return entry;
  }

  #reserve(more: number): void {
    if (this.#end + more > this.#bytes.length) this.#grow(more);
  }

  /** Puts a word: a whole number of 32 bits, with a sign or without. */
  put(word: number): void {
    if (this.#end + WORD_BYTES_MAX > this.#bytes.length) this.#grow(WORD_BYTES_MAX);
    if (word >= 0 && word <= GROUP_MASK) this.#bytes[this.#end++] = word;
    else this.#end = putWord(this.#bytes, this.#end, word);
  }

  /** Puts another word, below 128, in the place of such a one of the entry that is being put. */
  change(at: number, word: number): void {
    if (!(at > this.#entry && at < this.#end)) assert(false, `word ${at} is not of the entry at ${this.#entry}`);
    if (word > GROUP_MASK || (this.#bytes[at] as number) > GROUP_MASK) assert(false, `word ${at} is no single byte`);
    this.#bytes[at] = word;
  }

  /** Puts a list, its length first. */
  putAll(list: readonly number[]): void {
    this.put(list.length);
    this.putWords(list, 0, list.length);
  }

  /** Puts a part of a list. */
  putWords(list: readonly number[], from: number, end: number): void {
    // A leaf of extents is a thousand words: none of them asks for room.
    this.#reserve((end - from) * WORD_BYTES_MAX);
    const bytes = this.#bytes;
    let to = this.#end;
    for (let at = from; at < end; at++) to = putWord(bytes, to, list[at] as number);
    this.#end = to;
  }

  putObject(object: unknown): void {
    this.put(this.#objects.length);
    this.#objects.push(object);
  }

  /** Puts one of few objects that many records have. */
  putCommon(object: unknown): void {
    let index = this.#common.indexOf(object);
    if (index < 0) index = this.#common.push(object) - 1;
    this.put(index);
  }

  /** Puts a reference to an earlier record. */
  putPlace(packed: PackedWords, at: number): void {
    if (packed === this) this.put(at);
    else {
      this.put(~this.#objects.length);
      this.#objects.push({ packed, at });
    }
  }

  #grow(more: number): void {
    const grown = new Uint8Array(Math.ceil(this.#bytes.length * 1.5) + more);
    grown.set(this.#bytes);
    this.#bytes = grown;
  }

  /** Gives up the room for more: nothing is put any more. */
  seal(): void {
    this.#bytes = this.#bytes.slice(0, this.#end);
    this.#objects = this.#objects.slice();
  }

  // Reading

  byteAt(at: number): number {
    if (!(at > 0 && at < this.#end)) assert(false, `no byte ${at} of ${this.#end}`);
    return this.#bytes[at] as number;
  }
  objectAt(index: number): unknown {
    return this.#objects[index];
  }
  commonAt(index: number): unknown {
    return this.#common[index];
  }
  /** How many bytes an entry has. */
  sizeOf(entry: number): number {
    return (this.byteAt(entry) | (this.byteAt(entry + 1) << 8) | (this.byteAt(entry + 2) << 16)) >>> KIND_BITS;
  }
  kindOf(entry: number): number {
    return this.byteAt(entry) & KIND_MASK;
  }
  homeOf(entry: number): number {
    return new PackedReader(this, entry + HEAD_BYTES).unsigned();
  }
  /** How many blocks an entry is of, from its home on. */
  blocksOf(entry: number): number {
    return this.kindOf(entry) === USED_BITMAPS ? PackedReader.ofEntry({ packed: this, at: entry }).unsigned() : 1;
  }
}

/** Reads words in the order in which they were put. */
export class PackedReader {
  readonly #packed: PackedWords;
  #at: number;

  /** From a place on. */
  constructor(packed: PackedWords, at: number) {
    this.#packed = packed;
    this.#at = at;
  }

  /** From an entry's first word behind its home on. */
  static ofEntry({ packed, at }: Place): PackedReader {
    const reader = new PackedReader(packed, at + HEAD_BYTES);
    reader.unsigned();
    return reader;
  }

  /** Where the next word begins. */
  get at(): number {
    return this.#at;
  }

  signed(): number {
    let word = 0;
    for (let shift = 0; ; shift += GROUP_BITS) {
      const byte = this.#packed.byteAt(this.#at++);
      word |= (byte & GROUP_MASK) << shift;
      if ((byte & MORE) === 0) return word;
    }
  }
  unsigned(): number {
    return this.signed() >>> 0;
  }
  /** A list as `putAll` put it. */
  signedList(): number[] {
    const list = new Array<number>(this.unsigned());
    for (let at = 0; at < list.length; at++) list[at] = this.signed();
    return list;
  }
  unsignedList(): number[] {
    const list = new Array<number>(this.unsigned());
    for (let at = 0; at < list.length; at++) list[at] = this.unsigned();
    return list;
  }
  object(): unknown {
    return this.#packed.objectAt(this.unsigned());
  }
  common(): unknown {
    return this.#packed.commonAt(this.unsigned());
  }
  /** Numbers of an extent tree's node. All are block numbers but for the lengths in a leaf, which are negative for unwritten extents. */
  treeEntries(depth: number, count: number): number[] {
    const list = new Array<number>(count);
    for (let at = 0; at < count; at++) list[at] = depth === 0 && at % 3 === 1 ? this.signed() : this.unsigned();
    return list;
  }
  place(): Place | undefined {
    const at = this.signed();
    if (at === 0) return undefined;
    return at > 0 ? { packed: this.#packed, at } : (this.#packed.objectAt(~at) as Place);
  }
}
