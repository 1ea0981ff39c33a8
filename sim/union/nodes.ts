/**
 * The inodes and directory entries of one union mount: rows of typed columns, about 60 bytes for an inode with one name.
 *
 * Words: a *node* is an inode of the union, a whole number from 1 (the root) on; its *upper* is the writable layer's inode, its *lower* a node of
 * the LowerView. A *negative* entry is a name known to be absent; WHITEOUT_ENTRY is one that a whiteout of the upper layer covers.
 *
 * Interface: a node lives while an entry leads to it, someone holds it, or it is the root. An upper inode that loses its name while its
 * node is held is held in its own filesystem too, so that an open, unlinked file keeps its data.
 */
import { assert } from "../core/assert.ts";
import type { Name } from "../core/names.ts";
import { DentryTable } from "../vfs/dentry-table.ts";
import type { Inode } from "../vfs/filesystem.ts";
import type { ViewNode } from "./lower-view.ts";

/** The number of an inode of a union. */
export type Node = number;

export const ROOT_NODE: Node = 1;
/** An entry's child where the name is absent. */
export const NEGATIVE_ENTRY = 0xffff_ffff;
/** An entry's child where the name is absent because the upper layer has a whiteout. */
export const WHITEOUT_ENTRY = 0xffff_fffe;
/** What `upper` holds for a node without an upper inode. */
export const NO_UPPER = -1;

// Flags of a node
export const IS_DIRECTORY: number = 1 << 0;
/** An upper directory that hides what lies below (its xattr says so). */
export const IS_OPAQUE: number = 1 << 1;
/** An upper directory that may hold copied-up entries (its xattr says so). */
export const IS_IMPURE: number = 1 << 2;
/** Its lower tells st_ino, over copy-up and rename. */
export const HAS_ORIGIN: number = 1 << 3;
/** Its upper inode is held in the upper filesystem. */
export const HOLDS_UPPER: number = 1 << 4;
/** It is found by its upper or lower inode, since it has several names there. */
export const IS_SHARED: number = 1 << 5;
/** It carries a redirect. */
export const HAS_REDIRECT: number = 1 << 6;
/** Its upper inode has no data yet. */
export const IS_METACOPY: number = 1 << 7;
/** Its upper inode is a hard link of one in the index. */
export const IS_INDEXED: number = 1 << 8;
/** Its last name is gone. */
export const IS_UNLINKED: number = 1 << 9;

const FIRST_ROWS = 16;

export class UnionNodes {
  readonly dentries: DentryTable = new DentryTable();
  upper: Float64Array<ArrayBuffer> = new Float64Array(FIRST_ROWS);
  lower: Uint32Array<ArrayBuffer> = new Uint32Array(FIRST_ROWS);
  /** The directory and the name under which the node was last found: exact for directories. Of a free row, the next free one. */
  parent: Uint32Array<ArrayBuffer> = new Uint32Array(FIRST_ROWS);
  name: Uint32Array<ArrayBuffer> = new Uint32Array(FIRST_ROWS);
  /** How many entries lead to it. */
  entries: Uint32Array<ArrayBuffer> = new Uint32Array(FIRST_ROWS);
  holds: Uint32Array<ArrayBuffer> = new Uint32Array(FIRST_ROWS);
  flags: Uint16Array<ArrayBuffer> = new Uint16Array(FIRST_ROWS);
  #end = 1;
  #free = 0;
  #live = 0;

  /** How many nodes there are. */
  get size(): number {
    return this.#live;
  }
  /** Rows ever used are 1 … end - 1. */
  get end(): number {
    return this.#end;
  }

  upperOf(node: Node): Inode {
    return this.upper[node] as Inode;
  }
  hasUpper(node: Node): boolean {
    return (this.upper[node] as number) >= 0;
  }
  lowerOf(node: Node): ViewNode {
    return this.lower[node] as number;
  }
  parentOf(node: Node): Node {
    return this.parent[node] as number;
  }
  nameOf(node: Node): Name {
    return this.name[node] as Name;
  }
  entriesOf(node: Node): number {
    return this.entries[node] as number;
  }
  holdsOf(node: Node): number {
    return this.holds[node] as number;
  }
  has(node: Node, flag: number): boolean {
    return ((this.flags[node] as number) & flag) !== 0;
  }
  set(node: Node, flag: number): void {
    this.flags[node] = (this.flags[node] as number) | flag;
  }
  clear(node: Node, flag: number): void {
    this.flags[node] = (this.flags[node] as number) & ~flag;
  }

  /** A new node without entries. */
  add(upper: number, lower: ViewNode, flags: number): Node {
    let node = this.#free;
    if (node !== 0) this.#free = this.parent[node] as number;
    else {
      node = this.#end++;
      if (node === this.upper.length) this.#grow();
    }
    this.upper[node] = upper;
    this.lower[node] = lower;
    this.parent[node] = 0;
    this.name[node] = 0;
    this.entries[node] = 0;
    this.holds[node] = 0;
    this.flags[node] = flags;
    this.#live += 1;
    return node;
  }

  /** Ends a node that nothing leads to. */
  free(node: Node): void {
    assert(this.entries[node] === 0 && this.holds[node] === 0, `node ${node} is in use`);
    this.flags[node] = 0;
    this.upper[node] = NO_UPPER;
    this.lower[node] = 0;
    this.parent[node] = this.#free;
    this.#free = node;
    this.#live -= 1;
  }

  /** Makes an entry lead to a node; an entry of this name is replaced, and must have been negative. */
  enter(directory: Node, name: Name, node: Node): void {
    const row = this.dentries.find(directory, name);
    if (row === 0) this.dentries.insert(directory, name, node);
    else this.dentries.replace(row, node);
    this.entries[node] = (this.entries[node] as number) + 1;
    this.parent[node] = directory;
    this.name[node] = name;
  }

  /** Notes under which of its names a node was met last. */
  seeAs(node: Node, directory: Node, name: Name): void {
    this.parent[node] = directory;
    this.name[node] = name;
  }

  /** Makes an entry negative: `as` is NEGATIVE_ENTRY or WHITEOUT_ENTRY. The node it led to has one entry less. */
  leave(directory: Node, name: Name, as: number): void {
    const row = this.dentries.find(directory, name);
    if (row === 0) {
      this.dentries.insert(directory, name, as);
      return;
    }
    const node = this.dentries.child(row);
    this.dentries.replace(row, as);
    if (node < WHITEOUT_ENTRY) this.entries[node] = (this.entries[node] as number) - 1;
  }

  /** Forgets the negative entries of a directory that goes. */
  forgetEntries(directory: Node): void {
    for (let row = this.dentries.first(directory); row !== 0; row = this.dentries.first(directory)) {
      assert(this.dentries.child(row) >= WHITEOUT_ENTRY, `directory ${directory} goes with an entry`);
      this.dentries.remove(row);
    }
  }

  #grow(): void {
    const length = Math.ceil(this.upper.length * 1.5);
    const upper = new Float64Array(length);
    upper.set(this.upper);
    this.upper = upper;
    const flags = new Uint16Array(length);
    flags.set(this.flags);
    this.flags = flags;
    this.lower = grown(this.lower, length);
    this.parent = grown(this.parent, length);
    this.name = grown(this.name, length);
    this.entries = grown(this.entries, length);
    this.holds = grown(this.holds, length);
  }
}

function grown(column: Uint32Array<ArrayBuffer>, length: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(length);
  larger.set(column);
  return larger;
}
