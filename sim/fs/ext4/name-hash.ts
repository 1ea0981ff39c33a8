/**
 * The hashes that names lie by in a directory, and are read by (fs/ext4/hash.c, __ext4fs_dirhash): half MD4 over the superblock's s_hash_seed, with the
 * names' bytes signed (DX_HASH_HALF_MD4), which is what mke2fs asks for on machines whose chars are.
 */
import type { Name, NameTable } from "../../core/names.ts";

/** EXT4_HTREE_EOF_32BIT: no name has it, since it is where a directory ends. */
const END_OF_DIRECTORY = 0x7fff_ffff;
/** The state that a seed of zeros stands for. */
const NO_SEED: readonly number[] = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476];

const NAME_BYTES_MAX = 255;
/** A name is hashed in pieces of eight words. */
const WORDS = 8;
const PIECE_BYTES: number = WORDS * 4;

/** What the second and the third round add. */
const K2 = 0x5a827999;
const K3 = 0x6ed9eba1;

/** How many of the hashes asked for last are kept: the same names come again in many directories, and whenever a leaf is split. */
const KNOWN = 4096;

// F, G, H and the rotation of ROUND
function mixed(x: number, y: number, z: number): number {
  return z ^ (x & (y ^ z));
}
function majority(x: number, y: number, z: number): number {
  return ((x & y) + ((x ^ y) & z)) | 0;
}
function parity(x: number, y: number, z: number): number {
  return x ^ y ^ z;
}
function turned(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

/** half_md4_transform: three rounds of eight steps. */
function transform(state: Int32Array, words: Int32Array): void {
  let a = state[0] as number;
  let b = state[1] as number;
  let c = state[2] as number;
  let d = state[3] as number;
  const w0 = words[0] as number;
  const w1 = words[1] as number;
  const w2 = words[2] as number;
  const w3 = words[3] as number;
  const w4 = words[4] as number;
  const w5 = words[5] as number;
  const w6 = words[6] as number;
  const w7 = words[7] as number;
  a = turned((a + mixed(b, c, d) + w0) | 0, 3);
  d = turned((d + mixed(a, b, c) + w1) | 0, 7);
  c = turned((c + mixed(d, a, b) + w2) | 0, 11);
  b = turned((b + mixed(c, d, a) + w3) | 0, 19);
  a = turned((a + mixed(b, c, d) + w4) | 0, 3);
  d = turned((d + mixed(a, b, c) + w5) | 0, 7);
  c = turned((c + mixed(d, a, b) + w6) | 0, 11);
  b = turned((b + mixed(c, d, a) + w7) | 0, 19);
  a = turned((a + majority(b, c, d) + w1 + K2) | 0, 3);
  d = turned((d + majority(a, b, c) + w3 + K2) | 0, 5);
  c = turned((c + majority(d, a, b) + w5 + K2) | 0, 9);
  b = turned((b + majority(c, d, a) + w7 + K2) | 0, 13);
  a = turned((a + majority(b, c, d) + w0 + K2) | 0, 3);
  d = turned((d + majority(a, b, c) + w2 + K2) | 0, 5);
  c = turned((c + majority(d, a, b) + w4 + K2) | 0, 9);
  b = turned((b + majority(c, d, a) + w6 + K2) | 0, 13);
  a = turned((a + parity(b, c, d) + w3 + K3) | 0, 3);
  d = turned((d + parity(a, b, c) + w7 + K3) | 0, 9);
  c = turned((c + parity(d, a, b) + w2 + K3) | 0, 11);
  b = turned((b + parity(c, d, a) + w6 + K3) | 0, 15);
  a = turned((a + parity(b, c, d) + w1 + K3) | 0, 3);
  d = turned((d + parity(a, b, c) + w5 + K3) | 0, 9);
  c = turned((c + parity(d, a, b) + w0 + K3) | 0, 11);
  b = turned((b + parity(c, d, a) + w4 + K3) | 0, 15);
  state[0] = (state[0] as number) + a;
  state[1] = (state[1] as number) + b;
  state[2] = (state[2] as number) + c;
  state[3] = (state[3] as number) + d;
}

/** str2hashbuf_signed: a piece of a name in words, filled up with the length of what is left of the name. */
function fill(words: Int32Array, bytes: Int8Array, from: number, end: number): void {
  const pad = Math.imul((end - from) & 0xff, 0x01010101);
  let at = from;
  let word = 0;
  for (; word < WORDS && at + 4 <= end; word++, at += 4)
    words[word] =
      ((bytes[at] as number) << 24) +
      ((bytes[at + 1] as number) << 16) +
      ((bytes[at + 2] as number) << 8) +
      (bytes[at + 3] as number);
  if (word === WORDS) return;
  let last = pad;
  for (; at < end; at++) last = ((last << 8) + (bytes[at] as number)) | 0;
  words[word] = last;
  for (word++; word < WORDS; word++) words[word] = pad;
}

/** What was made for a host, by the seed. */
const HASHES = new WeakMap<NameTable, Map<string, NameHashes>>();

export class NameHashes {
  readonly #names: NameTable;
  readonly #seed: Int32Array;
  /** By the last bits of a name, the name and its hash; made when the first is asked for. */
  #known = new Int32Array(0);
  readonly #bytes = new Uint8Array(NAME_BYTES_MAX * 3);
  readonly #signed = new Int8Array(this.#bytes.buffer);
  readonly #words = new Int32Array(WORDS);
  readonly #state = new Int32Array(4);

  /** Those of a host's names under a seed, which are the same for every mount. @param seed - s_hash_seed: four words. */
  static of(names: NameTable, seed: readonly number[]): NameHashes {
    const key = seed.join();
    const known = HASHES.get(names) ?? new Map<string, NameHashes>();
    HASHES.set(names, known);
    const hashes = known.get(key) ?? new NameHashes(names, seed);
    known.set(key, hashes);
    return hashes;
  }

  private constructor(names: NameTable, seed: readonly number[]) {
    this.#names = names;
    this.#seed = Int32Array.from(seed.some((word) => word !== 0) ? seed : NO_SEED);
  }

  /** The name's hash, without its lowest bit, which is 0 always: 31 bits stay a small integer. */
  of(name: Name): number {
    const at = (name & (KNOWN - 1)) * 2;
    const known = this.#known;
    return known[at] === name ? (known[at + 1] as number) : this.#learn(name, at);
  }

  #learn(name: Name, at: number): number {
    if (this.#known.length === 0) this.#known = new Int32Array(KNOWN * 2);
    this.#hash(name);
    const hash = (this.#state[1] as number) >>> 1;
    const usual = hash === END_OF_DIRECTORY ? END_OF_DIRECTORY - 1 : hash;
    this.#known[at] = name;
    this.#known[at + 1] = usual;
    return usual;
  }

  /** What orders names of one hash. */
  minorOf(name: Name): number {
    this.#hash(name);
    return (this.#state[2] as number) >>> 0;
  }

  #hash(name: Name): void {
    const length = this.#names.copyBytes(name, this.#bytes);
    for (let at = 0; at < this.#seed.length; at++) this.#state[at] = this.#seed[at] as number;
    for (let from = 0; from < length; from += PIECE_BYTES) {
      fill(this.#words, this.#signed, from, length);
      transform(this.#state, this.#words);
    }
  }
}
