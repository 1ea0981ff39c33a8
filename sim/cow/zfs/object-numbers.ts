/**
 * Which number a new object gets (module/zfs/dmu_object.c, dmu_object_alloc_impl): each processor takes a chunk of 128 numbers and goes through
 * it; a chunk that begins a region is looked for where less than a quarter of a region is in use.
 */
import { DNODES_PER_BLOCK } from "./records.ts";

const CHUNK = 128;

interface Numbering {
  /** Numbers in a region: those whose dnodes one indirect block leads to. */
  readonly region: number;
  /** How many objects go before numbers are looked for from the beginning again (dmu_rescan_dnode_threshold). */
  readonly rescanAfter: number;
}

export class ObjectNumbers {
  /** Objects in use in each region. */
  readonly #used: number[];
  readonly #taken: ReadonlySet<number>;
  readonly #isFree: (object: number) => boolean;
  #nextChunk = 0;
  /** Each processor's next number. */
  readonly #next: number[] = [];
  readonly #how: Numbering;
  #freed = Number.POSITIVE_INFINITY;

  /** @param taken - numbers that are never given. @param isFree - whether no object has the number. */
  constructor(
    how: Numbering,
    used: readonly number[] | undefined,
    taken: ReadonlySet<number>,
    isFree: (object: number) => boolean,
  ) {
    this.#how = how;
    this.#used = used === undefined ? [] : [...used];
    this.#taken = taken;
    this.#isFree = isFree;
  }

  /** Behind all numbers that were ever in use. */
  get end(): number {
    return Math.max(1, this.#used.length) * this.#how.region;
  }

  /** Takes a number. @param processor - on which the call runs. @param slots - how many places in one block the dnode takes */
  take(processor: number, slots = 1): number {
    let object = this.#next[processor] ?? 0;
    while (true) {
      if ((object + slots - 1) % CHUNK < slots) object = this.#chunk();
      this.#next[processor] = object + slots;
      if (this.#fits(object, slots)) {
        this.#count(object, 1);
        return object;
      }
      // From the next free place on, wherever that is in its block.
      do object += 1;
      while (object % CHUNK !== 0 && !this.#fits(object, 1));
    }
  }

  /** Whether a dnode may lie at a place: in one block, where nothing is. */
  #fits(object: number, slots: number): boolean {
    if ((object % DNODES_PER_BLOCK) + slots > DNODES_PER_BLOCK) return false;
    for (let at = object; at < object + slots; at++) if (this.#taken.has(at) || !this.#isFree(at)) return false;
    return true;
  }

  /** The first number of the next chunk. */
  #chunk(): number {
    let first = this.#nextChunk;
    const { region: size, rescanAfter } = this.#how;
    if (first % size === 0) {
      let region = first / size;
      if (this.#freed >= rescanAfter) {
        region = 0;
        this.#freed = 0;
      }
      while ((this.#used[region] ?? 0) >= size / 4 || this.#inUse(region)) region += 1;
      first = region * size;
    }
    this.#nextChunk = first + CHUNK;
    return first;
  }

  /** Whether a processor's chunk lies in the region. */
  #inUse(region: number): boolean {
    return this.#next.some((next) => next % CHUNK !== 0 && Math.floor(next / this.#how.region) === region);
  }

  /** Gives a number back. */
  give(object: number): void {
    this.#count(object, -1);
    this.#freed += 1;
  }

  #count(object: number, by: number): void {
    const region = Math.floor(object / this.#how.region);
    while (this.#used.length <= region) this.#used.push(0);
    this.#used[region] = (this.#used[region] as number) + by;
  }

  /** Takes a number that is known: the root's. */
  claim(object: number): void {
    this.#count(object, 1);
  }

  freeze(): readonly number[] {
    return [...this.#used];
  }
}
