/**
 * The directories of a dentry table that have entries: a head each, six words that say where its entries are; found by a hash of the
 * directory's number.
 *
 * Interface: a head stays where it is until its directory has no entries any more. NO_HEAD may be read as one of a directory without entries, so that
 * whoever looks for an entry need not ask whether there is a head.
 */
import { assert } from "../core/assert.ts";
import { roomFor } from "../core/growth.ts";
import { NOTHING_SLOTS } from "./slot-blocks.ts";

/** The place of a head's words; NO_HEAD: the directory has no entries. */
export type Head = number;
const NO_HEAD: Head = 0;

// The words of a head
/** Of a free head: the next free one. */
export const DIRECTORY = 0;
/** The rows of its oldest and its newest entry. */
export const FIRST = 1;
export const LAST = 2;
/** How many entries it has. */
export const COUNT = 3;
/** Where its block of slots begins. */
export const START = 4;
/** How many slots the block has. */
export const SLOTS = 5;
const HEAD_WORDS = 6;

const FIRST_HEADS = 4;
const FIRST_DIRECTORIES = 8;
const PRIME = 0x9e3779b1;

export class DentryHeads {
  /** All heads' words. */
  words: Uint32Array = new Uint32Array(FIRST_HEADS * HEAD_WORDS);
  #end: Head = HEAD_WORDS;
  #free: Head = NO_HEAD;
  /** The heads by a hash of their directories, with open addressing; NO_HEAD: an empty place. */
  #places = new Uint32Array(FIRST_DIRECTORIES);
  #count = 0;
  /** What was asked for last: calls come in runs to one directory. */
  #lastDirectory = 0;
  #lastHead: Head = NO_HEAD;

  constructor() {
    this.words[NO_HEAD + SLOTS] = NOTHING_SLOTS;
  }

  /** The directory's head, or NO_HEAD. */
  of(directory: number): Head {
    if (directory === this.#lastDirectory) return this.#lastHead;
    const head = this.#places[this.#placeOf(directory)] as number;
    this.#lastDirectory = directory;
    this.#lastHead = head;
    return head;
  }

  /** Where in #places a directory is, or would be. */
  #placeOf(directory: number): number {
    const mask = this.#places.length - 1;
    let place = this.#homeOf(directory);
    for (let head = this.#places[place] as number; head !== NO_HEAD; head = this.#places[place] as number) {
      if (this.words[head + DIRECTORY] === directory) break;
      place = (place + 1) & mask;
    }
    return place;
  }

  #homeOf(directory: number): number {
    const hash = Math.imul(directory, PRIME);
    return (hash ^ (hash >>> 16)) & (this.#places.length - 1);
  }

  /** Makes the head of a directory that has none: no entries, no block. */
  add(directory: number): Head {
    if ((this.#count + 1) * 4 > this.#places.length * 3) this.#growPlaces();
    let head = this.#free;
    if (head !== NO_HEAD) this.#free = this.words[head + DIRECTORY] as number;
    else {
      head = this.#end;
      this.#end = head + HEAD_WORDS;
      if (this.#end > this.words.length) this.#growWords();
    }
    this.words[head + DIRECTORY] = directory;
    this.#places[this.#placeOf(directory)] = head;
    this.#count += 1;
    this.#lastDirectory = directory;
    this.#lastHead = head;
    return head;
  }

  /** Ends the head of a directory that has no entries any more. */
  end(head: Head): void {
    const { words } = this;
    const places = this.#places;
    const mask = places.length - 1;
    // Later ones of the cluster move up, so that no search meets a gap before its head.
    let gap = this.#placeOf(words[head + DIRECTORY] as number);
    for (let place = (gap + 1) & mask; places[place] !== NO_HEAD; place = (place + 1) & mask) {
      const home = this.#homeOf(words[(places[place] as number) + DIRECTORY] as number);
      if (((place - home) & mask) < ((place - gap) & mask)) continue;
      places[gap] = places[place] as number;
      gap = place;
    }
    places[gap] = NO_HEAD;
    words[head + DIRECTORY] = this.#free;
    this.#free = head;
    this.#count -= 1;
    this.#lastDirectory = 0;
    this.#lastHead = NO_HEAD;
  }

  visit(visit: (head: Head) => void): void {
    for (const head of this.#places) if (head !== NO_HEAD) visit(head);
  }

  #growWords(): void {
    const words = new Uint32Array(roomFor(this.words.length / HEAD_WORDS) * HEAD_WORDS);
    words.set(this.words);
    this.words = words;
  }

  #growPlaces(): void {
    const before = this.#places;
    this.#places = new Uint32Array(before.length * 2);
    for (const head of before) if (head !== NO_HEAD) this.#places[this.#placeOf(this.words[head + DIRECTORY] as number)] = head;
  }

  /** Throws an InvariantError unless every head is found by its directory, and they are as many as counted. */
  check(): void {
    let count = 0;
    this.visit((head) => {
      const directory = this.words[head + DIRECTORY] as number;
      assert(this.#places[this.#placeOf(directory)] === head, `directory ${directory} is not found`);
      count += 1;
    });
    assert(count === this.#count, `${this.#count} directories with dentries are counted, ${count} found`);
  }
}
