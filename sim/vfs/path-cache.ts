/**
 * Whole paths that a task has walked, so that walking one again is one look at the inode it led to.
 *
 * Interface: only walks that a later one must repeat step by step are kept: from the root of one mount without others in it, without symbolic
 * links or "..", by somebody who may search any directory. What is kept is believed only while the filesystem says so (`WalkedPaths`); there is
 * nothing to be told when files come and go. At most 229,376 paths, 27 to 55 bytes each beside their text, then it begins anew.
 */
import type { Name } from "../core/names.ts";
import type { Inode, WalkedPaths } from "./filesystem.ts";

const UNKNOWN = 0 as Inode;
const SLOTS_FIRST = 64;
const SLOTS_MAX = 2 ** 18;
/** Of so many units at a path's end each is part of its hash, of those before about eight. */
const TAIL_UNITS = 16;
const PRIME = 0x01000193;

/** The words of a slot: the path's hash, what it led to, and the directory and name of its last step. */
const WORDS = 4;
const HASH = 0;
const INODE = 1;
const DIRECTORY = 2;
const NAME = 3;

function hashOf(path: string): number {
  let hash = path.length;
  let at = path.length - 1;
  const tail = Math.max(0, path.length - TAIL_UNITS);
  for (; at >= tail; at--) hash = Math.imul(hash ^ path.charCodeAt(at), PRIME);
  for (const step = (tail >> 3) + 1; at >= 0; at -= step) hash = Math.imul(hash ^ path.charCodeAt(at), PRIME);
  return hash ^ (hash >>> 15);
}

export class PathCache {
  /** An open-addressed table; a slot whose DIRECTORY is 0 is empty. */
  #rows = new Int32Array(0);
  /** The text of each slot. */
  #paths: string[] = [];
  #mask = -1;
  #used = 0;
  /** The filesystem's epoch when the first path was kept. */
  #epoch = 0;

  /** Where a path leads. @returns 0 when it must be walked. */
  find(path: string, walked: WalkedPaths): Inode {
    if (this.#used === 0 || this.#epoch !== walked.epoch) return UNKNOWN;
    const at = this.#probe(path, hashOf(path)) * WORDS;
    const rows = this.#rows;
    const directory = rows[at + DIRECTORY] as number as Inode;
    const inode = rows[at + INODE] as number as Inode;
    return directory !== 0 && walked.isAt(inode, directory, rows[at + NAME] as number as Name) ? inode : UNKNOWN;
  }

  /** Keeps where a path led by its last step: from a directory, by a name. */
  keep(path: string, inode: Inode, step: { directory: Inode; name: Name; epoch: number }): void {
    const isFull = this.#used * 8 >= this.#paths.length * 7;
    if (this.#epoch !== step.epoch || (isFull && this.#paths.length === SLOTS_MAX)) this.clear();
    if (this.#used * 8 >= this.#paths.length * 7) this.#grow();
    this.#epoch = step.epoch;
    const hash = hashOf(path);
    const slot = this.#probe(path, hash);
    const rows = this.#rows;
    const at = slot * WORDS;
    if (rows[at + DIRECTORY] === 0) this.#used += 1;
    this.#paths[slot] = path;
    rows[at + HASH] = hash;
    rows[at + INODE] = inode;
    rows[at + DIRECTORY] = step.directory;
    rows[at + NAME] = step.name;
  }

  /** Forgets everything. */
  clear(): void {
    if (this.#used === 0) return;
    this.#rows = new Int32Array(0);
    this.#paths = [];
    this.#mask = -1;
    this.#used = 0;
  }

  /** The slot of a path, or the empty one where it would be. */
  #probe(path: string, hash: number): number {
    const rows = this.#rows;
    const mask = this.#mask;
    let slot = hash & mask;
    while (rows[slot * WORDS + DIRECTORY] !== 0 && (rows[slot * WORDS + HASH] !== hash || this.#paths[slot] !== path)) {
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  #grow(): void {
    const paths = this.#paths;
    const rows = this.#rows;
    const slots = paths.length === 0 ? SLOTS_FIRST : paths.length * 2;
    this.#paths = new Array<string>(slots).fill("");
    this.#rows = new Int32Array(slots * WORDS);
    this.#mask = slots - 1;
    for (let slot = 0; slot < paths.length; slot++) {
      const at = slot * WORDS;
      if (rows[at + DIRECTORY] === 0) continue;
      const path = paths[slot] as string;
      const place = this.#probe(path, rows[at + HASH] as number);
      this.#paths[place] = path;
      for (let word = 0; word < WORDS; word++) this.#rows[place * WORDS + word] = rows[at + word] as number;
    }
  }
}
