/**
 * Interned names of directory entries. A Name is a whole number; two names are equal when their numbers are.
 *
 * Interface: one table a host, shared by all its filesystems, so that a path is cut into Names once and every directory index
 * below compares integers. `intern` of a part of a path allocates nothing when the name is known. Names are never forgotten:
 * a host's memory grows by about 50 bytes for each distinct name that was ever looked up on it.
 *
 * A name's number is the hash of its units; of two texts with one hash, the later gets the next number that nothing has. So the number follows
 * from the text alone, and the table only confirms it: a processor looks on into directories while the table's memory is still on its way.
 */
import { roomFor } from "./growth.ts";

declare const name: unique symbol;

/** An interned name: a whole number below 2^31, and never 0. */
export type Name = number & { readonly [name]: "Name" };

// FNV-1a over UTF-16 units.
const SEED = 0x811c9dc5 | 0;
const PRIME = 0x01000193;
const NAME_BITS = 0x7fff_ffff;

const SLASH = 47;
/** Of ASCII: one call makes a text in half the time that its units take one by one. */
const DECODER = new TextDecoder();
const ENCODER = new TextEncoder();

/** What an entry has before its units: how many UTF-16 units they are, shifted by KIND_BITS, and its kind. */
const LENGTH = 0;
/** How many names there were before it. */
const ORDINAL = 1;
const UNITS = 2;

/** The words of a slot. A name is never 0: where it is, the slot is empty. */
const SLOT_WORDS = 2;
const NAME = 0;
/** Where the name's entry begins in the words of entries. */
const ENTRY = 1;
const FIRST_SLOTS = 2048;

/** Kinds of entries: all units are ASCII, or fit a byte, or take two bytes each. */
const KIND_BITS = 2;
const ASCII = 0;
const BYTES = 1;
const WIDE = 2;

function kindOf(allUnits: number): number {
  if (allUnits > 0xff) return WIDE;
  return allUnits > 0x7f ? BYTES : ASCII;
}

/** How many words the units of an entry take. @param length - its LENGTH. */
function wordsFor(length: number): number {
  const units = length >>> KIND_BITS;
  return (length & WIDE) === 0 ? (units + 3) >> 2 : (units + 1) >> 1;
}

/** The number that a text's hash asks for. */
function folded(hash: number): number {
  return (hash ^ (hash >>> 15)) & NAME_BITS || 1;
}

export class NameTable {
  /** Where the component that `component` read last ends: the place of its slash, or the length of the text. */
  end = 0;
  /** Texts that were asked for, by ordinal; the entry has what a text is made of. */
  readonly #texts: (string | undefined)[] = [];
  /** Names whose number is not their hash, by text; and those hashes. */
  readonly #displaced = new Map<string, Name>();
  readonly #displacedHashes = new Map<Name, number>();
  #size = 0;
  /** The name of ASCII units that was read last, 0 for none, and how many they are. */
  #lastAscii = 0;
  #lastLength = 0;
  /** An open-addressed table: which name, and where its entry is, so that a name that is known costs two places of memory, whatever else the table holds. */
  #slots = new Uint32Array(FIRST_SLOTS * SLOT_WORDS);
  #mask: number = FIRST_SLOTS - 1;
  /** The entries one after the other; UNITS words and then the units, filled up with 0. */
  #words = new Int32Array(4096);
  #bytes = new Uint8Array(this.#words.buffer);
  /** Behind the last entry: where units are put while they are read, to become the next entry if they are new. */
  #next = UNITS;

  /** How many names there are. */
  get size(): number {
    return this.#size;
  }

  /** The name's text. */
  text(of: Name): string {
    const entry = this.#entryOf(of);
    if (entry === 0) return "";
    return (this.#texts[this.#words[entry + ORDINAL] as number] ??= this.#decode(entry));
  }

  /** The name's length in UTF-8 bytes, which is what NAME_MAX limits; lengths above 65,535 are told as 65,535. */
  byteLength(of: Name): number {
    // A name that gets an entry in a directory was read just before.
    if (of === this.#lastAscii) return Math.min(0xffff, this.#lastLength);
    const entry = this.#entryOf(of);
    const length = entry === 0 ? 0 : (this.#words[entry + LENGTH] as number);
    return Math.min(0xffff, (length & (BYTES | WIDE)) === ASCII ? length >>> KIND_BITS : utf8Length(this.text(of)));
  }

  /** Puts the name's UTF-8 bytes into an array that has room for them. @returns how many they are. */
  copyBytes(of: Name, into: Uint8Array): number {
    const entry = this.#entryOf(of);
    const length = entry === 0 ? 0 : (this.#words[entry + LENGTH] as number);
    if ((length & (BYTES | WIDE)) !== ASCII) return ENCODER.encodeInto(this.text(of), into).written;
    const from = (entry + UNITS) * 4;
    for (let at = 0; at < length >>> KIND_BITS; at++) into[at] = this.#bytes[from + at] as number;
    return length >>> KIND_BITS;
  }

  /** A hash of the name's units: 31 bits that depend on nothing else. */
  hash(of: Name): number {
    return this.#displacedHashes.size === 0 ? of : (this.#displacedHashes.get(of) ?? of);
  }

  /** The Name of the text from `start` up to `end` (default: the whole of it). O(length). */
  intern(text: string, start = 0, end: number = text.length): Name {
    this.#reserve(end - start);
    const bytes = this.#bytes;
    let to = (this.#next + UNITS) * 4;
    let hash = SEED;
    let all = 0;
    for (let at = start; at < end; at++, to++) {
      const unit = text.charCodeAt(at);
      all |= unit;
      hash = Math.imul(hash ^ unit, PRIME);
      bytes[to] = unit;
    }
    return this.#find(text, start, ((end - start) << KIND_BITS) | kindOf(all), folded(hash));
  }

  /** The Name of the path component from `start` up to the next slash, which `end` tells then. Each unit is read once. */
  component(path: string, start: number): Name {
    const { length } = path;
    this.#reserve(length - start);
    const bytes = this.#bytes;
    let to = (this.#next + UNITS) * 4;
    let hash = SEED;
    let all = 0;
    let at = start;
    for (; at < length; at++, to++) {
      const unit = path.charCodeAt(at);
      if (unit === SLASH) break;
      all |= unit;
      hash = Math.imul(hash ^ unit, PRIME);
      bytes[to] = unit;
    }
    this.end = at;
    return this.#find(path, start, ((at - start) << KIND_BITS) | kindOf(all), folded(hash));
  }

  /** The Name of the units that were put behind the last entry as bytes. @param length - their LENGTH. @param hash - their hash, folded. */
  #find(text: string, start: number, length: number, hash: number): Name {
    const words = this.#words;
    const next = this.#next;
    const count = wordsFor(length);
    if ((length & WIDE) !== 0) this.#putWide(text, start, length >>> KIND_BITS);
    else for (let at = (next + UNITS) * 4 + (length >>> KIND_BITS); (at & 3) !== 0; at++) this.#bytes[at] = 0;
    const entry = this.#entryOf(hash);
    if (entry !== 0) {
      let at = words[entry + LENGTH] === length ? 0 : count + 1;
      while (at < count && words[entry + UNITS + at] === words[next + UNITS + at]) at++;
      if (at !== count) return this.#findDisplaced(text.slice(start, start + (length >>> KIND_BITS)), length, hash);
    } else this.#add(hash, length);
    if ((length & (BYTES | WIDE)) === ASCII) {
      this.#lastAscii = hash;
      this.#lastLength = length >>> KIND_BITS;
    }
    return hash as Name;
  }

  /** Where the entry of a number begins, or 0. */
  #entryOf(number: number): number {
    return this.#slots[this.#placeOf(number) + ENTRY] as number;
  }

  /** The place of a number's slot, or of the empty one where it would be. */
  #placeOf(number: number): number {
    const slots = this.#slots;
    const mask = this.#mask;
    let slot = number & mask;
    for (let there = slots[slot * SLOT_WORDS]; there !== number && there !== 0; there = slots[slot * SLOT_WORDS])
      slot = (slot + 1) & mask;
    return slot * SLOT_WORDS;
  }

  /** The Name of a text whose hash is another name's number. */
  #findDisplaced(text: string, length: number, hash: number): Name {
    const known = this.#displaced.get(text);
    if (known !== undefined) return known;
    let number = hash;
    while (this.#entryOf(number) !== 0) number = (number + 1) & NAME_BITS || 1;
    const made = this.#add(number, length);
    this.#displaced.set(text, made);
    this.#displacedHashes.set(made, hash);
    return made;
  }

  /** Makes an entry of the units behind the last one. */
  #add(number: number, length: number): Name {
    const entry = this.#next;
    this.#words[entry + LENGTH] = length;
    this.#words[entry + ORDINAL] = this.#size++;
    this.#next = entry + UNITS + wordsFor(length);
    if (this.#size * 2 > this.#mask) this.#grow();
    this.#fillSlot(number, entry);
    return number as Name;
  }

  #fillSlot(number: number, entry: number): void {
    const place = this.#placeOf(number);
    this.#slots[place + NAME] = number;
    this.#slots[place + ENTRY] = entry;
  }

  #putWide(text: string, start: number, units: number): void {
    const first = this.#next + UNITS;
    for (let at = 0; at < units; at += 2) {
      const second = at + 1 < units ? text.charCodeAt(start + at + 1) : 0;
      this.#words[first + (at >> 1)] = text.charCodeAt(start + at) | (second << 16);
    }
  }

  /** An entry's text. */
  #decode(entry: number): string {
    const length = this.#words[entry + LENGTH] as number;
    const wide = (length & WIDE) !== 0;
    const first = (entry + UNITS) * 4;
    if ((length & (BYTES | WIDE)) === ASCII) return DECODER.decode(this.#bytes.subarray(first, first + (length >>> KIND_BITS)));
    let text = "";
    const units: number[] = [];
    for (let at = 0; at < length >>> KIND_BITS; at++) {
      const place = wide ? first + at * 2 : first + at;
      units.push((this.#bytes[place] as number) | (wide ? (this.#bytes[place + 1] as number) << 8 : 0));
      if (units.length === 256) text += String.fromCharCode(...units.splice(0));
    }
    return text + String.fromCharCode(...units);
  }

  /** Makes room for an entry of so many units, two bytes each. */
  #reserve(units: number): void {
    const needed = this.#next + UNITS + (units >> 1) + 1;
    if (needed <= this.#words.length) return;
    const words = new Int32Array(roomFor(needed));
    words.set(this.#words.subarray(0, this.#next));
    this.#words = words;
    this.#bytes = new Uint8Array(words.buffer);
  }

  #grow(): void {
    const slots = this.#slots;
    this.#mask = this.#mask * 2 + 1;
    this.#slots = new Uint32Array(slots.length * 2);
    for (let place = 0; place < slots.length; place += SLOT_WORDS)
      if (slots[place] !== 0) this.#fillSlot(slots[place] as number, slots[place + ENTRY] as number);
  }
}

/** The length of a text in UTF-8 bytes; a lone surrogate counts 3, as its replacement character does. */
export function utf8Length(text: string): number {
  let length = text.length;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0x80) continue;
    if (unit < 0x800) length += 1;
    else if (unit >= 0xd800 && unit < 0xdc00 && (text.charCodeAt(at + 1) & 0xfc00) === 0xdc00) {
      length += 2;
      at += 1;
    } else length += 2;
  }
  return length;
}
