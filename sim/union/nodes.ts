/**
 * The inodes and directory entries of one union mount: rows of words, about 50 bytes for an inode with one name.
 *
 * Words: a *node* is an inode of the union, a whole number from 1 (the root) on; its *upper* is the writable layer's inode, its *lower* a node of
 * the LowerView. A *negative* entry is a name known to be absent; WHITEOUT_ENTRY is one that a whiteout of the upper layer covers.
 *
 * Interface: a node lives while an entry leads to it, someone holds it, or it is the root. An upper inode that loses its name while its
 * node is held is held in its own filesystem too, so that an open, unlinked file keeps its data.
 */
import { assert, InvariantError } from "../core/assert.ts";
import { roomFor } from "../core/growth.ts";
import type { Name, NameTable } from "../core/names.ts";
import { EntryMap } from "../vfs/entry-map.ts";
import { type FileSystem, type Inode, S_IFLNK, S_IFMT, type WalkedPaths } from "../vfs/filesystem.ts";
import type { ViewNode } from "./view-nodes.ts";

/** The number of an inode of a union. */
export type Node = number;

/** No inode: where a name would be that is gone. */
export const NO_NODE: Node = 0;
export const ROOT_NODE: Node = 1;
// Greater than any node, and small integers, which take no object of their own.
/** An entry's child where the name is absent. */
export const NEGATIVE_ENTRY = 0x7fff_ffff;
/** An entry's child where the name is absent because the upper layer has a whiteout. */
export const WHITEOUT_ENTRY = 0x7fff_fffe;
/** What `add` takes for a node without an upper inode. */
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
/** A file whose data are in a lower layer than its attributes. */
export const IS_STACKED: number = 1 << 10;
/** The type bits of its mode, which never change: S_IFMT shifted. */
const TYPE_SHIFT = 1;
const TYPE: number = S_IFMT >>> TYPE_SHIFT;
/** It has an inode on the upper layer. */
const HAS_UPPER = 1 << 15;

/** Of the word of flags: where the layer begins that shows the node. */
const LAYER_SHIFT = 16;
const FLAG_BITS = 0xffff;

const FIRST_ROWS = 16;

/** The words of a row. What a path walk and stat ask is one row, so that they touch one place of memory. */
const WIDTH = 8;
/** The inode that shows the node, two words: a double, at REAL / 2 of the row. */
const REAL = 0;
const LOWER = 2;
/** The flags, and from LAYER_SHIFT on the layer of REAL. */
const FLAGS = 3;
/** The directory and the name under which the node was last found: exact for directories. Of a free row, the next free one. */
const PARENT = 4;
const NAME = 5;
/** How many entries lead to it. */
const ENTRIES = 6;
const HOLDS = 7;

/** What the nodes ask of the view below: where a view node shows. */
interface LowerPlaces {
  layerOf(node: ViewNode): number;
  inodeOf(node: ViewNode): Inode;
  depthOf(node: ViewNode): number;
}

/** What the nodes ask of the mount that they belong to. */
interface NodeOwner {
  /** The filesystem of a node's upper inode. */
  upperFsOf(node: Node): FileSystem;
  /** Flags of nodes of which the mount keeps more than the row. */
  readonly remembered: number;
  /** Such a node is about to end. */
  forget(node: Node): void;
}

export class UnionNodes implements WalkedPaths {
  epoch = 0;
  readonly dentries: EntryMap = new EntryMap();
  readonly #view: LowerPlaces;
  readonly #owner: NodeOwner;
  #words = new Uint32Array(FIRST_ROWS * WIDTH);
  /** The same memory as doubles. */
  #doubles = new Float64Array(this.#words.buffer);
  #end = 1;
  #free = 0;

  /** @param view - what its `lower` nodes are nodes of. */
  constructor(view: LowerPlaces, owner: NodeOwner) {
    this.#view = view;
    this.#owner = owner;
  }

  /** Rows ever used are 1 … end - 1. */
  get end(): number {
    return this.#end;
  }

  /** The inode that shows the node: the upper one, or the topmost layer's below. */
  realOf(node: Node): Inode {
    return this.#doubles[(node * WIDTH + REAL) / 2] as Inode;
  }
  /** Its flags as one number. */
  flagsOf(node: Node): number {
    return this.#words[node * WIDTH + FLAGS] as number;
  }
  /** The layer of `realOf`: an index into the view's layers, or of a node with an upper inode into the upper ones, of which overlayfs has one. */
  layerOf(node: Node): number {
    return (this.#words[node * WIDTH + FLAGS] as number) >>> LAYER_SHIFT;
  }
  hasUpper(node: Node): boolean {
    return this.has(node, HAS_UPPER);
  }
  /** Precondition: it has one. */
  upperOf(node: Node): Inode {
    return this.realOf(node);
  }
  lowerOf(node: Node): ViewNode {
    return this.#words[node * WIDTH + LOWER] as number;
  }
  parentOf(node: Node): Node {
    return this.#words[node * WIDTH + PARENT] as number;
  }
  nameOf(node: Node): Name {
    return this.#words[node * WIDTH + NAME] as Name;
  }
  entriesOf(node: Node): number {
    return this.#words[node * WIDTH + ENTRIES] as number;
  }
  holdsOf(node: Node): number {
    return this.#words[node * WIDTH + HOLDS] as number;
  }
  has(node: Node, flag: number): boolean {
    return ((this.#words[node * WIDTH + FLAGS] as number) & flag) !== 0;
  }
  set(node: Node, flag: number): void {
    const at = node * WIDTH + FLAGS;
    this.#words[at] = (this.#words[at] as number) | flag;
  }
  clear(node: Node, flag: number): void {
    const at = node * WIDTH + FLAGS;
    this.#words[at] = (this.#words[at] as number) & ~flag;
  }
  /** The type bits of its mode. */
  typeOf(node: Node): number {
    return ((this.#words[node * WIDTH + FLAGS] as number) & TYPE) << TYPE_SHIFT;
  }
  /** Notes the type of a new node. */
  setType(node: Node, mode: number): void {
    this.set(node, (mode & S_IFMT) >>> TYPE_SHIFT);
  }
  /** Puts a node on an upper layer, or on another inode there. */
  setUpper(node: Node, upper: Inode, layer = 0): void {
    this.#doubles[(node * WIDTH + REAL) / 2] = upper;
    const at = node * WIDTH + FLAGS;
    this.#words[at] = ((this.#words[at] as number) & FLAG_BITS & ~IS_STACKED) | HAS_UPPER | (layer << LAYER_SHIFT);
  }

  /** Lets the view alone show a node, by one of its own. */
  showLower(node: Node, lower: ViewNode): void {
    const at = node * WIDTH;
    this.#words[at + LOWER] = lower;
    this.#doubles[at / 2] = this.#view.inodeOf(lower);
    const flags = (this.#words[at + FLAGS] as number) & FLAG_BITS & ~HAS_UPPER;
    this.#words[at + FLAGS] = flags | (this.#view.layerOf(lower) << LAYER_SHIFT);
  }

  /** Parts a node from what is below it. Precondition: it is on the upper layer. */
  forgetLower(node: Node): void {
    assert(this.hasUpper(node), `node ${node} would be on no layer`);
    this.#words[node * WIDTH + LOWER] = 0;
  }

  /** Puts another node of the view below a node that is on the upper layer, or below one that the same inode still shows. */
  setLower(node: Node, lower: ViewNode): void {
    this.#words[node * WIDTH + LOWER] = lower;
  }

  /** A new node without entries. @param upper - NO_UPPER: what `lower` shows is it. @param layer - the upper layer that has it. */
  add(upper: number, lower: ViewNode, flags: number, layer = 0): Node {
    let node = this.#free;
    if (node !== 0) this.#free = this.parentOf(node);
    else {
      node = this.#end++;
      if (node * WIDTH === this.#words.length) this.#grow();
    }
    const words = this.#words;
    const at = node * WIDTH;
    words[at + LOWER] = lower;
    words[at + PARENT] = 0;
    words[at + NAME] = 0;
    words[at + ENTRIES] = 0;
    words[at + HOLDS] = 0;
    if (upper !== NO_UPPER) {
      this.#doubles[at / 2] = upper;
      words[at + FLAGS] = flags | HAS_UPPER | (layer << LAYER_SHIFT);
    } else {
      const view = this.#view;
      const stacked = (flags & IS_DIRECTORY) === 0 && view.depthOf(lower) > 1 ? IS_STACKED : 0;
      this.#doubles[at / 2] = view.inodeOf(lower);
      words[at + FLAGS] = flags | stacked | (view.layerOf(lower) << LAYER_SHIFT);
    }
    return node;
  }

  /** Someone needs the node for a while, under a name or without one. */
  hold(node: Node): void {
    this.#words[node * WIDTH + HOLDS] = this.holdsOf(node) + 1;
  }

  /** Ends a hold, and with the last one a node without a name. */
  drop(node: Node): void {
    const holds = this.holdsOf(node) - 1;
    this.#words[node * WIDTH + HOLDS] = holds;
    if (holds === 0 && this.entriesOf(node) === 0 && node !== ROOT_NODE) this.#finish(node);
  }

  /** Keeps a held node's upper inode alive, since its name is about to go. */
  beforeLoss(node: Node): void {
    if (this.holdsOf(node) === 0 || !this.hasUpper(node) || this.has(node, HOLDS_UPPER)) return;
    this.#owner.upperFsOf(node).hold(this.upperOf(node));
    this.set(node, HOLDS_UPPER);
  }

  /** Ends a node that lost its last entry, unless it is held. */
  afterLoss(node: Node): void {
    if (this.entriesOf(node) !== 0) return;
    this.set(node, IS_UNLINKED);
    if (this.has(node, IS_DIRECTORY)) this.forgetEntries(node);
    if (this.holdsOf(node) === 0) this.#finish(node);
  }

  #finish(node: Node): void {
    const flags = this.flagsOf(node);
    if ((flags & IS_DIRECTORY) !== 0) this.forgetEntries(node);
    if ((flags & HOLDS_UPPER) !== 0) this.#owner.upperFsOf(node).drop(this.upperOf(node));
    if ((flags & this.#owner.remembered) !== 0) this.#owner.forget(node);
    this.free(node);
  }

  /** Ends a node that nothing leads to. */
  free(node: Node): void {
    if (this.entriesOf(node) > 0 || this.holdsOf(node) > 0) throw new InvariantError(`node ${node} is in use`);
    const at = node * WIDTH;
    this.#words[at + FLAGS] = 0;
    this.#words[at + LOWER] = 0;
    this.#words[at + PARENT] = this.#free;
    this.#free = node;
  }

  /** Makes an entry lead to a node; an entry of this name is replaced, and must have been negative. */
  enter(directory: Node, name: Name, node: Node): void {
    this.dentries.put(directory, name, node);
    this.#words[node * WIDTH + ENTRIES] = this.entriesOf(node) + 1;
    // Of several names, the one that went was the only one met so far.
    this.clear(node, IS_UNLINKED);
    this.seeAs(node, directory, name);
  }

  isAt(node: Node, directory: Node, name: Name): boolean {
    const words = this.#words;
    const at = node * WIDTH;
    if (words[at + PARENT] !== directory || words[at + NAME] !== name || words[at + ENTRIES] === 0) return false;
    return ((words[at + FLAGS] as number) & TYPE) !== S_IFLNK >>> TYPE_SHIFT;
  }

  /** A node has lost an entry: what was walked through it, or ended at it by another name, is in doubt. */
  #lose(node: Node): void {
    const at = node * WIDTH;
    const left = (this.#words[at + ENTRIES] as number) - 1;
    this.#words[at + ENTRIES] = left;
    if (left > 0 || this.has(node, IS_DIRECTORY)) this.epoch = (this.epoch + 1) | 0;
  }

  /** Notes under which of its names a node was met last. */
  seeAs(node: Node, directory: Node, name: Name): void {
    this.#words[node * WIDTH + PARENT] = directory;
    this.#words[node * WIDTH + NAME] = name;
  }

  /** Notes that a name is absent: `as` is NEGATIVE_ENTRY or WHITEOUT_ENTRY. Precondition: it has no entry. @returns the entry. */
  noteAbsent(directory: Node, name: Name, as: number): number {
    this.dentries.put(directory, name, as);
    return as;
  }

  /** Makes an entry negative: `as` is NEGATIVE_ENTRY or WHITEOUT_ENTRY. The node it led to has one entry less. */
  leave(directory: Node, name: Name, as: number): void {
    const node = this.dentries.put(directory, name, as);
    if (node !== 0 && node < WHITEOUT_ENTRY) this.#lose(node);
  }

  /** Ends an entry: what is at the name now is found out when it is asked for. The node it led to has one entry less. */
  forget(directory: Node, name: Name): void {
    const node = this.dentries.remove(directory, name);
    if (node !== 0 && node < WHITEOUT_ENTRY) this.#lose(node);
  }

  /** Puts the entry of a name under another one, in the place of what is there. */
  moveEntry(directory: Node, name: Name, toDirectory: Node, toName: Name): void {
    const node = this.dentries.remove(directory, name);
    if (node === 0 || node >= WHITEOUT_ENTRY) throw new InvariantError(`directory ${directory} has no entry to move`);
    const replaced = this.dentries.put(toDirectory, toName, node);
    if (replaced !== 0 && replaced < WHITEOUT_ENTRY) this.#lose(replaced);
    if (this.has(node, IS_DIRECTORY)) this.epoch = (this.epoch + 1) | 0;
    this.seeAs(node, toDirectory, toName);
  }

  /** Forgets the negative entries of a directory that goes. */
  forgetEntries(directory: Node): void {
    this.dentries.clear(directory, (child) => assert(child >= WHITEOUT_ENTRY, `directory ${directory} goes with an entry`));
  }

  /** Where a node was last found, for events and logs. */
  pathOf(node: Node, names: NameTable): string {
    let path = "";
    for (let at = node; at !== ROOT_NODE && at !== NO_NODE; at = this.parentOf(at))
      path = `/${names.text(this.nameOf(at))}${path}`;
    return path === "" ? "/" : path;
  }

  /** Makes the root's only entry the root itself. */
  enterRoot(node: Node): void {
    this.#words[node * WIDTH + PARENT] = node;
    this.#words[node * WIDTH + ENTRIES] = 1;
  }

  #grow(): void {
    const words = new Uint32Array(roomFor(this.#words.length / WIDTH) * WIDTH);
    words.set(this.#words);
    this.#words = words;
    this.#doubles = new Float64Array(words.buffer);
  }
}
