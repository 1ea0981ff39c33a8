/** Sums of space in the tree of datasets, and what limits leave: figures by hand (module/zfs/dsl_dir.c: dsl_dir_diduse_space, dsl_dir_space_available, would_change). */
import { describe, expect, test } from "vitest";
import type { BlockPointer } from "../../sim/cow/zfs/block-pointer.ts";
import {
  addUsage,
  availableTo,
  blockBorn,
  blockKilled,
  canTransfer,
  Dataset,
  Directory,
  promisedTo,
  sumBelow,
} from "../../sim/cow/zfs/dsl.ts";

let id = 1;
function directory(name: string, parent?: Directory, properties: Readonly<Record<string, number>> = {}): Directory {
  id += 2;
  const made = new Directory(id, {
    name,
    parent,
    properties: Object.entries(properties).map(([key, value]) => [key, String(value)]),
  });
  parent?.addChild(made);
  return made;
}

function block(size: number, birth: number, logicalSize = 2 * size): BlockPointer {
  const dvas = [{ vdev: 0, offset: 0, size }];
  return { dvas, logicalSize, physicalSize: size, birth, level: 0, kind: "data", stamp: 1 };
}

const used = (...of: readonly Directory[]): number[] => of.map((one) => one.used);

describe("what a dataset uses", () => {
  test("counts in all that are above, unless a reservation on the way hides it", () => {
    const tank = directory("tank");
    const [a, plain] = [directory("a", tank, { reservation: 1000 }), directory("p", tank)];
    const b = directory("b", a);
    // As a reservation is counted when it is set.
    tank.usage.children = 1000;
    addUsage(b, "head", { used: 300, logical: 500, physical: 250 });
    expect(used(b, a, tank)).toEqual([300, 300, 1000]);
    addUsage(b, "head", { used: 900 });
    expect(used(b, a, tank)).toEqual([1200, 1200, 1200]);
    addUsage(b, "snapshots", { used: -700, logical: -100, physical: -50 });
    expect(used(b, a, tank)).toEqual([500, 500, 1000]);
    addUsage(plain, "promised", { used: 7 });
    expect([used(plain, tank), plain.usage]).toEqual([
      [7, 1007],
      { head: 0, snapshots: 0, children: 0, promised: 7, logical: 0, physical: 0 },
    ]);
    expect([sumBelow(b, "logical"), sumBelow(tank, "logical"), sumBelow(plain, "logical")]).toEqual([400, 400, 0]);
    expect([sumBelow(b, "physical"), sumBelow(tank, "physical")]).toEqual([200, 200]);
  });

  test("leaves what its own limit and those above do", () => {
    const tank = directory("tank");
    const a = directory("a", tank, { quota: 500 });
    const b = directory("b", a, { reservation: 200 });
    const c = directory("c", a);
    expect([tank, a, b, c].map((one) => availableTo(one, 1000))).toEqual([1000, 500, 700, 500]);
    a.usage.head = 100;
    a.usage.children = 200;
    b.usage.head = 50;
    tank.usage.children = 300;
    // What of its reservation it has not taken is there for it alone.
    expect([tank, a, b, c].map((one) => availableTo(one, 1000))).toEqual([700, 200, 350, 200]);
    expect([tank, a, b].map((one) => availableTo(one, 250))).toEqual([0, 0, 150]);
    b.setProperty("quota", "60");
    expect(availableTo(b, 1000)).toBe(10);
    a.usage.head = 900;
    expect([availableTo(a, 1000), availableTo(c, 1000)]).toEqual([0, 0]);
  });

  test("may move where only limits that hold both ends would forbid it", () => {
    const tank = directory("tank");
    const group = directory("g", tank, { quota: 1000 });
    const [from, to, limited] = [directory("f", group), directory("t", group), directory("l", group, { quota: 300 })];
    const other = directory("o", tank);
    from.usage.head = 900;
    group.usage.children = 900;
    tank.usage.children = 900;
    expect([
      canTransfer(from, to, 900, 2000),
      canTransfer(from, limited, 900, 2000),
      canTransfer(from, limited, 300, 2000),
    ]).toEqual([true, false, true]);
    expect([canTransfer(from, other, 900, 950), canTransfer(from, to, 1001, 2000)]).toEqual([true, false]);
    // From outside the group's limit counts.
    other.usage.head = 500;
    tank.usage.children = 1400;
    expect([canTransfer(other, to, 100, 2000), canTransfer(other, to, 101, 2000)]).toEqual([true, false]);
    // A reservation keeps what leaves it from becoming free.
    from.setProperty("reservation", "900");
    expect([canTransfer(from, to, 100, 2000), canTransfer(from, to, 101, 2000)]).toEqual([true, false]);
  });
});

/** A head with snapshots of groups 10 and 20, the older first, and a block of 100 bytes born in each of the groups 5, 15, 25. */
function withSnapshots(): { head: Dataset; one: Dataset; two: Dataset; blocks: readonly BlockPointer[]; tank: Directory } {
  const tank = directory("tank");
  const a = directory("a", tank);
  const { head } = a;
  const [one, two] = [new Dataset(101, a, "one"), new Dataset(102, a, "two")];
  const blocks = [block(100, 5), block(100, 15), block(100, 25)];
  for (const pointer of blocks) blockBorn(head, pointer);
  [one.group, two.group] = [10, 20];
  [two.previous, head.previous] = [one, two];
  [one.next, two.next] = [two, head];
  head.unique = 100;
  return { head, one, two, blocks, tank };
}

describe("a block", () => {
  test("that a head writes counts in it and above, as it is stored and as it was before compression", () => {
    const tank = directory("tank");
    const { head } = directory("a", tank, { refreservation: 1000 });
    head.directory.usage.promised = 1000;
    tank.usage.children = 1000;
    blockBorn(head, block(300, 5));
    expect([head.referenced, head.unique, head.logical, head.directory.usage.head, head.directory.usage.promised]).toEqual([
      300, 300, 600, 300, 700,
    ]);
    expect([used(head.directory, tank), sumBelow(tank, "logical"), promisedTo(head.directory)]).toEqual([[1000, 1000], 600, 700]);
    blockBorn(head, block(900, 6));
    expect([head.directory.usage.promised, used(tank)]).toEqual([0, [1200]]);
    expect(blockKilled(head, block(300, 5))).toBe(true);
    expect([head.referenced, head.unique, head.logical, head.directory.usage.head, head.directory.usage.promised]).toEqual([
      900, 900, 1800, 900, 100,
    ]);
  });

  test("that a head lets go stays with the newest snapshot that has it, by the snapshot before its birth", () => {
    const { head, one, two, blocks, tank } = withSnapshots();
    const [old, middle, young] = blocks as readonly [BlockPointer, BlockPointer, BlockPointer];
    expect([blockKilled(head, young), head.referenced, head.unique, head.directory.usage.head]).toEqual([true, 200, 0, 200]);
    expect(blockKilled(head, middle)).toBe(false);
    expect([head.referenced, two.unique, one.unique, head.directory.usage.head, head.directory.usage.snapshots]).toEqual([
      100, 100, 0, 100, 100,
    ]);
    expect(blockKilled(head, old)).toBe(false);
    // Both snapshots have it: it is nobody's own.
    expect([head.referenced, two.unique, one.unique]).toEqual([0, 100, 0]);
    expect([head.directory.usage.head, head.directory.usage.snapshots]).toEqual([0, 200]);
    expect(head.deadList.freeze().lists.map(([key, { used: bytes }]) => [key, bytes])).toEqual([
      [0, 100],
      [10, 100],
    ]);
    expect([head.written, used(tank)]).toEqual([head.referenced - two.referenced + 200, [200]]);
    expect(() => blockKilled(new Dataset(1, tank, undefined), block(1, 0))).toThrow("has no snapshot to stay with");
  });

  test("that a clone lets go and its origin has is none of the clone's", () => {
    const { two, blocks, tank } = withSnapshots();
    const clone = directory("c", tank);
    clone.origin = two;
    const { head } = clone;
    head.previous = two;
    head.referenced = 200;
    two.addClone(head);
    expect(blockKilled(head, blocks[1] as BlockPointer)).toBe(false);
    expect([head.referenced, two.unique, clone.usage.head, clone.usage.snapshots, clone.originGroup]).toEqual([100, 0, 0, 0, 20]);
    expect(head.deadList.space()).toEqual({ used: 100, logical: 200, physical: 100 });
  });

  test("dies by the newest older snapshot, whichever was asked before", () => {
    const { head, one, two } = withSnapshots();
    for (const births of [
      [5, 10, 11, 20, 21],
      [21, 20, 11, 10, 5],
      [20, 5, 20, 5, 20],
    ])
      expect(births.map((birth) => head.keyOf(birth, two))).toEqual(
        births.map((birth) => (birth > 20 ? 20 : birth > 10 ? 10 : 0)),
      );
    expect([head.keyOf(11, one), head.keyOf(5, one), head.previousGroup, one.previousGroup]).toEqual([10, 0, 20, 0]);
  });
});
