/**
 * A device's mappings in memory alone: a tree of 256 children a node, which snapshots share and which copies its way when it is changed.
 *
 * Interface:
 * - Nodes count who points to them. Copying a node that is shared gives what it points to one reference more each, and at its leaves the
 *   data blocks: a data block's count is the number of leaves that have it, as in the trees on a device.
 * - A leaf has as many entries as fit 8 bits; most have one time, and no list of times.
 */
import type { MappingRun } from "./model.ts";

const FAN = 256;
const UNMAPPED = 0xffffffff;
/** The most data blocks that can be told apart. */
export const COUNTED_BLOCKS_MAX: number = UNMAPPED;

export class CountedLeaf {
  references = 1;
  used = 0;
  blocks: Uint32Array;
  /** When all were mapped, where there is no list of times. */
  time = 0;
  times: Uint32Array | undefined;

  constructor(blocks: Uint32Array = new Uint32Array(FAN).fill(UNMAPPED)) {
    this.blocks = blocks;
  }
}

class Inner {
  references = 1;
  readonly children: (CountedLeaf | Inner | undefined)[];

  constructor(children: (CountedLeaf | Inner | undefined)[]) {
    this.children = children;
  }
}

/** Counts the data blocks that leaves have. */
export interface LeafCounts {
  inc(begin: number, end: number): void;
  dec(begin: number, end: number): unknown;
}

/** One device's tree; snapshots have maps of their own over the same nodes. */
export class CountedMap {
  readonly #space: LeafCounts;
  #root: CountedLeaf | Inner;
  /** Inner nodes from the root to a leaf. */
  #height: number;
  /** Keys below one child of the root. */
  #span: number;
  /** Whether the leaf that `leafOf` gave last, and its way, is this map's alone: it may be changed as it is. */
  isOwn = false;

  constructor(space: LeafCounts, origin?: CountedMap) {
    this.#space = space;
    this.#root = origin === undefined ? new CountedLeaf() : origin.#root;
    this.#height = origin === undefined ? 0 : origin.#height;
    this.#span = FAN ** this.#height;
    if (origin !== undefined) this.#root.references += 1;
  }

  /** The leaf of a key; undefined where there is none. */
  leafOf(key: number): CountedLeaf | undefined {
    let node: CountedLeaf | Inner | undefined = this.#root;
    this.isOwn = false;
    if (key >= FAN * this.#span) return undefined;
    let isOwn = node.references === 1;
    for (let span = this.#span; node instanceof Inner; span /= FAN) {
      node = node.children[Math.floor(key / span) & (FAN - 1)];
      if (node === undefined) return undefined;
      isOwn &&= node.references === 1;
    }
    this.isOwn = isOwn;
    return node;
  }

  /** The leaf of a key, to be changed: this map's alone, and there. */
  ownLeaf(key: number): CountedLeaf {
    while (key >= FAN * this.#span) {
      const above = new Inner(new Array(FAN).fill(undefined));
      above.children[0] = this.#root;
      this.#root = above;
      this.#height += 1;
      this.#span *= FAN;
    }
    this.#root = this.#own(this.#root);
    let node = this.#root;
    for (let level = this.#height, span = this.#span; node instanceof Inner; level--, span /= FAN) {
      const index = Math.floor(key / span) & (FAN - 1);
      const child = node.children[index];
      const own = child === undefined ? emptyNode(level - 1) : this.#own(child);
      node.children[index] = own;
      node = own;
    }
    return node;
  }

  #own<Node extends CountedLeaf | Inner>(node: Node): Node;
  #own(node: CountedLeaf | Inner): CountedLeaf | Inner {
    if (node.references === 1) return node;
    node.references -= 1;
    if (node instanceof Inner) {
      for (const child of node.children) if (child !== undefined) child.references += 1;
      return new Inner(node.children.slice());
    }
    const copy = new CountedLeaf(node.blocks.slice());
    copy.used = node.used;
    copy.time = node.time;
    copy.times = node.times?.slice();
    for (const block of copy.blocks) if (block !== UNMAPPED) this.#space.inc(block, block + 1);
    return copy;
  }

  /** The data block of a key in a leaf; undefined where it is not mapped. */
  static blockIn(leaf: CountedLeaf, key: number): number | undefined {
    const block = leaf.blocks[key % FAN] as number;
    return block === UNMAPPED ? undefined : block;
  }

  static timeIn(leaf: CountedLeaf, key: number): number {
    return leaf.times === undefined ? leaf.time : (leaf.times[key % FAN] as number);
  }

  /** Maps a key in a leaf that is this map's alone. @returns whether it was not mapped. */
  put(leaf: CountedLeaf, key: number, block: number, time: number): boolean {
    const index = key % FAN;
    const old = leaf.blocks[index] as number;
    if (leaf.used === 0) leaf.time = time;
    else if (leaf.times === undefined && leaf.time !== time) leaf.times = new Uint32Array(FAN).fill(leaf.time);
    if (leaf.times !== undefined) leaf.times[index] = time;
    leaf.blocks[index] = block;
    if (old === UNMAPPED) leaf.used += 1;
    else this.#space.dec(old, old + 1);
    return old === UNMAPPED;
  }

  /** Unmaps [begin, end). @returns how many keys were mapped. */
  remove(begin: number, end: number): number {
    let removed = 0;
    for (let key = this.next(begin); key >= 0 && key < end; key = this.next(key)) {
      const leaf = this.ownLeaf(key);
      for (; key < end; key++) {
        const index = key % FAN;
        const block = leaf.blocks[index] as number;
        if (block !== UNMAPPED) {
          this.#space.dec(block, block + 1);
          leaf.blocks[index] = UNMAPPED;
          leaf.used -= 1;
          removed += 1;
        }
        if (index === FAN - 1) {
          key += 1;
          break;
        }
      }
      if (leaf.used === 0) leaf.times = undefined;
    }
    return removed;
  }

  /** The lowest mapped key from `from` on; -1 when there is none. */
  next(from: number): number {
    if (from >= FAN * this.#span) return -1;
    return next(this.#root, this.#height, from);
  }

  /** The highest mapped key; undefined for an empty map. */
  highest(): number | undefined {
    const key = highest(this.#root, this.#height);
    return key < 0 ? undefined : key;
  }

  /** The mappings as runs, in the order of the keys. O(mappings). */
  runs(): readonly MappingRun[] {
    const runs: { origin: number; data: number; length: number; time: number }[] = [];
    for (let key = this.next(0); key >= 0; key = this.next(key + 1)) {
      const leaf = this.leafOf(key) as CountedLeaf;
      const data = CountedMap.blockIn(leaf, key) as number;
      const time = CountedMap.timeIn(leaf, key);
      const last = runs.at(-1);
      if (last?.time === time && last.origin + last.length === key && last.data + last.length === data) last.length += 1;
      else runs.push({ origin: key, data, length: 1, time });
    }
    return runs;
  }

  /** Gives the map up: nodes that nobody else points to, and their blocks. O(its own nodes). */
  release(): void {
    this.#release(this.#root);
  }

  #release(node: CountedLeaf | Inner): void {
    node.references -= 1;
    if (node.references > 0) return;
    if (node instanceof Inner) {
      for (const child of node.children) if (child !== undefined) this.#release(child);
      return;
    }
    for (const block of node.blocks) if (block !== UNMAPPED) this.#space.dec(block, block + 1);
  }

  /** Notes every reference to a node, and each block of each leaf once. */
  collect(nodes: Map<object, { found: number; readonly counted: number }>, blocks: Map<number, number>): void {
    collect(this.#root, nodes, blocks);
  }
}

function emptyNode(height: number): CountedLeaf | Inner {
  return height === 0 ? new CountedLeaf() : new Inner(new Array(FAN).fill(undefined));
}

function next(node: CountedLeaf | Inner, height: number, from: number): number {
  if (node instanceof Inner) {
    const span = FAN ** height;
    let rest = from % span;
    for (let index = Math.floor(from / span); index < FAN; index++, rest = 0) {
      const child = node.children[index];
      const found = child === undefined ? -1 : next(child, height - 1, rest);
      if (found >= 0) return index * span + found;
    }
    return -1;
  }
  for (let index = from; index < FAN; index++) if (node.blocks[index] !== UNMAPPED) return index;
  return -1;
}

function highest(node: CountedLeaf | Inner, height: number): number {
  for (let index = FAN - 1; index >= 0; index--) {
    if (!(node instanceof Inner)) {
      if (node.blocks[index] !== UNMAPPED) return index;
      continue;
    }
    const child = node.children[index];
    const found = child === undefined ? -1 : highest(child, height - 1);
    if (found >= 0) return index * FAN ** height + found;
  }
  return -1;
}

function collect(
  node: CountedLeaf | Inner,
  nodes: Map<object, { found: number; readonly counted: number }>,
  blocks: Map<number, number>,
): void {
  const known = nodes.get(node);
  if (known !== undefined) {
    known.found += 1;
    return;
  }
  nodes.set(node, { found: 1, counted: node.references });
  if (node instanceof Inner) {
    for (const child of node.children) if (child !== undefined) collect(child, nodes, blocks);
    return;
  }
  for (const block of node.blocks) if (block !== UNMAPPED) blocks.set(block, (blocks.get(block) ?? 0) + 1);
}
