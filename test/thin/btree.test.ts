/**
 * The B-tree of persistent-data beside a plain map, alone: whatever the order of its keys, and wherever a block cannot be had or read
 * (drivers/md/persistent-data/dm-btree.c, dm-btree-remove.c).
 */
import { describe, expect, test } from "vitest";
import { Disk } from "../../sim/block/disk.ts";
import { FaultyDevice } from "../../sim/block/faulty.ts";
import { assert } from "../../sim/core/assert.ts";
import { EIO, ENODATA, ENOSPC, type Errno, isErrno } from "../../sim/core/errno.ts";
import { Random } from "../../sim/core/random.ts";
import { BTree, type ValueType } from "../../sim/thin/btree.ts";
import { changeValues } from "../../sim/thin/btree-change.ts";
import { deleteTree } from "../../sim/thin/btree-delete.ts";
import { insert } from "../../sim/thin/btree-insert.ts";
import { childAt, countOf, entriesMaxFor, isLeaf, keyAt, maxOf, valueAt } from "../../sim/thin/btree-node.ts";
import { remove, removeRun } from "../../sim/thin/btree-remove.ts";
import { MetadataBlocks } from "../../sim/thin/metadata-blocks.ts";
import { type BlockSpace, Transaction } from "../../sim/thin/transaction.ts";

/** Large values: seven fit a leaf, of which six are used, so that few keys make three levels. */
const TYPE: ValueType = { size: 512 };
const LEAF_MAX = entriesMaxFor(TYPE.size);

/** Which blocks are in use, in memory; any of its answers may be a failure. */
class Space implements BlockSpace {
  readonly counts: Map<number, number>;
  #next: number;
  /** How many questions are answered before every one fails. */
  patience = Number.POSITIVE_INFINITY;

  constructor(of?: Space) {
    this.counts = new Map(of?.counts);
    this.#next = of?.next ?? 1;
  }

  get next(): number {
    return this.#next;
  }

  get fails(): boolean {
    this.patience -= 1;
    return this.patience < 0;
  }

  newBlock(): number | Errno {
    if (this.fails) return ENOSPC;
    this.counts.set(this.#next, 1);
    return this.#next++;
  }
  #add(begin: number, end: number, by: number): Errno | undefined {
    for (let block = begin; block < end; block++) {
      const count = (this.counts.get(block) ?? 0) + by;
      assert(count >= 0, `block ${block} has ${count} references`);
      this.counts.set(block, count);
    }
    return undefined;
  }
  inc(begin: number, end: number): Errno | undefined {
    return this.#add(begin, end, 1);
  }
  dec(begin: number, end: number): Errno | undefined {
    return this.fails ? EIO : this.#add(begin, end, -1);
  }
  count(block: number): number | Errno {
    return this.fails ? EIO : (this.counts.get(block) ?? 0);
  }
  isShared(block: number): boolean | Errno {
    return this.fails ? EIO : (this.counts.get(block) ?? 0) > 1;
  }
}

const SIZE = 60_000 * 4096;

/** A device with trees, and what they should hold. */
class Lab {
  readonly disk: Disk;
  readonly device: FaultyDevice;
  readonly space: Space;
  readonly tx: Transaction<Space>;
  readonly tree: BTree;
  readonly model: Map<number, number>;

  constructor(of?: Lab) {
    this.disk = of === undefined ? new Disk({ size: SIZE }) : of.disk.clone({ silent: true });
    this.device = new FaultyDevice(this.disk);
    this.space = new Space(of?.space);
    // One block is kept in memory: every other one is read when it is asked for.
    this.tx = new Transaction(new MetadataBlocks(this.device, 1), () => this.space);
    this.tree = new BTree(this.tx, TYPE, of?.tree.root);
    this.model = new Map(of?.model);
    if (of === undefined) expect(this.tree.create()).toBeUndefined();
  }

  commit(): void {
    expect(this.tx.blocks.flush()).toBeUndefined();
    this.tx.begin();
  }

  put(key: number, value = key): Errno | undefined {
    const words = new Uint32Array(TYPE.size / 4);
    words[0] = value;
    return insert(this.tree, key, words);
  }

  set(key: number, value = key): void {
    assert(this.put(key, value) === undefined, `key ${key} was not put`);
    this.model.set(key, value);
  }

  take(key: number): void {
    assert(remove(this.tree, key) === (this.model.delete(key) ? undefined : ENODATA), `key ${key} was not taken`);
  }

  /** The tree holds what the model holds, its nodes are as full as they must be, and every block has as many references as it should. */
  check(others: readonly BTree[] = []): void {
    expect(entries(this.tree)).toEqual([...this.model].sort(([one], [other]) => one - other));
    const found = new Map<number, number>();
    const visit = (block: number, from: number): void => {
      found.set(block, (found.get(block) ?? 0) + 1);
      if ((found.get(block) ?? 0) > 1) return;
      const node = this.tx.read(block, "node");
      if (isErrno(node)) throw new Error(`block ${block}: ${node.code}`);
      const { words } = node;
      const count = countOf(words);
      assert(count === 0 || keyAt(words, 0) >= from, `block ${block} begins before its parent says`);
      for (let index = 1; index < count; index++) assert(keyAt(words, index) > keyAt(words, index - 1), `block ${block}: order`);
      assert(count <= maxOf(words), `block ${block} has ${count} entries`);
      const children = isLeaf(words)
        ? []
        : Array.from({ length: count }, (_, index) => [childAt(words, index), keyAt(words, index)]);
      for (const [child, key] of children) visit(child as number, key as number);
    };
    for (const tree of [this.tree, ...others]) visit(tree.root, 0);
    const counted = new Map([...this.space.counts].filter(([, count]) => count > 0));
    expect([...found].sort(([one], [other]) => one - other)).toEqual([...counted].sort(([one], [other]) => one - other));
  }
}

function entries(tree: BTree): (readonly [number, number])[] {
  const found: (readonly [number, number])[] = [];
  const failed = tree.visitLeaves((words) => {
    for (let index = 0; index < countOf(words); index++)
      found.push([keyAt(words, index), words[valueAt(words, index)] as number]);
  });
  if (failed !== undefined) throw new Error(failed.code);
  return found;
}

const COUNT = 1200;
const ORDERS: readonly (readonly [string, (at: number) => number])[] = [
  ["upwards", (at) => at],
  ["downwards", (at) => COUNT - at],
  ["outwards", (at) => COUNT + (at % 2 === 0 ? at : -at)],
  ["in no order", (at) => (at * 1361) % 5003],
];

describe.each(ORDERS)("a tree that grows %s", (_, key) => {
  test("holds what was put into it, also in a copy that shares its nodes, and shrinks to nothing", () => {
    const lab = new Lab();
    for (let at = 0; at < COUNT; at++) lab.set(key(at));
    lab.check();
    lab.commit();
    const copy = new BTree(lab.tx, TYPE, lab.tree.root);
    const before = entries(copy);
    lab.space.inc(copy.root, copy.root + 1);
    lab.tx.noteReferences(copy.root, copy.root + 1);
    for (let at = 0; at < COUNT; at += 9) lab.set(key(at), at);
    for (let at = 0; at < COUNT; at += 3) lab.take(key(at));
    lab.check([copy]);
    expect(entries(copy)).toEqual(before);
    expect(deleteTree(lab.tx, copy.root, TYPE)).toBeUndefined();
    lab.check();
    lab.commit();
    for (let at = COUNT - 1; at >= 0; at--) lab.take(key(at));
    lab.take(1);
    lab.check();
    expect(lab.tree.findFrom(0)).toBe(ENODATA);
  });
});

test.each([1, 2, 3, 4])("a tree that grows and shrinks at random holds what it should, seed %i", (seed) => {
  const random = new Random(seed);
  const lab = new Lab();
  for (let at = 0; at < 3000; at++) {
    // Ever more is put, then ever more is taken, in runs that leave nodes unevenly full.
    const key = random.below(40) * 50 + random.below(seed * 12);
    if (random.below(3000) > at || random.below(4) === 0) lab.set(key, at);
    else lab.take(key);
    if (at % 750 === 749) lab.check();
  }
  lab.commit();
  const run = removeRun(lab.tree, [...lab.model.keys()].sort((one, other) => one - other)[0] ?? 0, 2);
  expect(isErrno(run)).toBe(false);
});

describe("where a block cannot be had or read", () => {
  /** A tree of three levels, half empty at one end, and a part of which another tree shares. */
  const whole = new Lab();
  for (let at = 0; at < COUNT; at++) whole.set(at * 10);
  whole.commit();
  const shared = whole.tree.root;
  whole.space.inc(shared, shared + 1);
  for (let at = 0; at < 300; at++) whole.take(at * 10);
  for (let at = 0; at < 60; at++) whole.set(9000 + at);
  whole.commit();
  const held = [...whole.model].sort(([one], [other]) => one - other);

  const random = new Random(3);
  const keys = [
    0,
    2999,
    3000,
    8999,
    9003,
    9060,
    (COUNT - 1) * 10,
    COUNT * 10,
    ...Array.from({ length: 4 }, () => random.below(COUNT * 10)),
  ];
  const CHANGES: Readonly<Record<string, (lab: Lab, key: number) => unknown>> = {
    insert: (lab, key) => {
      // Until the leaf is full, and beyond.
      for (let at = 0; at <= LEAF_MAX; at++) {
        const failed = lab.put(key + at * 0.125 * 8);
        if (failed !== undefined) return failed;
      }
      return undefined;
    },
    remove: (lab, key) => {
      const first = lab.tree.findFrom(key);
      if (isErrno(first)) return first;
      let { key: at } = first;
      for (let n = 0; n < 2 * LEAF_MAX; n++) {
        const failed = remove(lab.tree, at);
        if (failed !== undefined) return failed;
        const next = lab.tree.findFrom(at);
        if (isErrno(next)) return next;
        at = next.key;
      }
      return undefined;
    },
    "remove a run": (lab, key) => {
      const gone = removeRun(lab.tree, key - (key % 10), key + 100);
      return isErrno(gone) ? gone : undefined;
    },
    "change values": (lab, key) => {
      const changed = changeValues(lab.tree, key - (key % 10), key + 100, () => 7);
      return isErrno(changed) ? changed : undefined;
    },
    find: (lab, key) => {
      const hit = lab.tree.find(key - (key % 10));
      return isErrno(hit) ? hit : undefined;
    },
    "find the last": (lab) => {
      const last = lab.tree.highestKey();
      return isErrno(last) ? last : undefined;
    },
    "delete all": (lab) => deleteTree(lab.tx, lab.tree.root, TYPE),
  };

  test.each(Object.entries(CHANGES))("to %s gives the error, and what was committed is as it was", (_, change) => {
    for (const key of keys) {
      for (const way of ["space", "read"] as const) {
        for (let at = 1; at < 60; at = Math.ceil(at * 1.4)) {
          const lab = new Lab(whole);
          if (way === "space") lab.space.patience = at - 1;
          else lab.device.inject({ on: "read", at, times: Number.POSITIVE_INFINITY });
          const got = change(lab, key);
          const struck = way === "space" ? lab.space.patience < 0 : lab.device.failed > 0;
          if (!struck) break;
          assert(isErrno(got) && /^(ENOSPC|EIO)$/.test(got.code), `${key} ${way} ${at}: ${String(got)}`);
          lab.device.heal();
        }
      }
    }
    expect(entries(new Lab(whole).tree)).toEqual(held);
  });
});
