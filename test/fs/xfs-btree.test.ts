/** The B+ trees of xfs (fs/xfs/libxfs/xfs_btree.c) beside a sorted list, with blocks so small that trees of many levels grow and shrink again. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EIO, type Errno, EUCLEAN } from "../../sim/core/errno.ts";
import { BTree } from "../../sim/fs/xfs/btree.ts";
import type { TreeRecord } from "../../sim/fs/xfs/records.ts";
import type { TreeFormat, TreeSpace } from "../../sim/fs/xfs/tree-block.ts";
import { runs } from "../runs.ts";

const ROOT = 1;

/** A tree of pairs of block and length, by length and block, and its blocks. */
class Lab implements TreeSpace {
  readonly used: Set<number> = new Set([ROOT]);
  readonly format: TreeFormat;
  readonly tree: BTree;
  #next = ROOT;

  constructor(leafMax = 4, nodeMax = 4) {
    this.format = { kind: "xfs.freeBySize", stride: 2, order: [1, 0], leafMax, nodeMax };
    this.tree = new BTree(this.format, this, ROOT);
  }
  take(): number {
    this.#next += 1;
    this.used.add(this.#next);
    return this.#next;
  }
  give({ block }: { readonly block: number }): void {
    expect(this.used.delete(block)).toBe(true);
  }
  dirty(): void {}
  rootMoved(): void {}

  /** The records in order. Blocks that were taken and not given back are the tree's. */
  records(): number[][] {
    this.tree.check();
    expect(this.used.size).toBe(this.tree.blocks);
    const found: number[][] = [];
    this.tree.visit((record) => found.push([...record]));
    return found;
  }
}

const byLength = (one: readonly number[], other: readonly number[]): number =>
  (one[1] as number) - (other[1] as number) || (one[0] as number) - (other[0] as number);

describe("a tree", () => {
  test("holds what a sorted list holds, whatever is put in and taken out, and gives every block back", () => {
    const pair = fc.record({ block: fc.nat(60), length: fc.nat(9), removes: fc.boolean() });
    const property = fc.property(fc.array(pair, { minLength: 60, maxLength: 400 }), (changes) => {
      const lab = new Lab();
      const model = new Map<string, number[]>();
      for (const { block, length, removes } of changes) {
        const key = `${block} ${length}`;
        expect(lab.tree.find(length, block)).toBe(model.has(key));
        if (removes && model.delete(key)) lab.tree.remove(length, block);
        else if (!model.has(key)) {
          lab.tree.insert([block, length]);
          model.set(key, [block, length]);
        }
      }
      const sorted = [...model.values()].sort(byLength);
      expect(lab.records()).toEqual(sorted);
      for (const [block, length] of sorted) lab.tree.remove(length as number, block as number);
      expect([lab.records(), lab.tree.levels, lab.tree.blocks]).toEqual([[], 1, 1]);
    });
    fc.assert(property, runs(12));
  });

  test("of 300 records goes through all of them in both directions from any place", () => {
    const { tree } = filled(300);
    expect(tree.levels).toBeGreaterThanOrEqual(4);
    for (const from of [0, 7, 150, 299]) {
      expect(tree.seekFrom(from, 0)).toBe(true);
      let forwards = 0;
      while (tree.next()) forwards += 1;
      expect([forwards, tree.get(1)]).toEqual([299 - from, 299]);
      expect(tree.find(from, 0)).toBe(true);
      let backwards = 0;
      while (tree.previous()) backwards += 1;
      expect([backwards, tree.get(1)]).toEqual([from, 0]);
    }
    expect([tree.seekFrom(300, 0), tree.last(), tree.get(1)]).toEqual([false, true, 299]);
  });

  test("whose full block lies beside one with room gives it a record before it is cut (xfs_btree_lshift, xfs_btree_rshift)", () => {
    const lab = new Lab(4, 4);
    for (const length of [10, 20, 30, 40, 50]) lab.tree.insert([0, length]);
    expect(lab.tree.blocks).toBe(3);
    for (const length of [12, 14, 16, 60]) {
      if (lab.tree.size === 8) break;
      lab.tree.insert([0, length]);
    }
    expect([lab.tree.size, lab.tree.blocks]).toEqual([8, 3]);
    lab.tree.insert([0, 18]);
    expect(lab.tree.blocks).toBe(4);
    lab.records();
  });

  test("is rebuilt from the records of its blocks, unless one of them cannot be read", () => {
    const { tree, format } = filled(100);
    const records = new Map<number, TreeRecord>();
    tree.visitBlocks((block) => records.set(block.block, block.freeze()));
    const again = new BTree(format, new Lab(), ROOT);
    expect(again.load(tree.root.block, (block) => records.get(block) ?? EIO)).toBeUndefined();
    again.check();
    expect([again.size, again.blocks, again.levels]).toEqual([tree.size, tree.blocks, tree.levels]);
    expect(again.seek(50, 0)).toBe(true);
    expect([again.next(), again.get(1)]).toEqual([true, 51]);
    for (const missing of records.keys()) {
      const read = (block: number): TreeRecord | Errno => (block === missing ? EUCLEAN : (records.get(block) ?? EIO));
      expect(new BTree(format, new Lab(), ROOT).load(tree.root.block, read)).toBe(EUCLEAN);
    }
  });

  test("changes a record's other columns where it is, and its first key upwards", () => {
    const { tree } = filled(40);
    for (let length = 0; length < 40; length++) {
      expect(tree.find(length, 0)).toBe(true);
      tree.update([0, length + 0.5]);
      tree.check();
    }
    expect([tree.find(7, 0), tree.find(7.5, 0)]).toEqual([false, true]);
  });
});

/** A tree of records [0, 0], [0, 1] … */
function filled(count: number): Lab {
  const lab = new Lab();
  for (let length = 0; length < count; length++) lab.tree.insert([0, length]);
  return lab;
}
