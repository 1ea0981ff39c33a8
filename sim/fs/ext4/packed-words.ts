/**
 * Metadata as commits left it: words one behind the other, and beside them the few objects that are no words. A commit of a small change is a few hundred
 * bytes in an array that is there already, where a record of each block would be an object, its fields and its lists.
 *
 * Interface: what was put is never changed, and nothing is put before it: a place is an immutable record for as long as somebody holds it. The words
 * of an entry begin with a head: how many they are (with the head) and the record's kind; then its block's home.
 */
import { assert } from "../../core/assert.ts";

/** Words from the beginning on; a segment of the log is closed when it has more. What one record keeps from being collected. */
export const SEGMENT_WORDS = 2048;
/** Words beyond them that there is room for at once: most of what the transaction that reaches the end puts behind it. */
const OVERHANG_WORDS = 192;
/** Place 0 is none. */
const FIRST_PLACE = 1;
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

export class PackedWords {
  #words: Int32Array<ArrayBuffer>;
  #end = FIRST_PLACE;
  readonly #objects: unknown[] = [];
  /** Objects that many records have in common. */
  readonly #common: unknown[] = [];
  /** The entry that is being put. */
  #entry = 0;

  constructor(words: number = SEGMENT_WORDS + OVERHANG_WORDS) {
    this.#words = new Int32Array(words);
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
    this.put(0);
    this.put(metadata.block);
    const kind = metadata.pack(this);
    this.#words[entry] = ((this.#end - entry) << KIND_BITS) | kind;
    return entry;
  }

  /** Puts a word: a whole number of 32 bits, with a sign or without. */
  put(word: number): void {
    if (this.#end === this.#words.length) this.#grow(1);
    this.#words[this.#end++] = word;
  }

  /** Puts another word at a place of the entry that is being put. */
  change(at: number, word: number): void {
    if (!(at > this.#entry && at < this.#end)) assert(false, `word ${at} is not of the entry at ${this.#entry}`);
    this.#words[at] = word;
  }

  /** Puts a list, its length first. */
  putAll(list: readonly number[]): void {
    this.put(list.length);
    this.putWords(list, 0, list.length);
  }

  /** Puts a part of a list. */
  putWords(list: readonly number[], from: number, end: number): void {
    // A leaf of extents is a thousand words: none of them asks for room.
    if (this.#end + end - from > this.#words.length) this.#grow(end - from);
    const words = this.#words;
    const first = this.#end - from;
    for (let at = from; at < end; at++) words[first + at] = list[at] as number;
    this.#end = first + end;
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
    const grown = new Int32Array(Math.ceil(this.#words.length * 1.5) + more);
    grown.set(this.#words);
    this.#words = grown;
  }

  // Reading

  wordAt(at: number): number {
    if (!(at > 0 && at < this.#end)) assert(false, `no word ${at} of ${this.#end}`);
    return this.#words[at] as number;
  }
  objectAt(index: number): unknown {
    return this.#objects[index];
  }
  commonAt(index: number): unknown {
    return this.#common[index];
  }
  /** How many words an entry has. */
  sizeOf(entry: number): number {
    return this.wordAt(entry) >>> KIND_BITS;
  }
  kindOf(entry: number): number {
    return this.wordAt(entry) & KIND_MASK;
  }
  homeOf(entry: number): number {
    return this.wordAt(entry + 1) >>> 0;
  }
  /** How many blocks an entry is of, from its home on. */
  blocksOf(entry: number): number {
    return this.kindOf(entry) === USED_BITMAPS ? this.wordAt(entry + 2) : 1;
  }
}

/** Reads words in the order in which they were put. */
export class PackedReader {
  readonly #packed: PackedWords;
  #at: number;

  /** From an entry's first word behind its head on. */
  constructor({ packed, at }: Place) {
    this.#packed = packed;
    this.#at = at + 2;
  }

  signed(): number {
    return this.#packed.wordAt(this.#at++);
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
