/**
 * The blocks of an inode's extent tree (fs/ext4/extents.c: ext4_ext_create_new_leaf, ext4_ext_grow_indepth, ext4_ext_rm_leaf).
 *
 * Up to 4 extents lie in the inode. More lie in leaf blocks of up to 340, whose addresses lie in the inode while there are up to 4 of them, and in
 * index blocks of 340 beyond. A leaf knows how many extents of the list are its own.
 *
 * Interface: `ExtentTree` is an ExtentList with the leaves that divide it. `settle` gives leaves and index blocks to a list that outgrew the inode, and
 * frees those that became empty; it is called at the end of each change, within the same transaction.
 * A leaf that overflows at its end begins a new one with the new extent alone, as the kernel does for appends; in its middle it is cut there. Index blocks are filled one after the other.
 */
import { InvariantError } from "../../core/assert.ts";
import { type Errno, isErrno } from "../../core/errno.ts";
import { countLeaves, leavesMoved } from "../extent-leaves.ts";
import { type ExtentLimits, ExtentList } from "../extent-list.ts";
import type { Journal } from "./journal.ts";
import { packExtents } from "./packed-records.ts";
import type { Metadata, PackedWords } from "./packed-words.ts";
import type { ExtentRecord, TreeRoot } from "./records.ts";

/** EXT_INIT_MAX_LEN, EXT_UNWRITTEN_MAX_LEN. */
const LIMITS: ExtentLimits = { written: 32_768, unwritten: 32_767 };
const EXTENTS_IN_INODE = 4;
const EXTENTS_PER_BLOCK = 340;

/** A leaf block: `count` extents of the list. */
class Leaf implements Metadata {
  readonly block: number;
  stamp = 0;
  count: number;
  /** ExtentLeaf.first. */
  first = -1;
  /** Whether it changed since the tree was settled. */
  touched = true;
  readonly #tree: ExtentTree;

  constructor(tree: ExtentTree, block: number, count: number) {
    this.#tree = tree;
    this.block = block;
    this.count = count;
  }
  pack(into: PackedWords): number {
    return this.#tree.packLeaf(into, this);
  }
}

/** An index block: 340 leaves. */
class IndexBlock implements Metadata {
  readonly block: number;
  stamp = 0;
  readonly #tree: ExtentTree;

  constructor(tree: ExtentTree, block: number) {
    this.#tree = tree;
    this.block = block;
  }
  pack(into: PackedWords): number {
    return packExtents(into, 1, this.#tree.childrenOf(this));
  }
}

/** What gives and takes the blocks of inodes' trees. */
export interface TreeBlocks {
  readonly journal: Journal;
  /** A block for metadata; allocation has been checked to succeed. */
  allocate(ino: number): number;
  free(ino: number, metadata: Metadata): void;
}

/** What most files have: shared, and never added to. */
const NO_LEAVES: Leaf[] = [];
const NO_INDEXES: IndexBlock[] = [];

export class ExtentTree {
  readonly list: ExtentList = new ExtentList(LIMITS);
  #leaves: Leaf[] = NO_LEAVES;
  #indexes: IndexBlock[] = NO_INDEXES;

  /** Whether it has no blocks and needs none. */
  get liesInInode(): boolean {
    return this.#leaves.length === 0 && this.list.count <= EXTENTS_IN_INODE;
  }
  /** How many extents it takes at its end before it needs a block. */
  get room(): number {
    const leaves = this.#leaves;
    return leaves.length === 0
      ? EXTENTS_IN_INODE - this.list.count
      : EXTENTS_PER_BLOCK - (leaves[leaves.length - 1] as Leaf).count;
  }
  get leafCount(): number {
    return this.#leaves.length;
  }
  /** Blocks that the tree itself takes. */
  get blockCount(): number {
    return this.#leaves.length + this.#indexes.length;
  }
  /** Every block of the tree. */
  visitBlocks(visit: (block: number) => void): void {
    for (const leaf of this.#leaves) visit(leaf.block);
    for (const index of this.#indexes) visit(index.block);
  }

  /** ExtentList tells its growth here. */
  changed(index: number, by: number): void {
    const leaves = this.#leaves;
    if (leaves.length === 0) return;
    if (by !== 0) leavesMoved(this.#leaves);
    if (by >= 0 && index + Math.max(by, 1) === this.list.count) {
      // What most changes are.
      const last = leaves[leaves.length - 1] as Leaf;
      last.count += by;
      last.touched = true;
      return;
    }
    let before = 0;
    for (let at = 0; at < leaves.length; at++) {
      const leaf = leaves[at] as Leaf;
      // An extent added between two leaves goes to the left one, as the search for its place ends there.
      if (index < before + leaf.count || (by > 0 && index === before + leaf.count) || at === leaves.length - 1) {
        leaf.count += by;
        leaf.touched = true;
        return;
      }
      before += leaf.count;
    }
  }

  /** Every extent changed in place: all blocks of the tree join the transaction. */
  dirtyAll(journal: Journal): void {
    for (const leaf of this.#leaves) journal.dirty(leaf);
    for (const index of this.#indexes) journal.dirty(index);
  }

  /** @param cut - extents were taken away or moved: a lone leaf stays then, though what is left fits the inode */
  settle(blocks: TreeBlocks, ino: number, cut = false): void {
    const count = this.list.count;
    if (this.#leaves.length === 0) {
      if (count <= EXTENTS_IN_INODE) return;
      this.#leaves = [new Leaf(this, blocks.allocate(ino), count)];
    }
    for (let at = 0; at < this.#leaves.length; at++) {
      const leaf = this.#leaves[at] as Leaf;
      if (leaf.count > EXTENTS_PER_BLOCK) {
        const last = at === this.#leaves.length - 1;
        const rest = last ? leaf.count - EXTENTS_PER_BLOCK : leaf.count >>> 1;
        leaf.count -= rest;
        leaf.touched = true;
        leavesMoved(this.#leaves);
        this.#leaves.splice(at + 1, 0, new Leaf(this, blocks.allocate(ino), rest));
      } else if (leaf.count === 0) {
        this.#leaves.splice(at, 1);
        leavesMoved(this.#leaves);
        blocks.free(ino, leaf);
        at -= 1;
      }
    }
    const only = this.#leaves[0];
    if (!cut && this.#leaves.length === 1 && only !== undefined && count <= EXTENTS_IN_INODE) {
      // ext4_ext_try_to_merge_up: a lone leaf whose extents fit the inode goes.
      this.#leaves = NO_LEAVES;
      only.count = 0;
      blocks.free(ino, only);
    }
    for (const leaf of this.#leaves) {
      if (!leaf.touched) continue;
      leaf.touched = false;
      blocks.journal.dirty(leaf);
    }
    this.#settleIndexes(blocks, ino);
  }

  #settleIndexes(blocks: TreeBlocks, ino: number): void {
    const wanted = this.#leaves.length <= EXTENTS_IN_INODE ? 0 : Math.ceil(this.#leaves.length / EXTENTS_PER_BLOCK);
    if (wanted === this.#indexes.length && wanted === 0) return;
    while (this.#indexes.length < wanted) this.#indexes = [...this.#indexes, new IndexBlock(this, blocks.allocate(ino))];
    while (this.#indexes.length > wanted) blocks.free(ino, this.#indexes.pop() as IndexBlock);
    for (const index of this.#indexes) blocks.journal.dirty(index);
  }

  packLeaf(into: PackedWords, leaf: Leaf): number {
    countLeaves(this.#leaves);
    return packExtents(into, 0, this.list.slice(leaf.first, leaf.first + leaf.count));
  }

  childrenOf(wanted: IndexBlock): number[] {
    const at = this.#indexes.indexOf(wanted);
    return this.#pairs(at * EXTENTS_PER_BLOCK, (at + 1) * EXTENTS_PER_BLOCK);
  }

  #pairs(from: number, to: number): number[] {
    countLeaves(this.#leaves);
    const out: number[] = [];
    for (const { first, block } of this.#leaves.slice(from, to))
      out.push(this.list.count > first ? this.list.logical(first) : 0, block);
    return out;
  }

  /** What the inode has of it, to be packed at once: the list goes on changing. */
  root(): TreeRoot {
    if (this.#leaves.length === 0) return { depth: 0, entries: this.list.items };
    if (this.#indexes.length === 0) return { depth: 1, entries: this.#pairs(0, this.#leaves.length) };
    const entries: number[] = [];
    for (const [at, index] of this.#indexes.entries())
      entries.push(this.#pairs(at * EXTENTS_PER_BLOCK, at * EXTENTS_PER_BLOCK + 1)[0] ?? 0, index.block);
    return { depth: 2, entries };
  }

  /** Rebuilds the tree from its root; `read` gives the record of a block below. @returns what it gave instead; then the tree is empty. */
  load(root: TreeRoot, read: (block: number) => ExtentRecord | Errno): Errno | undefined {
    if (root.depth === 0) {
      this.list.load(root.entries);
      return undefined;
    }
    const failed = this.#loadBelow(root, read);
    if (failed === undefined) return undefined;
    this.#leaves = NO_LEAVES;
    this.#indexes = NO_INDEXES;
    this.list.remove(0, Number.MAX_SAFE_INTEGER, () => undefined, this);
    return failed;
  }

  #loadBelow(root: TreeRoot, read: (block: number) => ExtentRecord | Errno): Errno | undefined {
    for (let at = 1; at < root.entries.length; at += 2) {
      const block = root.entries[at] as number;
      const record = read(block);
      if (isErrno(record)) return record;
      if (root.depth === 1) this.#loadLeaf(block, record);
      else {
        this.#indexes = [...this.#indexes, new IndexBlock(this, block)];
        for (let child = 1; child < record.entries.length; child += 2) {
          const leaf = record.entries[child] as number;
          const below = read(leaf);
          if (isErrno(below)) return below;
          this.#loadLeaf(leaf, below);
        }
      }
    }
    return undefined;
  }

  #loadLeaf(block: number, record: ExtentRecord): void {
    const leaf = new Leaf(this, block, record.entries.length / 3);
    leaf.touched = false;
    this.#leaves = [...this.#leaves, leaf];
    this.list.load(record.entries);
  }

  /** Throws an InvariantError unless the tree's figures agree. @param ino - whose it is. */
  check(ino: number): void {
    const fault = this.list.fault() ?? this.#faultOfLeaves();
    if (fault !== undefined) throw new InvariantError(`inode ${ino}: ${fault}`);
  }

  #faultOfLeaves(): string | undefined {
    const { count } = this.list;
    if (this.#leaves.length === 0) return count <= EXTENTS_IN_INODE ? undefined : `${count} extents in the inode`;
    let held = 0;
    for (const leaf of this.#leaves) {
      if (leaf.count <= 0 || leaf.count > EXTENTS_PER_BLOCK) return `a leaf of ${leaf.count} extents`;
      held += leaf.count;
    }
    return held === count ? undefined : `leaves hold ${held} of ${count} extents`;
  }
}
