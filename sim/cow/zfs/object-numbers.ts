/**
 * Which number a new object gets (module/zfs/dmu_object.c, dmu_object_alloc_impl): each processor takes a chunk of 128 numbers and goes through
 * it; a chunk that begins a region of 4096 numbers is looked for where at most a quarter of a region is in use.
 */

/** Numbers in a region: those whose dnodes one indirect block of 16 KiB blocks leads to. */
export const OBJECTS_A_REGION = 4096;
const CHUNK = 128;

export class ObjectNumbers {
  /** Objects in use in each region. */
  readonly #used: number[];
  readonly #taken: ReadonlySet<number>;
  readonly #isFree: (object: number) => boolean;
  #nextChunk = 0;
  /** Each processor's next number. */
  readonly #next: number[] = [];
  #freedSome = true;

  /** @param taken - numbers that are never given. @param isFree - whether no object has the number. */
  constructor(used: readonly number[] | undefined, taken: ReadonlySet<number>, isFree: (object: number) => boolean) {
    this.#used = used === undefined ? [] : [...used];
    this.#taken = taken;
    this.#isFree = isFree;
  }

  /** Regions that were ever in use. */
  get regionCount(): number {
    return Math.max(1, this.#used.length);
  }

  /** Takes a number. @param processor - on which the call runs. @param fresh - the set is being made and has no blocks yet. */
  take(processor: number): number {
    let object = this.#next[processor] ?? 0;
    while (true) {
      if (object % CHUNK === 0) object = this.#chunk();
      this.#next[processor] = object + 1;
      if (!this.#taken.has(object) && this.#isFree(object)) {
        this.#count(object, 1);
        return object;
      }
      object += 1;
    }
  }

  /** The first number of the next chunk. */
  #chunk(): number {
    let first = this.#nextChunk;
    if (first % OBJECTS_A_REGION === 0) {
      let region = this.#freedSome ? 0 : first / OBJECTS_A_REGION;
      this.#freedSome = false;
      while ((this.#used[region] ?? 0) > OBJECTS_A_REGION / 4 || this.#inUse(region)) region += 1;
      first = region * OBJECTS_A_REGION;
    }
    this.#nextChunk = first + CHUNK;
    return first;
  }

  /** Whether a processor's chunk lies in the region. */
  #inUse(region: number): boolean {
    return this.#next.some((next) => next % CHUNK !== 0 && Math.floor(next / OBJECTS_A_REGION) === region);
  }

  /** Gives a number back. */
  give(object: number): void {
    this.#count(object, -1);
    this.#freedSome = true;
  }

  #count(object: number, by: number): void {
    const region = Math.floor(object / OBJECTS_A_REGION);
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
