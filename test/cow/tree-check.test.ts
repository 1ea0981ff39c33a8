/**
 * That a tree's check() finds each thing that can be wrong in a node, broken by hand; what searches, cursors and ranges give at their ends; and what a tree refuses.
 */
import { describe, expect, test } from "vitest";
import { Cursor } from "../../sim/cow/cursor.ts";
import type { Key } from "../../sim/cow/key.ts";
import { compareKeys } from "../../sim/cow/key.ts";
import { bytesOf, Node } from "../../sim/cow/node.ts";
import { Path } from "../../sim/cow/path.ts";
import { pointersMax } from "../../sim/cow/store.ts";
import { Tree } from "../../sim/cow/tree.ts";
import { FORMAT, key, MemoryStore } from "./tree-lab.ts";

const at = (object: number): Key => ({ object, kind: 0, offset: 0 });

/** A root with leaves of five items of 100 bytes; keys 0, 10, 20, …. */
function twoLevels(items = 20): { tree: Tree; store: MemoryStore; root: Node; leaves: Node[] } {
  const store = new MemoryStore();
  const tree = new Tree(store, 7);
  for (let n = 0; n < items; n++) tree.set(at(n * 10), 75, `item ${n}`);
  const root = tree.rootNode;
  return { tree, store, root, leaves: root.children.map((address) => store.read(address)) };
}

type Parts = ReturnType<typeof twoLevels>;

function leafOf({ leaves }: Parts, which: number): Node {
  return leaves[which] as Node;
}

const BREAKAGES: readonly (readonly [what: string, breaks: (of: Parts) => void, message: RegExp])[] = [
  ["two items with one key", (of) => leafOf(of, 0).setKey(1, at(0)), /tree 7: keys of 1 are out of order/],
  ["an item behind a greater one", (of) => leafOf(of, 1).setKey(3, at(55)), /tree 7: keys of \d+ are out of order/],
  ["a leaf that reaches into the next", (of) => leafOf(of, 0).setKey(4, at(50)), /tree 7: node 1 reaches into the next/],
  ["a first key that is not the one above", (of) => leafOf(of, 1).setKey(0, at(51)), /tree 7: the key above \d+ is its first/],
  ["a key above that is not the first below", (of) => of.root.setKey(1, at(45)), /tree 7: the key above \d+ is its first/],
  ["bytes of a leaf that are not its items'", (of) => (leafOf(of, 2).used += 1), /leaf \d+ counts 501, has 500/],
  ["more bytes in a leaf than it holds", (of) => leafOf(of, 3).setItem(4, 76, "larger"), /leaf \d+ counts 501, has 501/],
  ["a node without pointers", (of) => of.root.remove(0, 4, 0), /node \d+ has 0 pointers/],
  [
    "more pointers than a node holds",
    (of) => {
      for (let n = 4; n < 21; n++) of.root.insertChild(n, at(1000 + n), { address: 1, generation: 1 });
    },
    /node \d+ has 21 pointers/,
  ],
  ["a child of the same level", (of) => of.root.setChild(2, of.root), /node \d+ is a child of \d+/],
  ["a child without items", (of) => leafOf(of, 2).remove(0, 5, 25), /node \d+ is a child of \d+/],
  [
    "a child of another age",
    (of) => of.root.setChild(2, { address: leafOf(of, 2).address, generation: 9 }),
    /node \d+ is as old as \d+ says/,
  ],
];

describe("check()", () => {
  test.each(BREAKAGES)("finds %s", (_, breaks, message) => {
    const of = twoLevels();
    expect(of.leaves.map(({ count, used }) => [count, used])).toEqual(new Array(4).fill([5, 500]));
    of.tree.check();
    breaks(of);
    expect(() => of.tree.check()).toThrow(message);
  });

  test("looks into every node of a tree of three levels, and nothing is wrong with a full one or an empty one", () => {
    const of = twoLevels(500);
    expect(of.root.level).toBe(2);
    of.tree.check();
    const last = of.store.read(of.store.read(of.root.children.at(-1) as number).children.at(-1) as number);
    last.used -= 1;
    expect(() => of.tree.check()).toThrow(`leaf ${last.address} counts`);
    new Tree(new MemoryStore(), 1).check();
  });
});

describe("a search", () => {
  test("gives an item by its key alone, the first from a key on if it is before another, and nothing else", () => {
    const { tree } = twoLevels();
    expect([tree.get(at(50)), tree.get(at(51)), tree.get(at(-1)), tree.get(at(999))]).toEqual([
      "item 5",
      undefined,
      undefined,
      undefined,
    ]);
    expect([tree.has(at(50)), tree.has(at(51))]).toEqual([true, false]);
    expect(tree.first(at(45), at(51))).toBe("item 5");
    expect(tree.first(at(45), at(50))).toBeUndefined();
    // Behind the last item of a leaf: the next leaf's first.
    expect(tree.first(at(41), at(51))).toBe("item 5");
    expect(tree.first(at(41), at(50))).toBeUndefined();
    expect(tree.first(at(191), at(9999))).toBeUndefined();
  });

  test("sees what has changed since the one before it", () => {
    const { tree } = twoLevels();
    expect(tree.get(at(55))).toBeUndefined();
    tree.set(at(55), 10, "new");
    expect(tree.get(at(55))).toBe("new");
    tree.set(at(55), 10, "newer");
    expect(tree.get(at(55))).toBe("newer");
    expect([tree.remove(at(55)), tree.remove(at(55)), tree.get(at(55))]).toEqual([true, false, undefined]);
    tree.check();
  });

  test("visits the items of a range in order, with their sizes, until it is told to stop", () => {
    const { tree } = twoLevels();
    const visited = (from: number, to: number, stop = -1): unknown[] => {
      const out: unknown[] = [];
      tree.visit(at(from), at(to), (found, value, size) => {
        out.push([found.object, value, size]);
        return found.object === stop;
      });
      return out;
    };
    expect(visited(35, 60)).toEqual([
      [40, "item 4", 75],
      [50, "item 5", 75],
    ]);
    expect(visited(30, 100, 40).length).toBe(2);
    expect([visited(60, 60), visited(195, 999), visited(0, 999).length]).toEqual([[], [], 20]);
  });

  test("orders keys by object, then kind, then offset", () => {
    const one = { object: 1, kind: 2, offset: 3 };
    for (const [other, sign] of [
      [{ object: 2, kind: 0, offset: 0 }, -1],
      [{ object: 1, kind: 1, offset: 9 }, 1],
      [{ object: 1, kind: 2, offset: 4 }, -1],
      [one, 0],
    ] as const) {
      expect(Math.sign(compareKeys(one, other))).toBe(sign);
      const leaf = new Node({ length: 512, address: 1, generation: 1, level: 0, owner: 1 });
      leaf.insertItem(0, one, { size: 0, value: 0 }, 25);
      expect(Math.sign(leaf.compare(0, other))).toBe(sign);
      expect(leaf.lowerBound(other)).toBe(sign < 0 ? 1 : 0);
    }
  });
});

describe("a cursor", () => {
  test("moves over the ends of leaves, forwards and back, and tells where it is", () => {
    const { tree, leaves, root } = twoLevels();
    const cursor = new Cursor(tree);
    expect(cursor.seek(at(41))).toBe(true);
    expect([cursor.key, cursor.value, cursor.size, cursor.nodeAt(0), cursor.nodeAt(1)]).toEqual([
      at(50),
      "item 5",
      75,
      leaves[1],
      root,
    ]);
    expect([cursor.compare(at(49)) > 0, cursor.compare(at(50)), cursor.compare(at(51)) < 0]).toEqual([true, 0, true]);
    expect([cursor.next(), cursor.key.object]).toEqual([true, 60]);
    expect([cursor.nextLeaf(), cursor.key.object]).toEqual([true, 100]);
    expect([cursor.nextLeaf(), cursor.nextLeaf()]).toEqual([true, false]);
    expect([cursor.seek(at(190)), cursor.next()]).toEqual([true, false]);
    expect(cursor.seek(at(191))).toBe(false);
    expect([cursor.seekBefore(at(50)), cursor.key.object]).toEqual([true, 40]);
    expect([cursor.seekBefore(at(48)), cursor.key.object]).toEqual([true, 40]);
    expect([cursor.seekBefore(at(9999)), cursor.key.object]).toEqual([true, 190]);
    expect([cursor.seekBefore(at(1)), cursor.key.object]).toEqual([true, 0]);
    expect(cursor.seekBefore(at(0))).toBe(false);
  });

  test("moves over the ends of nodes above the leaves, and a tree of one leaf has its ends too", () => {
    const { tree } = twoLevels(500);
    const cursor = new Cursor(tree);
    for (let n = 499; n > 0; n--) expect([cursor.seekBefore(at(n * 10)), cursor.key.object]).toEqual([true, (n - 1) * 10]);
    const small = new Tree(new MemoryStore(), 1);
    const alone = new Cursor(small);
    expect([alone.seek(at(0)), alone.seekBefore(at(5))]).toEqual([false, false]);
    small.set(at(3), 5, "x");
    expect([new Cursor(small).seek(at(4)), new Cursor(small).seekBefore(at(4))]).toEqual([false, true]);
  });
});

describe("a range of items", () => {
  test.each([
    [0, 200],
    [35, 35],
    [40, 50],
    [41, 49],
    [35, 125],
    [0, 55],
    [145, 999],
  ])("from %i to %i is taken out, and no other item", (from, to) => {
    const { tree } = twoLevels();
    tree.removeRange(at(from), at(to));
    tree.check();
    const left: number[] = [];
    tree.visit(at(-1), at(9999), (found) => left.push(found.object) === 0);
    expect(left).toEqual(Array.from({ length: 20 }, (_, n) => n * 10).filter((object) => object < from || object >= to));
  });

  test("is put in as many at once as a leaf takes", () => {
    const { tree } = twoLevels(2);
    tree.insertAll(Array.from({ length: 30 }, (_, n) => ({ key: at(1 + n / 100), size: 75, value: n })));
    tree.check();
    const values: unknown[] = [];
    tree.visit(at(0), at(9999), (_, value) => values.push(value) === 0);
    expect(values).toEqual(["item 0", ...Array.from({ length: 30 }, (_, n) => n), "item 1"]);
    tree.insertAll([{ key: at(-5), size: 75, value: "first" }]);
    tree.check();
    expect(tree.get(at(-5))).toBe("first");
    tree.insertAll([]);
    const counts: number[] = [];
    tree.visitNodes((node) => node.level === 0 && counts.push(node.count));
    expect(Math.max(...counts)).toBe(5);
  });
});

describe("a tree", () => {
  test("takes an item that fills a node, and refuses a larger one", () => {
    const tree = new Tree(new MemoryStore(), 1);
    tree.set(at(1), 475, "whole");
    tree.check();
    expect(() => tree.set(at(2), 476, "more")).toThrow("an item of 476 bytes fits no node");
  });

  test("refuses another key for an item that is not there", () => {
    const { tree } = twoLevels();
    const item = { size: 1, value: "x" };
    expect(() => tree.rekey(at(55), at(56), item)).toThrow("tree 7 has an item to give another key");
    expect(() => tree.rekey(at(999), at(1000), item)).toThrow("tree 7 has an item to give another key");
  });

  test("refuses to change a node that is sealed", () => {
    const { leaves } = twoLevels();
    const leaf = leaves[0] as Node;
    expect(leaf.isSealed).toBe(false);
    leaf.seal();
    expect(leaf.isSealed).toBe(true);
    for (const change of [() => leaf.setKey(0, at(-1)), () => leaf.setItem(0, 75, "x"), () => leaf.remove(0, 1, 25)])
      expect(change).toThrow("node 1 changes no more");
  });

  test("copies the way to a change and nothing else, each copy once, and tells where its root is", () => {
    const { tree, store } = twoLevels(500);
    const before = [tree.root, store.nodes.size];
    store.keeps = true;
    store.generation += 1;
    tree.set(at(1230), 75, "changed");
    expect(store.nodes.size).toBe((before[1] as number) + 3);
    expect(tree.root).not.toBe(before[0]);
    expect([tree.rootNode.generation, tree.rootNode.owner, tree.rootNode.length, tree.rootNode.kind]).toEqual([
      2,
      7,
      512,
      "cow.node",
    ]);
    tree.set(at(1230), 75, "changed again");
    expect(store.nodes.size).toBe((before[1] as number) + 3);
    tree.check();
  });
});

test("a node's bytes and pointers are what its format says", () => {
  expect(pointersMax(FORMAT)).toBe(20);
  const { leaves, root } = twoLevels();
  expect([bytesOf(leaves[0] as Node, 1, 3, 25), bytesOf(leaves[0] as Node, 2, 2, 25)]).toEqual([200, 0]);
  expect([root.used, (leaves[0] as Node).children]).toEqual([0, []]);
  expect(root.children.map((_, slot) => root.generationAt(slot))).toEqual([1, 1, 1, 1]);
  expect((leaves[0] as Node).key(2)).toEqual(at(20));
  expect([root.childSlot(at(-5)), root.childSlot(at(49)), root.childSlot(at(50)), root.childSlot(at(9999))]).toEqual([
    0, 0, 1, 3,
  ]);
  expect(key(21)).toEqual({ object: 1, kind: 1, offset: 1 });
});

test("a path has the levels that were set, until it is cleared", () => {
  const path = new Path();
  const { root, leaves } = twoLevels();
  path.set(1, root, 3);
  expect([path.height, path.node(1), path.slot(1)]).toEqual([2, root, 3]);
  path.set(0, leaves[0] as Node, 1);
  expect([path.height, path.node(0), path.slot(0)]).toEqual([2, leaves[0], 1]);
  expect(() => path.node(2)).toThrow("a path has the level");
  path.clear();
  expect(() => path.node(0)).toThrow("a path has the level");
});
