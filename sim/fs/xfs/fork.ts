/**
 * A data fork: the extents of a file or directory, in the inode while they fit there, else in a tree of blocks (fs/xfs/libxfs/xfs_inode_fork.c, xfs_bmap_btree.c).
 *
 * Interface: `Fork` is an ExtentList with the leaves that divide it. `settle` gives blocks to a list that outgrew the inode, and frees those that
 * are no longer needed; it is called at the end of each change, within the same checkpoint. A leaf that overflows at its end begins a new
 * one, as repeated shifts to the left leave it; in its middle it is cut in half.
 */
import { assert, InvariantError } from "../../core/assert.ts";
import { type Errno, isErrno } from "../../core/errno.ts";
import { countLeaves, leavesMoved } from "../extent-leaves.ts";
import { ExtentList } from "../extent-list.ts";
import { BLOCK_SIZE, EXTENT_BLOCKS_MAX, SECTORS_PER_BLOCK } from "./layout.ts";
import type { Metadata } from "./log.ts";
import { type LoggedSize, measureBuffer } from "./logged-pieces.ts";
import type { ExtentsRecord, ForkRoot } from "./records.ts";

const LIMITS = { written: EXTENT_BLOCKS_MAX, unwritten: EXTENT_BLOCKS_MAX } as const;

/** A block of the tree: a leaf of `count` extents, or, above, of `count` leaves. */
class ForkBlock implements Metadata {
  readonly block: number;
  stamp = 0;
  count: number;
  /** Of a leaf: ExtentLeaf.first. */
  first = -1;
  readonly #depth: number;
  readonly #entries: (block: ForkBlock) => number[];

  constructor(block: number, depth: number, count: number, entries: (block: ForkBlock) => number[]) {
    this.block = block;
    this.#depth = depth;
    this.count = count;
    this.#entries = entries;
  }
  get sector(): number {
    return this.block * SECTORS_PER_BLOCK;
  }
  measure(into: LoggedSize): void {
    measureBuffer(into, 256);
  }
  freeze(): ExtentsRecord {
    return { kind: "xfs.extents", length: BLOCK_SIZE, depth: this.#depth, entries: this.#entries(this) };
  }
}

/** How much fits where, and who gives and takes blocks. */
export interface ForkSpace {
  /** Extents that the inode holds itself. */
  readonly inInode: number;
  readonly perBlock: number;
  /** A block for metadata; allocation has been checked to succeed. */
  allocate(): number;
  free(metadata: Metadata, block: number): void;
  dirty(metadata: Metadata): void;
}

const NONE: ForkBlock[] = [];

export class Fork {
  readonly list: ExtentList = new ExtentList(LIMITS);
  #leaves: ForkBlock[] = NONE;
  #nodes: ForkBlock[] = NONE;
  #touched: Set<ForkBlock> | undefined;
  #root: ForkRoot | undefined;

  /** Blocks that the tree itself takes. */
  get blockCount(): number {
    return this.#leaves.length + this.#nodes.length;
  }
  /** Whether the extents lie in blocks of their own (XFS_DINODE_FMT_BTREE). */
  get isTree(): boolean {
    return this.#leaves.length > 0;
  }
  /** Every block of the tree. */
  visitBlocks(visit: (block: number) => void): void {
    for (const leaf of this.#leaves) visit(leaf.block);
    for (const node of this.#nodes) visit(node.block);
  }

  /** ExtentList tells its growth here. */
  changed(index: number, by: number): void {
    const leaves = this.#leaves;
    if (by !== 0) leavesMoved(this.#leaves);
    let before = 0;
    for (let at = 0; at < leaves.length; at++) {
      const leaf = leaves[at] as ForkBlock;
      if (index < before + leaf.count || (by > 0 && index === before + leaf.count) || at === leaves.length - 1) {
        leaf.count += by;
        this.#touched ??= new Set();
        this.#touched.add(leaf);
        return;
      }
      before += leaf.count;
    }
  }

  /** Every extent changed in place: all blocks of the tree join the checkpoint. */
  dirtyAll(space: ForkSpace): void {
    for (const block of [...this.#leaves, ...this.#nodes]) space.dirty(block);
  }

  #newLeaf(space: ForkSpace, count: number): ForkBlock {
    const leaf = new ForkBlock(space.allocate(), 0, count, (block) => this.#extentsOf(block));
    (this.#touched ??= new Set()).add(leaf);
    return leaf;
  }

  settle(space: ForkSpace): void {
    const { count } = this.list;
    if (this.#leaves.length === 0) {
      if (count <= space.inInode) return;
      this.#leaves = [this.#newLeaf(space, count)];
    }
    for (const { count } of this.#touched ?? []) {
      if (count > 0 && count <= space.perBlock) continue;
      this.#settleLeaves(space);
      break;
    }
    const [only] = this.#leaves;
    if (this.#leaves.length === 1 && only !== undefined && count <= space.inInode) {
      // xfs_bmap_btree_to_extents.
      this.#leaves = NONE;
      only.count = 0;
      this.#drop(space, only);
    }
    for (const leaf of this.#touched ?? []) space.dirty(leaf);
    this.#touched = undefined;
    this.#settleNodes(space);
  }

  /** Cuts leaves that hold too many extents, and drops empty ones. */
  #settleLeaves(space: ForkSpace): void {
    for (let at = 0; at < this.#leaves.length; at++) {
      const leaf = this.#leaves[at] as ForkBlock;
      if (leaf.count > space.perBlock) {
        const isLast = at === this.#leaves.length - 1;
        const rest = isLast ? leaf.count - space.perBlock : leaf.count >>> 1;
        leaf.count -= rest;
        (this.#touched ??= new Set()).add(leaf);
        this.#leaves.splice(at + 1, 0, this.#newLeaf(space, rest));
      } else if (leaf.count === 0) {
        this.#leaves.splice(at, 1);
        this.#drop(space, leaf);
        at -= 1;
      }
    }
    leavesMoved(this.#leaves);
  }

  #drop(space: ForkSpace, block: ForkBlock): void {
    this.#touched?.delete(block);
    space.free(block, block.block);
  }

  #settleNodes(space: ForkSpace): void {
    // The root in the inode has as many pointers as it would have extents, less its header.
    const wanted = this.#leaves.length < space.inInode ? 0 : Math.ceil(this.#leaves.length / space.perBlock);
    while (this.#nodes.length < wanted)
      this.#nodes = [...this.#nodes, new ForkBlock(space.allocate(), 1, 0, (block) => this.#leavesOf(block))];
    while (this.#nodes.length > wanted) {
      const last = this.#nodes.at(-1) as ForkBlock;
      this.#nodes = this.#nodes.slice(0, -1);
      this.#drop(space, last);
    }
    for (const [at, node] of this.#nodes.entries()) {
      node.count = Math.min(space.perBlock, this.#leaves.length - at * space.perBlock);
      space.dirty(node);
    }
  }

  #extentsOf(leaf: ForkBlock): number[] {
    countLeaves(this.#leaves);
    return this.list.slice(leaf.first, leaf.first + leaf.count);
  }

  #leavesOf(wanted: ForkBlock): number[] {
    let before = 0;
    for (const node of this.#nodes) {
      if (node === wanted) return this.#pairs(before, before + node.count);
      before += node.count;
    }
    return [];
  }

  #pairs(from: number, to: number): number[] {
    countLeaves(this.#leaves);
    const out: number[] = [];
    for (const { first, block } of this.#leaves.slice(from, to))
      out.push(this.list.count > first ? this.list.logical(first) : 0, block);
    return out;
  }

  root(): ForkRoot {
    if (this.#leaves.length === 0) {
      // Most inodes of a buffer are as they were at the last checkpoint: their root is shared by its records.
      const entries = this.list.share();
      if (this.#root?.entries !== entries) this.#root = { depth: 0, entries };
      return this.#root;
    }
    if (this.#nodes.length === 0) return { depth: 1, entries: this.#pairs(0, this.#leaves.length) };
    const entries: number[] = [];
    let before = 0;
    for (const node of this.#nodes) {
      entries.push(this.#pairs(before, before + 1)[0] ?? 0, node.block);
      before += node.count;
    }
    return { depth: 2, entries };
  }

  /** Rebuilds the fork from its root; `read` gives the record of a block below. @returns what `read` fails with. */
  load(root: ForkRoot, read: (block: number) => ExtentsRecord | Errno): Errno | undefined {
    if (root.depth === 0) {
      this.list.load(root.entries);
      return undefined;
    }
    for (let at = 1; at < root.entries.length; at += 2) {
      const block = root.entries[at] as number;
      const failed = root.depth === 1 ? this.#loadLeaf(block, read) : this.#loadNode(block, read);
      if (failed !== undefined) return failed;
    }
    return undefined;
  }

  #loadNode(block: number, read: (block: number) => ExtentsRecord | Errno): Errno | undefined {
    const record = read(block);
    if (isErrno(record)) return record;
    const { entries } = record;
    this.#nodes = [...this.#nodes, new ForkBlock(block, 1, entries.length / 2, (one) => this.#leavesOf(one))];
    for (let child = 1; child < entries.length; child += 2) {
      const failed = this.#loadLeaf(entries[child] as number, read);
      if (failed !== undefined) return failed;
    }
    return undefined;
  }

  #loadLeaf(block: number, read: (block: number) => ExtentsRecord | Errno): Errno | undefined {
    const record = read(block);
    if (isErrno(record)) return record;
    this.#leaves = [...this.#leaves, new ForkBlock(block, 0, record.entries.length / 3, (one) => this.#extentsOf(one))];
    this.list.load(record.entries);
    return undefined;
  }

  check(name: string): void {
    const fault = this.list.fault();
    if (fault !== undefined) throw new InvariantError(`${name}: ${fault}`);
    let count = 0;
    for (const leaf of this.#leaves) {
      assert(leaf.count > 0, `${name}: an empty leaf`);
      count += leaf.count;
    }
    assert(this.#leaves.length === 0 || count === this.list.count, `${name}: leaves hold ${count} of ${this.list.count} extents`);
  }
}
