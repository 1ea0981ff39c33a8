/**
 * Interned names of directory entries. A Name is a small whole number; two names are equal when their numbers are.
 *
 * Interface: one table a host, shared by all its filesystems, so that a path is cut into Names once and every directory index
 * below compares integers. `intern` of a part of a path allocates nothing when the name is known. Names are never forgotten:
 * a host's memory grows by about 100 bytes for each distinct name that was ever looked up on it.
 */
declare const name: unique symbol;

/** An interned name: an index into its host's NameTable. 0 is never a name. */
export type Name = number & { readonly [name]: "Name" };

const SEED = 0x811c9dc5 | 0;
const PRIME = 0x01000193;

const SLASH = 47;

/** What an entry has before its units: the name, its hash, and its length in UTF-16 units. */
const NAME = 0;
const HASH = 1;
const LENGTH = 2;
const UNITS = 3;

export class NameTable {
  /** Where the component that `component` read last ends: the place of its slash, or the length of the text. */
  end = 0;
  readonly #texts: string[] = [""];
  #lengths = new Uint16Array(1024);
  /** Where the entry of a name begins in #words, so that a name that is known costs two places of memory; 0 is none. */
  #slots = new Int32Array(2048);
  #mask = 2047;
  /** The entries one after the other; UNITS words and then the units, two a word, the last word filled up with 0. */
  #words = new Int32Array(4096);
  #halves = new Uint16Array(this.#words.buffer);
  /** Behind the last entry: where units are put while they are read, to become the next entry if they are new. */
  #next = UNITS;

  /** How many names there are. */
  get size(): number {
    return this.#texts.length - 1;
  }

  /** The name's text. */
  text(of: Name): string {
    return this.#texts[of] ?? "";
  }

  /** The name's length in UTF-8 bytes, which is what NAME_MAX limits; lengths above 65,535 are told as 65,535. */
  byteLength(of: Name): number {
    return this.#lengths[of] ?? 0;
  }

  /** The Name of the text from `start` up to `end` (default: the whole of it). O(length). */
  intern(text: string, start = 0, end: number = text.length): Name {
    this.#reserve(end - start);
    const halves = this.#halves;
    const first = (this.#next + UNITS) * 2;
    let hash = SEED;
    for (let at = start, to = first; at < end; at++, to++) {
      const unit = text.charCodeAt(at);
      hash = Math.imul(hash ^ unit, PRIME);
      halves[to] = unit;
    }
    return this.#find(text, start, end, hash);
  }

  /** The Name of the path component from `start` up to the next slash, which `end` tells then. Each unit is read once. */
  component(path: string, start: number): Name {
    const { length } = path;
    this.#reserve(length - start);
    const halves = this.#halves;
    let to = (this.#next + UNITS) * 2;
    // FNV-1a over UTF-16 units.
    let hash = SEED;
    let at = start;
    for (; at < length; at++, to++) {
      const unit = path.charCodeAt(at);
      if (unit === SLASH) break;
      hash = Math.imul(hash ^ unit, PRIME);
      halves[to] = unit;
    }
    this.end = at;
    return this.#find(path, start, at, hash);
  }

  /** The Name of the units that were put behind the last entry. */
  #find(text: string, start: number, end: number, mixed: number): Name {
    const words = this.#words;
    const next = this.#next;
    const length = end - start;
    const hash = mixed ^ (mixed >>> 15);
    this.#halves[(next + UNITS) * 2 + length] = 0;
    const behind = next + UNITS + ((length + 1) >> 1);
    let slot = hash & this.#mask;
    for (let entry = this.#slots[slot] as number; entry !== 0; entry = this.#slots[slot] as number) {
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
    return this.#add(text.slice(start, end), next, slot);
  }

  #add(text: string, entry: number, slot: number): Name {
    const made = this.#texts.length;
    // A JavaScript engine may keep the whole path alive for a long slice of it; spreading and joining copies the characters.
    this.#texts.push(text.length < 13 ? text : [...text].join(""));
    if (made >= this.#lengths.length) {
      const lengths = new Uint16Array(this.#lengths.length * 2);
      lengths.set(this.#lengths);
      this.#lengths = lengths;
    }
    this.#words[entry + NAME] = made;
    this.#lengths[made] = Math.min(utf8Length(text), 0xffff);
    if (made * 2 > this.#mask) this.#rehash();
    else this.#slots[slot] = entry;
    return made as Name;
  }

  /** Makes room for an entry of so many units. */
  #reserve(units: number): void {
    const needed = this.#next + UNITS + (units >> 1) + 1;
    if (needed <= this.#words.length) return;
    const words = new Int32Array(Math.ceil(Math.max(needed, this.#words.length) * 1.5));
    words.set(this.#words.subarray(0, this.#next));
    this.#words = words;
    this.#halves = new Uint16Array(words.buffer);
  }

  #rehash(): void {
    const words = this.#words;
    this.#mask = this.#mask * 2 + 1;
    this.#slots = new Int32Array(this.#mask + 1);
    for (let entry = UNITS; entry < this.#next; ) {
      let slot = (words[entry + HASH] as number) & this.#mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#mask;
      this.#slots[slot] = entry;
      entry += UNITS + (((words[entry + LENGTH] as number) + 1) >> 1);
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
