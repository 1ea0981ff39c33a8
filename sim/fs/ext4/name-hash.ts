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

/** Three rounds of eight steps: which word each takes, and how far it turns. */
const ORDER = Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7, 1, 3, 5, 7, 0, 2, 4, 6, 3, 7, 2, 6, 1, 5, 0, 4);
const TURNS = Uint8Array.of(3, 7, 11, 19, 3, 7, 11, 19, 3, 5, 9, 13, 3, 5, 9, 13, 3, 9, 11, 15, 3, 9, 11, 15);
const K2 = 0x5a827999;
const K3 = 0x6ed9eba1;

/** How many of the hashes asked for last are kept: the same names come again in many directories, and whenever a leaf is split. */
const KNOWN = 4096;

/** half_md4_transform. */
function transform(state: Int32Array, words: Int32Array): void {
  let a = state[0] as number;
  let b = state[1] as number;
  let c = state[2] as number;
  let d = state[3] as number;
  for (let step = 0; step < ORDER.length; step++) {
    let sum = (a + (words[ORDER[step] as number] as number)) | 0;
    if (step < 8) sum = (sum + (d ^ (b & (c ^ d)))) | 0;
    else if (step < 16) sum = (((sum + (b & c)) | 0) + ((b ^ c) & d) + K2) | 0;
    else sum = (sum + (b ^ c ^ d) + K3) | 0;
    const turns = TURNS[step] as number;
    a = d;
    d = c;
    c = b;
    b = (sum << turns) | (sum >>> (32 - turns));
  }
  state[0] = (state[0] as number) + a;
  state[1] = (state[1] as number) + b;
  state[2] = (state[2] as number) + c;
  state[3] = (state[3] as number) + d;
}

/** str2hashbuf_signed: a piece of a name in words, filled up with its length. */
function fill(words: Int32Array, bytes: Uint8Array, from: number, end: number): void {
  const length = end - from;
  const pad = Math.imul(length & 0xff, 0x01010101);
  for (let word = 0; word < WORDS; word++) {
    let value = pad;
    const first = from + word * 4;
    for (let at = first; at < first + 4 && at < end; at++) value = (((bytes[at] as number) << 24) >> 24) + (value << 8);
    words[word] = value;
  }
}

export class NameHashes {
  readonly #names: NameTable;
  readonly #seed: readonly number[];
  /** By the last bits of a name, the name and its hash; made when the first is asked for. */
  #known = new Int32Array(0);
  readonly #bytes = new Uint8Array(NAME_BYTES_MAX * 3);
  readonly #words = new Int32Array(WORDS);
  readonly #state = new Int32Array(4);

  /** @param seed - s_hash_seed: four words. */
  constructor(names: NameTable, seed: readonly number[]) {
    this.#names = names;
    this.#seed = seed.some((word) => word !== 0) ? seed : NO_SEED;
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
    this.#state.set(this.#seed);
    for (let from = 0; from < length; from += PIECE_BYTES) {
      fill(this.#words, this.#bytes, from, length);
      transform(this.#state, this.#words);
    }
  }
}
