import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Cursor } from "../../sim/cow/cursor.ts";
import type { Key } from "../../sim/cow/key.ts";
import { Tree } from "../../sim/cow/tree.ts";
import { runs } from "../runs.ts";
import { key, MemoryStore } from "./tree-lab.ts";

function itemsOf(tree: Tree): [number, unknown][] {
  const out: [number, unknown][] = [];
  const cursor = new Cursor(tree);
  for (let more = cursor.seek(key(0)); more; more = cursor.next()) {
    out.push([cursor.key.object * 16 + cursor.key.kind * 4 + cursor.key.offset, cursor.value]);
  }
  return out;
}

describe("a copy-on-write tree", () => {
  it("holds what a sorted map holds, whatever is put in and taken out", () => {
    const step = fc.record({
      n: fc.integer({ min: 0, max: 400 }),
      size: fc.integer({ min: 0, max: 200 }),
      put: fc.integer({ min: 0, max: 2 }),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 400 }), (steps) => {
        const store = new MemoryStore();
        const tree = new Tree(store, 1);
        const model = new Map<number, string>();
        for (const { n, size, put } of steps) {
          if (put > 0) {
            tree.set(key(n), size, `${n}:${size}`);
            model.set(n, `${n}:${size}`);
          } else expect(tree.remove(key(n))).toBe(model.delete(n));
          tree.check();
        }
        expect(itemsOf(tree)).toEqual([...model].sort(([one], [other]) => one - other));
        for (const n of [...model.keys()]) tree.remove(key(n));
        expect(tree.rootNode.level).toBe(0);
        expect(store.nodes.size).toBe(1);
      }),
      runs(60),
    );
  });

  it("leaves every node of an earlier transaction as it was", () => {
    const store = new MemoryStore();
    const tree = new Tree(store, 1);
    for (let n = 0; n < 300; n++) tree.set(key(n), 40, n);
    const old = new Tree(store, 2, tree.root);
    const before = itemsOf(old);
    store.generation += 1;
    store.freed = () => undefined;
    for (let n = 0; n < 300; n += 3) tree.remove(key(n));
    for (let n = 0; n < 300; n += 5) tree.set(key(n), 90, "new");
    expect(itemsOf(old)).toEqual(before);
    old.check();
    tree.check();
  });

  it("leaves an earlier version as it was however often its leaf changes in one transaction", () => {
    const store = new MemoryStore();
    const tree = new Tree(store, 1);
    for (let n = 0; n < 6; n++) tree.set(key(n), 10, n);
    const old = new Tree(store, 2, tree.root);
    const before = itemsOf(old);
    store.generation += 1;
    for (let round = 0; round < 70; round++) {
      if (round % 2 === 0) tree.set(key(9), 10, round);
      else tree.remove(key(9));
    }
    tree.set(key(7), 10, 7);
    expect(itemsOf(old)).toEqual(before);
    expect(itemsOf(tree)).toEqual([...before, [7, 7]]);
  });

  it("finds every earlier version as it was, in whatever order they are asked for and however much has changed since", () => {
    const step = fc.record({
      n: fc.integer({ min: 0, max: 40 }),
      size: fc.integer({ min: 0, max: 40 }),
      put: fc.integer({ min: 0, max: 2 }),
      ends: fc.integer({ min: 0, max: 100 }),
      keeps: fc.boolean(),
      looks: fc.integer({ min: 0, max: 2000 }),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 100, maxLength: 600 }), (steps) => {
        const store = new MemoryStore();
        store.freed = () => undefined;
        const tree = new Tree(store, 1);
        const often = steps.length % 2 === 0 ? 5 : 1;
        const versions: { tree: Tree; items: [number, unknown][] }[] = [];
        const look = ({ tree: old, items }: { tree: Tree; items: [number, unknown][] }): void => {
          old.check();
          expect(itemsOf(old)).toEqual(items);
        };
        for (const { n, size, put, ends, keeps, looks } of steps) {
          store.keeps = keeps;
          if (put > 0) tree.set(key(n), size, `${n}:${size}`);
          else tree.remove(key(n));
          if (ends < often * often) {
            versions.push({ tree: new Tree(store, 2, tree.root), items: itemsOf(tree) });
            for (const node of store.nodes.values()) node.seal();
            store.generation += 1;
          }
          const version = versions[looks];
          if (version !== undefined) look(version);
        }
        for (const version of versions) look(version);
        tree.check();
      }),
      runs(60),
    );
  });

  it("fills leaves when keys come in ascending order", () => {
    const store = new MemoryStore();
    const tree = new Tree(store, 1);
    for (let n = 0; n < 400; n++) tree.set(key(n), 25, n);
    // 500 bytes hold ten items of 50.
    const leaves = [...store.nodes.values()].filter((node) => node.level === 0);
    expect(leaves.length).toBe(40);
  });
});

describe("a tree", () => {
  /** A tree whose leaves hold one item each, and whose nodes hold twenty pointers. */
  function oneItemALeaf(): { tree: Tree; store: MemoryStore; put: (n: number) => void; remove: (n: number) => void } {
    const store = new MemoryStore();
    const tree = new Tree(store, 1);
    const put = (n: number): void => {
      tree.set({ object: n, kind: 0, offset: 0 }, 400, n);
      tree.check();
    };
    const remove = (n: number): void => {
      expect(tree.remove({ object: n, kind: 0, offset: 0 })).toBe(true);
      tree.check();
    };
    return { tree, store, put, remove };
  }

  /** How many pointers the nodes above the leaves have. */
  function widths(tree: Tree): number[] {
    const out: number[] = [];
    tree.visitNodes((node) => {
      if (node.level === 1) out.push(node.count);
    });
    return out;
  }

  it("splits a node before anything is put in below it that has fewer than four free pointers", () => {
    const { tree, put } = oneItemALeaf();
    for (let n = 0; n < 17; n++) put(n);
    expect(widths(tree)).toEqual([17]);
    put(17);
    expect(widths(tree)).toEqual([9, 9]);
  });

  it("fills nodes when keys come in ascending order: a full one gives to its left neighbour before it is split", () => {
    const { tree, put } = oneItemALeaf();
    for (let n = 0; n < 26; n++) put(n);
    expect(widths(tree)).toEqual([9, 17]);
    put(26);
    // All but eight, as far as there is room.
    expect(widths(tree)).toEqual([18, 9]);
    for (let n = 27; n < 100; n++) put(n);
    expect(widths(tree)).toEqual([20, 20, 20, 20, 9, 11]);
  });

  it("gives half of a full node to its right neighbour where the left one has no room", () => {
    const { tree, put } = oneItemALeaf();
    for (let n = 0; n < 18; n++) put(n * 100);
    for (let n = 8; n >= 1; n--) put(n * 10);
    expect(widths(tree)).toEqual([17, 9]);
    put(5);
    expect(widths(tree)).toEqual([9, 18]);
  });

  it("merges a node of few pointers with its neighbours when the next item below it goes", () => {
    const { tree, store, put, remove } = oneItemALeaf();
    for (let n = 0; n < 37; n++) put(n);
    expect(widths(tree)).toEqual([20, 17]);
    for (let n = 0; n < 15; n++) remove(n);
    // More than a quarter of twenty was not few.
    expect(widths(tree)).toEqual([5, 17]);
    remove(15);
    expect(widths(tree)).toEqual([11, 10]);
    expect(store.nodes.size).toBe(21 + 2 + 1);
  });

  it("keeps a root with a single pointer until the next item goes", () => {
    const { tree, put, remove } = oneItemALeaf();
    put(0);
    put(1);
    remove(1);
    expect([tree.rootNode.level, tree.rootNode.count]).toEqual([1, 1]);
    remove(0);
    expect([tree.rootNode.level, tree.rootNode.count]).toEqual([0, 0]);
  });

  /** The offsets of the keys that each leaf has. */
  function leaves(tree: Tree): number[][] {
    const out: number[][] = [];
    tree.visitNodes((node) => {
      if (node.level === 0) out.push(Array.from({ length: node.count }, (_, slot) => node.offsetAt(slot)));
    });
    return out;
  }

  it("moves what is behind a new item to the next leaf, where it would else need two leaves more", () => {
    const tree = new Tree(new MemoryStore(), 1);
    const put = (offset: number, size: number): void => tree.set({ object: 0, kind: 0, offset }, size, size);
    for (const [offset, size] of [
      [1, 200],
      [5, 150],
      [6, 300],
    ] as const)
      put(offset, size);
    tree.remove({ object: 0, kind: 0, offset: 6 });
    put(3, 200);
    expect(leaves(tree)).toEqual([[1, 3], [5]]);
    put(2, 300);
    tree.check();
    expect(leaves(tree)).toEqual([[1], [2], [3, 5]]);
  });

  it("leaves a leaf to the item at its beginning that grows beyond half of it", () => {
    const tree = new Tree(new MemoryStore(), 1);
    for (let offset = 1; offset <= 5; offset++) tree.set({ object: 0, kind: 0, offset }, 65, "small");
    tree.set({ object: 0, kind: 0, offset: 1 }, 465, "large");
    tree.check();
    expect(leaves(tree)).toEqual([[1], [2, 3, 4, 5]]);
    expect(tree.get({ object: 0, kind: 0, offset: 1 })).toBe("large");
  });

  it("tells the nodes above when the first item of a leaf gets another key", () => {
    const { tree, put } = oneItemALeaf();
    for (let n = 0; n < 12; n++) put(n * 100);
    tree.rekey({ object: 600, kind: 0, offset: 0 }, { object: 599, kind: 0, offset: 7 }, { size: 4, value: "moved" });
    tree.check();
    expect(tree.get({ object: 599, kind: 0, offset: 7 })).toBe("moved");
    expect(tree.get({ object: 600, kind: 0, offset: 0 })).toBeUndefined();
  });

  const item = (offset: number): Key => ({ object: 0, kind: 0, offset });

  it("makes two items of one without a leaf more where there is room for a header, else with one", () => {
    const tree = new Tree(new MemoryStore(), 1);
    tree.set(item(1), 410, "whole");
    tree.split(item(1), { size: 110, value: "first" }, { key: item(5), size: 300, value: "second" });
    tree.check();
    expect([leaves(tree), tree.get(item(1)), tree.get(item(5))]).toEqual([[[1, 5]], "first", "second"]);
    tree.split(item(5), { size: 200, value: "second" }, { key: item(9), size: 100, value: "third" });
    tree.check();
    expect(leaves(tree)).toEqual([[1, 5, 9]]);
    tree.split(item(9), { size: 50, value: "third" }, { key: item(12), size: 50, value: "fourth" });
    tree.check();
    expect(leaves(tree)).toEqual([
      [1, 5],
      [9, 12],
    ]);
  });

  it("copies the way to what may be taken out, though nothing is", () => {
    const { tree, store, put } = oneItemALeaf();
    for (let n = 0; n < 3; n++) put(n);
    store.generation += 1;
    const before = store.nodes.size;
    expect(tree.reach(item(-1))).toBeUndefined();
    expect(store.nodes.size).toBe(before + 2);
    expect(tree.reach({ object: 5, kind: 0, offset: 0 })?.value).toBe(tree.get({ object: 2, kind: 0, offset: 0 }));
    expect(store.nodes.size).toBe(before + 3);
  });

  it("takes out what the last leaf has of a range, and says which was the first", () => {
    const { tree, put } = oneItemALeaf();
    for (let n = 0; n < 4; n++) put(n);
    const [from, to] = [
      { object: 1, kind: 0, offset: 0 },
      { object: 3, kind: 0, offset: 0 },
    ];
    expect([tree.removeLast(from, to)?.object, tree.removeLast(from, to)?.object, tree.removeLast(from, to)]).toEqual([
      2,
      1,
      undefined,
    ]);
    tree.check();
    expect(leaves(tree).length).toBe(2);
  });
});
