/**
 * Which number a name leads to in a directory: (directory, name) → child, in no order. Without rows and lists beside its slots (dentry-table.ts has
 * them) an entry takes some 15 bytes, and is made and ended in one place of memory.
 *
 * Interface: directories and children are whole numbers from 1 to 2^32 - 1; 0 means "none".
 */
import { assert, InvariantError } from "../core/assert.ts";
import type { Name } from "../core/names.ts";
import { COUNT, DentryHeads, DIRECTORY, type Head, SLOTS, START } from "./dentry-heads.ts";
import { FIRST_SLOTS, homeOf, SlotBlocks, stepsFrom, widerThan } from "./slot-blocks.ts";

/** The words of a slot. A name is never 0: where it is, the slot is empty. */
const SLOT_WORDS = 2;
const NAME = 0;
const CHILD = 1;

export class EntryMap {
  readonly #slots = new SlotBlocks(SLOT_WORDS);
  readonly #heads = new DentryHeads();

  /** The child, or 0 when nothing is known of the name. */
  lookup(directory: number, name: Name): number {
    return this.#slots.words[this.#probe(this.#heads.of(directory), name) + CHILD] as number;
  }

  /** The place of an entry, or the empty one where it would be. */
  #probe(head: Head, name: number): number {
    const { words } = this.#heads;
    return this.#slots.probe(words[head + START] as number, words[head + SLOTS] as number, name);
  }

  /** Lets a name lead to a child. @returns what it led to before, or 0. */
  put(directory: number, name: Name, child: number): number {
    const head = this.#heads.of(directory);
    const place = this.#probe(head, name);
    const slots = this.#slots.words;
    const before = slots[place + CHILD] as number;
    if (before !== 0) slots[place + CHILD] = child;
    else this.#add(head || this.#begin(directory), name, child, place);
    return before;
  }

  /** Fills the empty place of a name, or of a directory that is as full as it may be another one. */
  #add(head: Head, name: number, child: number, empty: number): void {
    const heads = this.#heads.words;
    const count = (heads[head + COUNT] as number) + 1;
    const isFull = count * 4 > (heads[head + SLOTS] as number) * 3;
    if (isFull) this.#widen(head);
    heads[head + COUNT] = count;
    // The first entry's place was none of its directory's.
    const place = isFull || count === 1 ? this.#probe(head, name) : empty;
    const slots = this.#slots.words;
    slots[place + NAME] = name;
    slots[place + CHILD] = child;
  }

  /** Forgets what is known of a name. @returns what it led to, or 0. */
  remove(directory: number, name: Name): number {
    const head = this.#heads.of(directory);
    const place = this.#probe(head, name);
    const child = this.#slots.words[place + CHILD] as number;
    if (child === 0) return 0;
    this.#emptySlot(head, place);
    const heads = this.#heads.words;
    const count = (heads[head + COUNT] as number) - 1;
    heads[head + COUNT] = count;
    if (count === 0) this.#end(head);
    return child;
  }

  /** Forgets all that is known of a directory. @param visit - is told each entry's child. */
  clear(directory: number, visit: (child: number) => void): void {
    const head = this.#heads.of(directory);
    if (head === 0) return;
    const slots = this.#slots.words;
    for (let place = this.#start(head), end = this.#behind(head); place < end; place += SLOT_WORDS) {
      if (slots[place + NAME] !== 0) visit(slots[place + CHILD] as number);
    }
    this.#heads.words[head + COUNT] = 0;
    this.#end(head);
  }

  /** How many entries a directory has. */
  count(directory: number): number {
    return this.#heads.words[this.#heads.of(directory) + COUNT] as number;
  }

  /** The entries of a directory as they are now. */
  entries(directory: number): { readonly name: Name; readonly child: number }[] {
    const found: { readonly name: Name; readonly child: number }[] = [];
    const head = this.#heads.of(directory);
    if (head === 0) return found;
    const slots = this.#slots.words;
    for (let place = this.#start(head), end = this.#behind(head); place < end; place += SLOT_WORDS) {
      const name = slots[place + NAME] as Name;
      if (name !== 0) found.push({ name, child: slots[place + CHILD] as number });
    }
    return found;
  }

  /** Visits all entries of all directories. */
  visit(visit: (name: Name, child: number) => void): void {
    this.#heads.visit((head) => {
      for (const { name, child } of this.entries(this.#heads.words[head + DIRECTORY] as number)) visit(name, child);
    });
  }

  #start(head: Head): number {
    return this.#heads.words[head + START] as number;
  }
  /** Where a directory's block ends. */
  #behind(head: Head): number {
    return this.#start(head) + (this.#heads.words[head + SLOTS] as number) * SLOT_WORDS;
  }

  /** A directory gets its first block. */
  #begin(directory: number): Head {
    const head = this.#heads.add(directory);
    this.#heads.words[head + START] = this.#slots.take(FIRST_SLOTS);
    this.#heads.words[head + SLOTS] = FIRST_SLOTS;
    return head;
  }

  /** A directory has no entries any more. */
  #end(head: Head): void {
    this.#slots.give(this.#start(head), this.#heads.words[head + SLOTS] as number);
    this.#heads.end(head);
  }

  /** Empties a slot and moves later ones of the cluster up, so that no probe meets a gap before its entry. */
  #emptySlot(head: Head, place: number): void {
    const slots = this.#slots.words;
    const start = this.#start(head);
    const count = this.#heads.words[head + SLOTS] as number;
    let gap = (place - start) / SLOT_WORDS;
    for (let slot = gap + 1; ; slot++) {
      if (slot === count) slot = 0;
      const at = start + slot * SLOT_WORDS;
      const name = slots[at + NAME] as number;
      if (name === 0) break;
      if (stepsFrom(homeOf(name, count), slot, count) < stepsFrom(gap, slot, count)) continue;
      slots[start + gap * SLOT_WORDS + NAME] = name;
      slots[start + gap * SLOT_WORDS + CHILD] = slots[at + CHILD] as number;
      gap = slot;
    }
    slots[start + gap * SLOT_WORDS + NAME] = 0;
    slots[start + gap * SLOT_WORDS + CHILD] = 0;
  }

  /** Gives a directory a larger block. */
  #widen(head: Head): void {
    const start = this.#start(head);
    const end = this.#behind(head);
    const count = this.#heads.words[head + SLOTS] as number;
    this.#heads.words[head + START] = this.#slots.take(widerThan(count));
    this.#heads.words[head + SLOTS] = widerThan(count);
    const slots = this.#slots.words;
    for (let from = start; from < end; from += SLOT_WORDS) {
      const name = slots[from + NAME] as number;
      if (name === 0) continue;
      const to = this.#probe(head, name);
      slots[to + NAME] = name;
      slots[to + CHILD] = slots[from + CHILD] as number;
    }
    this.#slots.give(start, count);
  }

  /** Throws an InvariantError unless every entry is found by its key, and directories have as many as they count. */
  check(): void {
    this.#heads.visit((head) => {
      const directory = this.#heads.words[head + DIRECTORY] as number;
      const entries = this.entries(directory);
      for (const { name, child } of entries) {
        if (child === 0 || this.lookup(directory, name) !== child) {
          throw new InvariantError(`an entry of directory ${directory} is not found by its key`);
        }
      }
      const count = this.#heads.words[head + COUNT] as number;
      assert(count > 0 && count === entries.length, `directory ${directory} counts ${count} of ${entries.length} entries`);
    });
    this.#heads.check();
    assert(this.#slots.isNothingEmpty, "the table that nothing is in has an entry");
  }
}
