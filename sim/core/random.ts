/**
 * Seeded random numbers: the only source of chance in the simulator. The same seed gives the same sequence on every machine.
 * sfc32 (Chris Doty-Humphrey, PractRand): 128 bits of state, passes PractRand to 2 TB; the first 15 outputs are thrown away so
 * that near seeds do not stay near.
 */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #count: number;

  /** @param seed - any whole number; only its lowest 53 bits count. */
  constructor(seed: number) {
    this.#a = seed | 0;
    this.#b = Math.floor(seed / 2 ** 32) | 0;
    this.#c = 0x9e3779b9 | 0;
    this.#count = 1;
    for (let n = 0; n < 15; n++) this.uint32();
  }

  /** A whole number from 0 to 2^32 - 1. */
  uint32(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#count) | 0;
    this.#count = (this.#count + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** A whole number from 0 to `limit` - 1; `limit` from 1 to 2^32. The bias is below limit / 2^53. */
  below(limit: number): number {
    return Math.floor(this.fraction() * limit);
  }

  /** A number from 0 up to but not including 1, with 53 random bits. */
  fraction(): number {
    return ((this.uint32() >>> 5) * 2 ** 26 + (this.uint32() >>> 6)) / 2 ** 53;
  }

  /** `length` random bytes. */
  bytes(length: number): Uint8Array {
    const out = new Uint8Array(length);
    for (let n = 0; n < length; n++) out[n] = this.uint32() & 0xff;
    return out;
  }

  /** One of the items; throws a RangeError for an empty list. */
  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new RangeError("nothing to pick from");
    return item;
  }
}
