/**
 * A set of names in one typed array, 8 to 16 bytes a name: which names any layer of a directory has at all.
 */
import type { Name } from "../core/names.ts";

const FIRST_SLOTS = 16;

export class NameSet {
  #slots = new Uint32Array(FIRST_SLOTS);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(name: Name): boolean {
    return this.#slots[this.#slotOf(name)] === name;
  }

  add(name: Name): void {
    const slot = this.#slotOf(name);
    if (this.#slots[slot] === name) return;
    this.#slots[slot] = name;
    this.#size += 1;
    if (this.#size * 2 > this.#slots.length) this.#grow();
  }

  /** Where the name is, or where it would be. */
  #slotOf(name: number): number {
    const mask = this.#slots.length - 1;
    let slot = (Math.imul(name, 0x9e3779b1) >>> 7) & mask;
    for (let there = this.#slots[slot]; there !== 0 && there !== name; there = this.#slots[slot]) slot = (slot + 1) & mask;
    return slot;
  }

  #grow(): void {
    const before = this.#slots;
    this.#slots = new Uint32Array(before.length * 2);
    for (const name of before) if (name !== 0) this.#slots[this.#slotOf(name)] = name;
  }
}
