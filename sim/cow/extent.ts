/** Extents of a device and who refers to them, as the extent tree has it (fs/btrfs/extent-tree.c; references.ts has the words). */

/** Who refers to an extent, and how often. */
export interface Reference {
  /** The node whose reference it is; 0: it is an owner's. */
  readonly parent: number;
  /** Of an owner's: the tree; for data also which object, and at which of its offsets the extent would begin. */
  readonly tree: number;
  readonly object: number;
  readonly offset: number;
  readonly count: number;
}

/** References that are kept with an extent, in the order that its item has them. */
export interface Inline {
  readonly reference: Reference;
  readonly next: Inline | undefined;
}

export interface Extent {
  readonly start: number;
  /** Bytes. */
  readonly length: number;
  /** Of a node; -1 for data. */
  readonly level: number;
  readonly generation: number;
  /** Whether the node's own pointers are a parent's references. */
  readonly full: boolean;
  /** How many references there are in all. */
  readonly references: number;
  /** The references that are kept with the extent, and the bytes of its item with them. */
  readonly inline: Inline | undefined;
  readonly itemBytes: number;
  /** How many more are kept apart from it. */
  readonly apart: number;
}

export function sameReference(one: Reference, other: Reference): boolean {
  return one.tree === other.tree && one.parent === other.parent && one.object === other.object && one.offset === other.offset;
}
