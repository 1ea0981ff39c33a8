/**
 * Interned names of directory entries. A Name is a small whole number; two names are equal when their numbers are.
 *
 * Interface: one table a host, shared by all its filesystems, so that a path is cut into Names once and every directory index
 * below compares integers. `intern` of a part of a path allocates nothing when the name is known. Names are never forgotten:
 * a host's memory grows by about 50 bytes for each distinct name that was ever looked up on it.
 */
declare const name: unique symbol;

/** An interned name: an index into its host's NameTable. 0 is never a name. */
export type Name = number & { readonly [name]: "Name" };

const SEED = 0x811c9dc5 | 0;
const PRIME = 0x01000193;

const SLASH = 47;
/** The last unit that one byte holds. */
const BYTE_MAX = 0xff;

/** What an entry has before its units: the name, its hash, and its length in UTF-16 units; negative where each takes two bytes. */
const NAME = 0;
const HASH = 1;
const LENGTH = 2;
const UNITS = 3;

export class NameTable {
  /** Where the component that `component` read last ends: the place of its slash, or the length of the text. */
  end = 0;
  /** Where the entry of a name begins in #words. */
  #entries = new Uint32Array(1024);
  #lengths = new Uint16Array(1024);
  /** Texts that were asked for; the entry has what a text is made of. */
  readonly #texts: (string | undefined)[] = [];
  #size = 0;
  /** By hash: where the entry of a name begins, so that a name that is known costs two places of memory; 0 is none. */
  #slots = new Uint32Array(2048);
  #mask = 2047;
  /** The entries one after the other; UNITS words and then the units, a byte each where that is enough, filled up with 0. */
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
    if (of === 0 || of > this.#size) return "";
    return (this.#texts[of] ??= this.#decode(this.#entries[of] as number));
  }

  /** The name's length in UTF-8 bytes, which is what NAME_MAX limits; lengths above 65,535 are told as 65,535. */
  byteLength(of: Name): number {
    return this.#lengths[of] ?? 0;
  }

  /** FNV-1a over the UTF-16 units of the name, 32 bits signed. */
  hash(of: Name): number {
    return this.#words[(this.#entries[of] as number) + HASH] as number;
  }

  /** The Name of the text from `start` up to `end` (default: the whole of it). O(length). */
  intern(text: string, start = 0, end: number = text.length): Name {
    this.#reserve(end - start);
    const bytes = this.#bytes;
    let to = (this.#next + UNITS) * 4;
    let hash = SEED;
    let wide = 0;
    for (let at = start; at < end; at++, to++) {
      const unit = text.charCodeAt(at);
      wide |= unit;
      hash = Math.imul(hash ^ unit, PRIME);
      bytes[to] = unit;
    }
    return wide > BYTE_MAX ? this.#findWide(text, start, end, hash) : this.#find(end - start, hash);
  }

  /** The Name of the path component from `start` up to the next slash, which `end` tells then. Each unit is read once. */
  component(path: string, start: number): Name {
    const { length } = path;
    this.#reserve(length - start);
    const bytes = this.#bytes;
    let to = (this.#next + UNITS) * 4;
    let hash = SEED;
    let wide = 0;
    let at = start;
    for (; at < length; at++, to++) {
      const unit = path.charCodeAt(at);
      if (unit === SLASH) break;
      wide |= unit;
      hash = Math.imul(hash ^ unit, PRIME);
      bytes[to] = unit;
    }
    this.end = at;
    return wide > BYTE_MAX ? this.#findWide(path, start, at, hash) : this.#find(at - start, hash);
  }

  /** The Name of the `length` units that were put behind the last entry as bytes. */
  #find(length: number, hash: number): Name {
    const first = this.#next + UNITS;
    const words = (length + 3) >> 2;
    const end = first * 4 + length;
    for (let at = end; at < (first + words) * 4; at++) this.#bytes[at] = 0;
    return this.#known(length, hash, words);
  }

  /** The Name of units that need two bytes each. */
  #findWide(text: string, start: number, end: number, hash: number): Name {
    const first = this.#next + UNITS;
    const length = end - start;
    for (let at = 0; at < length; at += 2) {
      const second = at + 1 < length ? text.charCodeAt(start + at + 1) : 0;
      this.#words[first + (at >> 1)] = text.charCodeAt(start + at) | (second << 16);
    }
    return this.#known(-length, hash, (length + 1) >> 1);
  }

  /** The Name of what was put behind the last entry. @param count - how many words its units take. */
  #known(length: number, hash: number, count: number): Name {
    const words = this.#words;
    const slots = this.#slots;
    const next = this.#next;
    const behind = next + UNITS + count;
    let slot = (hash ^ (hash >>> 15)) & this.#mask;
    for (let entry = slots[slot] as number; entry !== 0; entry = slots[slot] as number) {
      if (words[entry + HASH] === hash && words[entry + LENGTH] === length) {
        let known = entry + UNITS;
        let given = next + UNITS;
        while (given < behind && words[known] === words[given]) {
          known++;
          given++;
        }
        if (given === behind) return words[entry + NAME] as Name;
      }
      slot = (slot + 1) & this.#mask;
    }
    words[next + HASH] = hash;
    words[next + LENGTH] = length;
    this.#next = behind;
    return this.#add(next, slot);
  }

  #add(entry: number, slot: number): Name {
    const made = ++this.#size;
    if (made === this.#entries.length) this.#growNames();
    this.#words[entry + NAME] = made;
    this.#entries[made] = entry;
    this.#lengths[made] = Math.min(this.#bytesOf(entry), 0xffff);
    if (made * 2 > this.#mask) this.#rehash();
    else this.#slots[slot] = entry;
    return made as Name;
  }

  /** How many bytes of UTF-8 an entry is. */
  #bytesOf(entry: number): number {
    const length = this.#words[entry + LENGTH] as number;
    if (length < 0) return utf8Length(this.#decode(entry));
    let count = length;
    const first = (entry + UNITS) * 4;
    for (let at = first; at < first + length; at++) if ((this.#bytes[at] as number) >= 0x80) count++;
    return count;
  }

  /** An entry's text. */
  #decode(entry: number): string {
    const length = this.#words[entry + LENGTH] as number;
    const units: number[] = [];
    let text = "";
    for (let at = 0; at < Math.abs(length); at++) {
      const inWord = length < 0 ? at & 1 : at & 3;
      const word = this.#words[entry + UNITS + (length < 0 ? at >> 1 : at >> 2)] as number;
      units.push(length < 0 ? (word >>> (inWord * 16)) & 0xffff : (word >>> (inWord * 8)) & BYTE_MAX);
      if (units.length < 256 && at < Math.abs(length) - 1) continue;
      text += String.fromCharCode(...units);
      units.length = 0;
    }
    return text;
  }

  /** Makes room for an entry of so many units, two bytes each. */
  #reserve(units: number): void {
    const needed = this.#next + UNITS + (units >> 1) + 1;
    if (needed <= this.#words.length) return;
    const words = new Int32Array(Math.ceil(Math.max(needed, this.#words.length) * 1.5));
    words.set(this.#words.subarray(0, this.#next));
    this.#words = words;
    this.#bytes = new Uint8Array(words.buffer);
  }

  #growNames(): void {
    const entries = new Uint32Array(this.#entries.length * 2);
    entries.set(this.#entries);
    this.#entries = entries;
    const lengths = new Uint16Array(entries.length);
    lengths.set(this.#lengths);
    this.#lengths = lengths;
  }

  #rehash(): void {
    const words = this.#words;
    this.#mask = this.#mask * 2 + 1;
    this.#slots = new Uint32Array(this.#mask + 1);
    for (let name = 1; name <= this.#size; name++) {
      const entry = this.#entries[name] as number;
      const hash = words[entry + HASH] as number;
      let slot = (hash ^ (hash >>> 15)) & this.#mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#mask;
      this.#slots[slot] = entry;
    }
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
