/** A block of a B+ tree in memory, and what a tree asks of who keeps it (fs/xfs/libxfs/xfs_btree.h). */
import { BLOCK_SIZE, SECTORS_PER_BLOCK } from "./layout.ts";
import type { Metadata } from "./log.ts";
import { type LoggedSize, measureBuffer } from "./logged-pieces.ts";
import type { TreeRecord } from "./records.ts";

export interface TreeFormat {
  readonly kind: TreeRecord["kind"];
  readonly stride: number;
  readonly order: readonly number[];
  /** The most records of a leaf, and children of an inner block. */
  readonly leafMax: number;
  readonly nodeMax: number;
}

/** Where a tree's blocks come from and go to, and who is told of changes. */
export interface TreeSpace {
  /** A block of the device. */
  take(): number;
  give(block: TreeBlock): void;
  dirty(block: Metadata): void;
  /** The root is another block now. */
  rootMoved(): void;
}

/** What changed of a block between two checkpoints, as a rule: the header's piece and the records behind a change. */
const CHANGED_BYTES = 128;

export class TreeBlock implements Metadata {
  readonly sector: number;
  stamp = 0;
  readonly level: number;
  /** Records; of an inner block the first record's key of each child, `order.length` numbers each. */
  items: number[] = [];
  children: TreeBlock[] = [];
  parent: TreeBlock | undefined;
  left: TreeBlock | undefined;
  right: TreeBlock | undefined;
  readonly #kind: TreeRecord["kind"];

  constructor(kind: TreeRecord["kind"], block: number, level: number) {
    this.#kind = kind;
    this.sector = block * SECTORS_PER_BLOCK;
    this.level = level;
  }
  get block(): number {
    return this.sector / SECTORS_PER_BLOCK;
  }

  measure(into: LoggedSize): void {
    measureBuffer(into, CHANGED_BYTES);
  }
  freeze(): TreeRecord {
    return {
      kind: this.#kind,
      length: BLOCK_SIZE,
      level: this.level,
      items: this.items.slice(),
      children: this.children.map((child) => child.block),
      left: this.left?.block ?? 0,
      right: this.right?.block ?? 0,
    };
  }
}
