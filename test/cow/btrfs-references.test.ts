/** Extents with more references than their item has room for: the others are items of their own (fs/btrfs/extent-tree.c: insert_extent_backref). */
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { Random } from "../../sim/core/random.ts";
import { MIB } from "../../sim/core/units.ts";
import { referencesInTree, settleReferences } from "../../sim/cow/btrfs/extent-references.ts";
import { EXTENT_DATA_REF, EXTENT_ITEM_BYTES_MAX, EXTENT_TREE, FORMAT, key, NODE_SIZE } from "../../sim/cow/btrfs/layout.ts";
import { usage } from "../../sim/cow/btrfs/usage.ts";
import type { Extent, Reference } from "../../sim/cow/extent.ts";
import { Node } from "../../sim/cow/node.ts";
import { Tree } from "../../sim/cow/tree.ts";
import { O_CREAT, O_RDONLY, O_RDWR } from "../../sim/vfs/filesystem.ts";
import { BtrfsLab, must } from "./btrfs-lab.ts";

/** How many references an extent's item has. */
function inlineOf({ inline }: Extent): number {
  let count = 0;
  for (let at = inline; at !== undefined; at = at.next) count += 1;
  return count;
}

/** All extents as the extent tree has them. */
function extentsOf(lab: BtrfsLab): Extent[] {
  const found: Extent[] = [];
  lab.fs.state.tree(EXTENT_TREE).visit(key(0, 0), key(2 ** 52, 0), (_at, value) => {
    if (typeof value === "object" && value !== null && "inline" in value) found.push(value as Extent);
    return false;
  });
  return found;
}

/** Files enough for a tree of two levels, one with data of its own. */
function filled(): BtrfsLab {
  const lab = new BtrfsLab({ size: MIB(900) });
  must(lab.subvolume("/m/a"));
  for (let n = 0; n < 120; n++) must(lab.write(`/m/a/file-${n}`, Content.pattern(n, 900)));
  must(lab.write("/m/a/data", Content.pattern(7, 100_000)));
  lab.settle();
  return lab;
}

test("a node that more than a hundred snapshots share keeps references apart, and loses them one by one", () => {
  const lab = filled();
  const fresh = usage(new BtrfsLab({ size: MIB(900) }).fs.state);
  const names = Array.from({ length: 140 }, (_, n) => `/m/s${n}`);
  for (const name of names) must(lab.snapshot("/m/a", name));
  lab.fs.check();
  const shared = extentsOf(lab).filter(({ apart }) => apart > 0);
  expect(shared.length).toBeGreaterThan(5);
  for (const extent of shared) {
    expect(inlineOf(extent)).toBe(107);
    const all = referencesInTree(lab.fs.state.tree(EXTENT_TREE), extent);
    expect([all.length, new Set(all.map(({ tree }) => tree)).size]).toEqual([141, 141]);
  }
  // Writing in the source and in a snapshot leaves the others alone.
  const before = lab.read("/m/s9/file-3");
  must(lab.write("/m/a/file-3", "changed"));
  must(lab.write("/m/s50/data", Content.pattern(9, 5000), 8192));
  lab.settle();
  lab.fs.check();
  expect(lab.read("/m/s9/file-3")).toBe(before);
  must(lab.host.unmount("/m"));
  lab.mount();
  lab.fs.check();
  const random = new Random(5);
  for (const left = [...names]; left.length > 0; ) {
    const [name = ""] = left.splice(random.below(left.length), 1);
    must(lab.remove(name));
    if (left.length % 40 === 0) {
      lab.settle();
      lab.fs.check();
    }
  }
  must(lab.remove("/m/a"));
  lab.settle();
  lab.fs.check();
  expect(usage(lab.fs.state).data.used).toBe(0);
  expect(usage(lab.fs.state).metadata.used).toBeLessThanOrEqual(fresh.metadata.used + 16_384);
});

test("metadata grows with snapshots as it did on Linux 6.18", () => {
  const lab = filled();
  const measured = [327_680, 655_360, 1_015_808, 1_359_872, 1_703_936, 2_080_768, 2_408_448, 2_785_280];
  const ours = [usage(lab.fs.state).metadata.used];
  for (let n = 0; n < 140; n++) {
    must(lab.snapshot("/m/a", `/m/s${n}`));
    if (n % 20 === 19) ours.push(lab.settle().metadata);
  }
  expect(ours).toEqual(measured);
});

test("data that many files share keeps their references apart, with quotas counting them", () => {
  const lab = filled();
  lab.quota();
  const { task } = lab.host;
  for (let n = 0; n < 90; n++) {
    const from = must(task.open("/m/a/data", O_RDONLY));
    const to = must(task.open(`/m/a/copy-${n}`, O_RDWR | O_CREAT, 0o644));
    must(task.clone(from, to));
    task.close(from);
    task.close(to);
    if (n % 30 === 29) lab.settle();
  }
  lab.settle();
  lab.fs.check();
  const [data] = extentsOf(lab).filter(({ level, apart }) => level < 0 && apart > 0);
  expect([data?.references, data && inlineOf(data)]).toEqual([91, 33]);
  must(lab.snapshot("/m/a", "/m/s"));
  for (let n = 0; n < 90; n += 2) must(task.unlink(`/m/a/copy-${n}`));
  must(lab.write("/m/s/copy-3", "x", 4096));
  lab.settle();
  lab.fs.check();
  must(lab.host.unmount("/m"));
  lab.mount();
  lab.fs.check();
  for (const name of ["/m/s", "/m/a"]) must(lab.remove(name));
  lab.settle();
  lab.fs.check();
  expect(usage(lab.fs.state).data.used).toBe(0);
});

test("a subvolume of 120 files has the kernel's leaves, and the one that it leaves to its snapshot counts for itself", () => {
  // btrfs inspect-internal dump-tree of trees 256 and 2 on Linux 6.18: items and free bytes of each leaf, references in the extent tree.
  const lab = new BtrfsLab({ size: MIB(1024) });
  const { state } = lab.fs;
  must(lab.subvolume("/m/a"));
  for (let n = 0; n < 120; n++) must(lab.write(`/m/a/f${String(n).padStart(3, "0")}`, Content.pattern(n, 5000)));
  lab.settle();
  const id = must(lab.snapshot("/m/a", "/m/s"));
  must(lab.host.task.chmod("/m/a/f000", 0o600));
  lab.settle();
  const leaves: [items: number, free: number][] = [];
  state.tree(lab.id("/m/a")).visitNodes((node) => {
    if (node.level === 0) leaves.push([node.count, 16_283 - node.used]);
  });
  expect(leaves).toEqual([
    [243, 1716],
    [149, 1368],
    [100, 6132],
    [110, 5294],
  ]);
  const extents = extentsOf(lab);
  const counted = (isData: boolean): number[] => {
    const some = extents.filter(({ level }) => level < 0 === isData);
    return [some.length, some.filter(({ full }) => full).length, some.reduce((sum, one) => sum + inlineOf(one), 0)];
  };
  expect(counted(true)).toEqual([120, 0, 120]);
  expect(counted(false)).toEqual([16, 1, 19]);
  // The leaf of names was the subvolume's; now it is the snapshot's alone.
  const [left] = extents.filter(({ full }) => full);
  expect(left?.inline?.reference.tree).toBe(id);
  lab.fs.check();
});

/** A tree that stands for the extent tree, in memory. */
function extentTree(): Tree {
  const nodes = new Map<number, Node>();
  let next = 1;
  return new Tree(
    {
      format: FORMAT,
      read: (address) => nodes.get(address) as Node,
      allocate: (tree, level) => {
        const node = new Node({ length: NODE_SIZE, address: next++, generation: 1, level, owner: tree.id });
        nodes.set(node.address, node);
        return node;
      },
      isOwn: () => true,
      copied: () => false,
      freed: (_tree, node) => nodes.delete(node.address),
    },
    EXTENT_TREE,
  );
}

const START = 1_048_576;
const nameOf = ({ parent, tree, object, offset }: Reference): string => `${parent}/${tree}/${object}/${offset}`;
const counted = (references: Iterable<readonly [string, number]>): string => [...references].sort().join(" ");

/** An extent whose references change as they do at commits, beside a plain count of them. */
class Counted {
  readonly tree: Tree = extentTree();
  readonly model: Map<string, number> = new Map();
  extent: Extent;

  constructor(level: number) {
    const place = { start: START, length: NODE_SIZE, level, generation: 1 };
    this.extent = { ...place, full: false, references: 0, inline: undefined, itemBytes: 0, apart: 0 };
  }

  change(changes: readonly Reference[]): void {
    const settled = settleReferences(this.tree, this.extent, changes);
    let { references } = this.extent;
    for (const change of changes) {
      references += change.count;
      const count = (this.model.get(nameOf(change)) ?? 0) + change.count;
      if (count === 0) this.model.delete(nameOf(change));
      else this.model.set(nameOf(change), count);
    }
    this.extent = { ...this.extent, ...settled, references };
    this.check();
  }

  check(): void {
    const all = referencesInTree(this.tree, this.extent);
    expect(counted(all.map((one) => [nameOf(one), one.count] as const))).toBe(counted(this.model));
    expect(all.length - inlineOf(this.extent)).toBe(this.extent.apart);
    expect(this.extent.itemBytes).toBeLessThan(EXTENT_ITEM_BYTES_MAX);
    const inline = all.slice(0, inlineOf(this.extent));
    // Of a node owners come first, and of each kind the greatest (lookup_inline_extent_backref).
    const order = inline.map(({ parent, tree }) => (parent > 0 ? parent : 2 ** 40 + tree));
    if (this.extent.level >= 0) expect(order).toEqual([...order].sort((one, other) => other - one));
  }
}

test.each([
  ["data", -1],
  ["a node", 0],
])("references to %s are counted wherever they are kept, in the order that they have there", (_, level) => {
  const random = new Random(level + 9);
  const counts = new Counted(level);
  const reference = (): Reference => {
    const parent = random.below(2) === 0 ? NODE_SIZE * (1 + random.below(150)) : 0;
    const isOwners = parent === 0 && level < 0;
    const tree = parent > 0 ? 0 : 256 + random.below(isOwners ? 3 : 150);
    return { parent, tree, object: isOwners ? 257 + random.below(60) : 0, offset: 0, count: 1 };
  };
  for (let round = 0; round < 60; round++) {
    const changes = new Map<string, Reference>();
    for (let n = 0; n < 12; n++) {
      const one = reference();
      const has = counts.model.get(nameOf(one)) ?? 0;
      // A node has each of its references once.
      if (level >= 0 && has === 1 ? true : has > 0 && random.below(3) === 0) changes.set(nameOf(one), { ...one, count: -has });
      else changes.set(nameOf(one), { ...one, count: level < 0 ? 1 + random.below(2) : 1 });
    }
    counts.change([...changes.values()]);
  }
  expect(counts.extent.apart).toBeGreaterThan(10);
});

test("references of one hash are told apart, also when the first of them has gone", () => {
  const counts = new Counted(-1);
  const random = new Random(1);
  const offset = (): number => random.below(2 ** 31) * 4096;
  counts.change(Array.from({ length: 2500 }, () => ({ parent: 0, tree: 256, object: 257, offset: offset(), count: 1 })));
  const places: number[] = [];
  counts.tree.visit(key(START, EXTENT_DATA_REF), key(START, EXTENT_DATA_REF + 1), ({ offset }) => {
    places.push(offset);
    return false;
  });
  const behind = places.filter((at, index) => at === (places[index - 1] ?? 0) + 1);
  expect(behind.length).toBeGreaterThan(0);
  // A few are enough: each change is followed by a look at all references.
  const firsts = behind.slice(0, 6).map((at) => at - 1);
  const there = (at: number): Reference => counts.tree.get(key(START, EXTENT_DATA_REF, at)) as Reference;
  for (const first of firsts) {
    const [one, other] = [there(first), there(first + 1)];
    counts.change([{ ...one, count: -1 }]);
    counts.change([other]);
    counts.change([{ ...other, count: -2 }]);
  }
});
