/**
 * In which layers of a merged directory each name lies: one typed hash of names, and for each a chain of places from the topmost down. About
 * 20 bytes a name and 6 more for each further layer that has it.
 */
import type { Name } from "../core/names.ts";
import type { LayerRules, StackedDirectory } from "./layer.ts";

const FIRST_SLOTS = 16;
const FIRST_ENTRIES = 8;

export class NamePlaces {
  #slots = new Uint32Array(FIRST_SLOTS);
  /** The entry of the topmost place, by slot; entries begin at 1. */
  #heads = new Uint32Array(FIRST_SLOTS);
  #names = 0;
  #places = new Uint16Array(FIRST_ENTRIES);
  /** The entry of the next lower place; 0 ends the chain. */
  #nexts = new Uint32Array(FIRST_ENTRIES);
  #entries = 1;

  /** The topmost place, from one on, that has a name; -1 when none has. @param from - 0 is the topmost. */
  next(name: Name, from: number): number {
    const slot = this.#slotOf(name);
    if (this.#slots[slot] !== name) return -1;
    let entry = this.#heads[slot] as number;
    while (entry !== 0 && (this.#places[entry] as number) < from) entry = this.#nexts[entry] as number;
    return entry === 0 ? -1 : (this.#places[entry] as number);
  }

  /** Adds a place of a name. Precondition: no place above it has been added, so that directories come from the lowest up. */
  add(name: Name, place: number): void {
    const slot = this.#slotOf(name);
    if (this.#entries === this.#places.length) this.#growEntries();
    const entry = this.#entries++;
    this.#places[entry] = place;
    this.#nexts[entry] = this.#slots[slot] === name ? (this.#heads[slot] as number) : 0;
    this.#heads[slot] = entry;
    if (this.#slots[slot] === name) return;
    this.#slots[slot] = name;
    this.#names += 1;
    if (this.#names * 2 > this.#slots.length) this.#growSlots();
  }

  /** Where the name is, or where it would be. */
  #slotOf(name: number): number {
    const mask = this.#slots.length - 1;
    let slot = (Math.imul(name, 0x9e3779b1) >>> 7) & mask;
    for (let there = this.#slots[slot]; there !== 0 && there !== name; there = this.#slots[slot]) slot = (slot + 1) & mask;
    return slot;
  }

  #growSlots(): void {
    const slots = this.#slots;
    const heads = this.#heads;
    this.#slots = new Uint32Array(slots.length * 2);
    this.#heads = new Uint32Array(slots.length * 2);
    for (const [before, name] of slots.entries()) {
      if (name === 0) continue;
      const slot = this.#slotOf(name);
      this.#slots[slot] = name;
      this.#heads[slot] = heads[before] as number;
    }
  }

  #growEntries(): void {
    const places = new Uint16Array(this.#places.length * 2);
    places.set(this.#places);
    this.#places = places;
    const nexts = new Uint32Array(places.length);
    nexts.set(this.#nexts);
    this.#nexts = nexts;
  }
}

/** Where a stack of directories, topmost first, has its names; undefined when one cannot be listed. */
export function placesIn(stack: readonly StackedDirectory[], rules: LayerRules): NamePlaces | undefined {
  const places = new NamePlaces();
  for (let place = stack.length - 1; place >= 0; place--) {
    const { fs, inode, layer } = stack[place] as StackedDirectory;
    if (rules.list(fs, inode, (name) => places.add(name, place), layer) !== undefined) return undefined;
  }
  return places;
}
