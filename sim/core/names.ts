/**
 * Interned names of directory entries. A Name is a small whole number; two names are equal when their numbers are.
 *
 * Interface: one table a host, shared by all its filesystems, so that a path is cut into Names once and every directory index
 * below compares integers. `intern` of a part of a path allocates nothing when the name is known. Names are never forgotten:
 * a host's memory grows by about 60 bytes for each distinct name that was ever looked up on it.
 */
declare const name: unique symbol;

/** An interned name: an index into its host's NameTable. 0 is never a name. */
export type Name = number & { readonly [name]: "Name" };

const SEED = 0x811c9dc5 | 0;
const PRIME = 0x01000193;

/** The next value of the running hash (FNV-1a over UTF-16 units) after the unit `unit`. */
function mix(hash: number, unit: number): number {
  return Math.imul(hash ^ unit, PRIME);
}

export class NameTable {
  readonly #texts: string[] = [""];
  #hashes = new Int32Array(1024);
  #lengths = new Uint16Array(1024);
  #slots = new Int32Array(2048);
  #mask = 2047;

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
    let hash = SEED;
    for (let at = start; at < end; at++) hash = mix(hash, text.charCodeAt(at));
    hash ^= hash >>> 15;
    let slot = hash & this.#mask;
    for (let found = this.#slots[slot] ?? 0; found !== 0; slot = (slot + 1) & this.#mask, found = this.#slots[slot] ?? 0) {
      if (this.#hashes[found] === hash && this.#equals(found, text, start, end)) return found as Name;
    }
    return this.#add(text.slice(start, end), hash, slot);
  }

  #equals(found: number, text: string, start: number, end: number): boolean {
    const known = this.#texts[found] as string;
    if (known.length !== end - start) return false;
    for (let at = 0; at < known.length; at++) if (known.charCodeAt(at) !== text.charCodeAt(start + at)) return false;
    return true;
  }

  #add(text: string, hash: number, slot: number): Name {
    const made = this.#texts.length;
    // A JavaScript engine may keep the whole path alive for a long slice of it; spreading and joining copies the characters.
    this.#texts.push(text.length < 13 ? text : [...text].join(""));
    if (made >= this.#hashes.length) this.#grow();
    this.#hashes[made] = hash;
    this.#lengths[made] = Math.min(utf8Length(text), 0xffff);
    if (made * 2 > this.#mask) this.#rehash();
    else this.#slots[slot] = made;
    return made as Name;
  }

  #grow(): void {
    const hashes = new Int32Array(this.#hashes.length * 2);
    hashes.set(this.#hashes);
    this.#hashes = hashes;
    const lengths = new Uint16Array(this.#lengths.length * 2);
    lengths.set(this.#lengths);
    this.#lengths = lengths;
  }

  #rehash(): void {
    this.#mask = this.#mask * 2 + 1;
    this.#slots = new Int32Array(this.#mask + 1);
    for (let known = 1; known < this.#texts.length; known++) {
      let slot = (this.#hashes[known] ?? 0) & this.#mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#mask;
      this.#slots[slot] = known;
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
