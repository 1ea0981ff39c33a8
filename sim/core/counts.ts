/**
 * How many times each of some whole numbers is meant, such as inodes that are open: numbers that come and go all the time and are few at once.
 *
 * A Map or a Set makes a table anew each time it becomes empty, and each table leads to the next: where the first has become old to the collector, all
 * those behind it stay until it looks through everything. This table is open-addressed and stays as it is.
 *
 * Interface: a number is above 0 and below 2^32.
 */
const PRIME = 0x9e3779b1;
const FIRST_SLOTS = 8;

export class Counts {
  /** 0: the slot is empty. */
  #keys = new Uint32Array(FIRST_SLOTS);
  #counts = new Uint32Array(FIRST_SLOTS);
  /** How many numbers are meant. */
  size = 0;

  /** How many times a number is meant. */
  of(key: number): number {
    return this.size === 0 ? 0 : (this.#counts[this.#slotOf(key)] as number);
  }

  /** Once more. */
  add(key: number): void {
    if (this.size * 2 >= this.#keys.length) this.#grow();
    const at = this.#slotOf(key);
    if (this.#keys[at] === 0) this.size += 1;
    this.#keys[at] = key;
    this.#counts[at] = (this.#counts[at] as number) + 1;
  }

  /** Once less. @returns how many times it still is; undefined where it was not. */
  drop(key: number): number | undefined {
    const at = this.#slotOf(key);
    if (this.#keys[at] === 0) return undefined;
    const left = (this.#counts[at] as number) - 1;
    this.#counts[at] = left;
    if (left === 0) this.#empty(at);
    return left;
  }

  /** All that are meant, from the lowest on. */
  keys(): number[] {
    const keys = this.#keys;
    const found: number[] = [];
    for (let at = 0; at < keys.length; at++) if (keys[at] !== 0) found.push(keys[at] as number);
    return found.sort((one, other) => one - other);
  }

  #homeOf(key: number): number {
    return (Math.imul(key, PRIME) >>> 12) & (this.#keys.length - 1);
  }

  /** The slot of a number, or the empty one where it would be. */
  #slotOf(key: number): number {
    const keys = this.#keys;
    const last = keys.length - 1;
    let at = this.#homeOf(key);
    while (keys[at] !== key && keys[at] !== 0) at = (at + 1) & last;
    return at;
  }

  /** Empties a slot; what lies behind it for want of room moves up. */
  #empty(slot: number): void {
    const keys = this.#keys;
    const last = keys.length - 1;
    let free = slot;
    for (let at = (slot + 1) & last; keys[at] !== 0; at = (at + 1) & last) {
      if (((at - this.#homeOf(keys[at] as number)) & last) < ((at - free) & last)) continue;
      keys[free] = keys[at] as number;
      this.#counts[free] = this.#counts[at] as number;
      free = at;
    }
    keys[free] = 0;
    this.#counts[free] = 0;
    this.size -= 1;
  }

  #grow(): void {
    const keys = this.#keys;
    const counts = this.#counts;
    this.#keys = new Uint32Array(keys.length * 2);
    this.#counts = new Uint32Array(keys.length * 2);
    for (let at = 0; at < keys.length; at++) {
      if (keys[at] === 0) continue;
      const to = this.#slotOf(keys[at] as number);
      this.#keys[to] = keys[at] as number;
      this.#counts[to] = counts[at] as number;
    }
  }
}
