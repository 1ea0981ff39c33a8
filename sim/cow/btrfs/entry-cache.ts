/**
 * What names in directories lead to, as they were looked for last: the part of the kernel's dentry cache that saves a search of the tree.
 *
 * Interface: whoever changes an entry `put`s what is there now. Numbers of inodes and subvolumes are not given twice while a filesystem is mounted, so
 * that what is known of a directory that is gone does no harm.
 */
import type { Name } from "../../core/names.ts";
import type { InodeState } from "./inode-state.ts";
import type { DirEntry } from "./items.ts";

const PLACE_BITS = 11;
const PLACES: number = 2 ** PLACE_BITS;
/** 2^32 divided by the golden ratio spreads neighbouring numbers. */
const SPREAD = 0x9e3779b1;

export class EntryCache {
  /** By place: the directory's handle and the name. No handle is 0. */
  readonly #directories = new Float64Array(PLACES);
  readonly #names = new Int32Array(PLACES);
  readonly #entries: (DirEntry | undefined)[] = new Array<DirEntry | undefined>(PLACES).fill(undefined);
  /** What the name leads to that was asked for last; undefined where it is free. */
  found: DirEntry | undefined;

  /** Whether it is known what a name leads to: `found`. */
  knows(directory: InodeState, name: Name): boolean {
    const place = placeOf(directory, name);
    if (this.#directories[place] !== directory.handle || this.#names[place] !== name) return false;
    this.found = this.#entries[place];
    return true;
  }

  put(directory: InodeState, name: Name, entry: DirEntry | undefined): void {
    const place = placeOf(directory, name);
    this.#directories[place] = directory.handle;
    this.#names[place] = name;
    this.#entries[place] = entry;
  }
}

function placeOf(directory: InodeState, name: Name): number {
  return Math.imul(directory.ino ^ (directory.subvolume.id << 8) ^ name, SPREAD) >>> (32 - PLACE_BITS);
}
