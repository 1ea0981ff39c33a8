/** The space of a btrfs against a plain list of its sectors, and the rules of chunks and size classes one by one (fs/btrfs/free-space-cache.c, volumes.c; Linux 6.18). */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { GIB, KIB, MIB } from "../../sim/core/units.ts";
import { BlockGroup } from "../../sim/cow/btrfs/block-group.ts";
import type { ChunkType } from "../../sim/cow/btrfs/items.ts";
import { SECTOR_SIZE } from "../../sim/cow/btrfs/layout.ts";
import { Space, sizeClassOf } from "../../sim/cow/btrfs/space.ts";
import { runs } from "../runs.ts";

const START = MIB(1);
const SECTORS = 64;

function chunk(start: number, length: number, type: ChunkType = "data", copyAt = start + length): BlockGroup {
  return new BlockGroup({ start, length, type, stripes: type === "data" ? [start] : [start, copyAt] });
}

/** The free ranges of a list of sectors: begin and length in sectors. */
function ranges(free: readonly boolean[]): [number, number][] {
  const out: [number, number][] = [];
  for (const [at, isFree] of free.entries()) {
    const last = out.at(-1);
    if (!isFree) continue;
    if (last !== undefined && last[0] + last[1] === at) last[1] += 1;
    else out.push([at, 1]);
  }
  return out;
}

const CALL = fc.record({
  call: fc.constantFrom("find", "hint", "take", "take", "give"),
  at: fc.integer({ min: 0, max: SECTORS - 1 }),
  count: fc.integer({ min: 1, max: 12 }),
});

describe("a chunk of data", () => {
  test("finds the longest place, or the first behind a hint, as a plain list does", () => {
    fc.assert(
      fc.property(fc.array(CALL, { maxLength: 60, size: "max" }), (calls) => {
        const group = chunk(START, SECTORS * SECTOR_SIZE);
        const free = new Array<boolean>(SECTORS).fill(true);
        const address = (sector: number | undefined): number | undefined =>
          sector === undefined ? undefined : START + sector * SECTOR_SIZE;
        const isAll = (at: number, count: number, value: boolean): boolean =>
          at + count <= SECTORS && free.slice(at, at + count).every((one) => one === value);
        for (const { call, at, count } of calls) {
          const [start, length] = [START + at * SECTOR_SIZE, count * SECTOR_SIZE];
          if (call === "find") {
            const longest = ranges(free).reduce<[number, number]>((best, one) => (one[1] > best[1] ? one : best), [0, 0]);
            expect(group.find(length)).toBe(longest[1] >= count ? address(longest[0]) : undefined);
          } else if (call === "hint") {
            const from = ranges(free)
              .map(([first, many]) => [Math.max(first, at), first + many] as const)
              .find(([first, end]) => end - first >= count);
            expect(group.find(length, start)).toBe(address(from?.[0]));
          } else if (call === "take" && isAll(at, count, true)) {
            group.take(start, length);
            free.fill(false, at, at + count);
          } else if (call === "give" && isAll(at, count, false)) {
            group.discount(length);
            group.give(start, length);
            free.fill(true, at, at + count);
          } else if (call === "take") expect(() => group.take(start, length)).toThrow(`${length} bytes at ${start} are not free`);
          else if (at + count > SECTORS) expect(() => group.give(start, length)).toThrow("belongs to another block group");
          else expect(() => group.give(start, length)).toThrow(/\d+ is free already/);
          const freeCount = free.filter((one) => one).length;
          expect([group.freeBytes, group.used]).toEqual([freeCount * SECTOR_SIZE, (SECTORS - freeCount) * SECTOR_SIZE]);
          expect(group.longest).toBe(Math.max(0, ...ranges(free).map(([, many]) => many)) * SECTOR_SIZE);
          group.check();
        }
      }),
      runs(30),
    );
  });

  test("refuses what is not its own, and forgets its size class when it is empty", () => {
    const group = chunk(START, MIB(1));
    expect(() => group.give(START - SECTOR_SIZE, SECTOR_SIZE)).toThrow("belongs to another block group");
    expect(() => group.give(START + MIB(1) - SECTOR_SIZE, 2 * SECTOR_SIZE)).toThrow("belongs to another block group");
    group.take(START, 2 * SECTOR_SIZE);
    group.sizeClass = "small";
    group.discount(SECTOR_SIZE);
    expect(group.sizeClass).toBe("small");
    group.discount(SECTOR_SIZE);
    expect(group.sizeClass).toBe("none");
    expect(() => group.discount(1)).toThrow(`block group ${START} has more freed than used`);
    expect(group.end).toBe(MIB(2));
    group.used = MIB(1) + 1;
    expect(() => group.check()).toThrow(`block group ${START} holds no more than it has`);
  });

  test("looks for the longest among 256 ranges, and beyond them only for one that fits", () => {
    const group = chunk(0, MIB(8));
    // 300 single sectors, the 100th and the 280th place two long, then everything.
    const taken = Array.from({ length: 300 }, (_, n) => 2 * n + (n >= 100 ? 1 : 0) + (n >= 280 ? 1 : 0));
    for (const sector of taken) group.take(sector * SECTOR_SIZE, SECTOR_SIZE);
    group.take(603 * SECTOR_SIZE, SECTOR_SIZE);
    expect(group.find(SECTOR_SIZE)).toBe(199 * SECTOR_SIZE);
    expect(group.find(3 * SECTOR_SIZE)).toBe(604 * SECTOR_SIZE);
  });
});

describe("a chunk of nodes", () => {
  test("of the system gives the longest place; one of metadata all that is free, from its beginning, once it is used up", () => {
    const system = chunk(0, MIB(1), "system");
    system.take(KIB(16), KIB(16));
    expect([system.takeNode(KIB(16)), system.freeBytes]).toEqual([KIB(32), MIB(1) - KIB(32)]);
    const metadata = chunk(0, KIB(64), "metadata");
    const taken = [0, 1, 2, 3, 4].map(() => metadata.takeNode(KIB(16)));
    expect(taken).toEqual([0, KIB(16), KIB(32), KIB(48), undefined]);
    expect([metadata.used, metadata.freeBytes]).toEqual([KIB(64), 0]);
    metadata.discount(KIB(16));
    metadata.give(KIB(32), KIB(16));
    expect(() => metadata.give(KIB(32), KIB(16))).toThrow("is free already");
    expect([metadata.takeNode(KIB(16)), metadata.takeNode(KIB(16))]).toEqual([KIB(32), undefined]);
    metadata.discount(KIB(8));
    metadata.give(0, KIB(8));
    expect(() => metadata.takeNode(KIB(16))).toThrow("has no room for a node at 0");
  });
});

describe("chunks", () => {
  test.each([
    [0, "small"],
    [KIB(128), "small"],
    [KIB(128) + 1, "medium"],
    [MIB(8), "medium"],
    [MIB(8) + 1, "large"],
  ] as const)("are of a class by the length of their first extent: %i bytes are %s", (length, expected) => {
    expect(sizeClassOf(length)).toBe(expected);
  });

  function withData(sizeClasses: boolean, count = 3): Space {
    const space = new Space(GIB(1), sizeClasses);
    for (let n = 0; n < count; n++) space.add(chunk(MIB(80) + n * MIB(16), MIB(16)));
    return space;
  }

  test("keep to their classes while there is another way", () => {
    const space = withData(true);
    const taken = [KIB(4), MIB(1), MIB(9), KIB(8), MIB(1)].map((length) => space.takeData(length, undefined)?.start);
    expect(taken).toEqual([MIB(80), MIB(96), MIB(112), MIB(80) + KIB(4), MIB(97)]);
    expect(space.groups.map(({ sizeClass }) => sizeClass)).toEqual(["small", "medium", "large"]);
    // Before 6.2 there were none.
    const plain = withData(false);
    expect([KIB(4), MIB(1), MIB(9)].map((length) => plain.takeData(length, undefined)?.start)).toEqual([
      MIB(80),
      MIB(80) + KIB(4),
      MIB(81) + KIB(4),
    ]);
  });

  test("give a file what lies behind its last extent, in the chunk where that is", () => {
    const space = withData(false);
    expect(space.takeData(KIB(8), MIB(98))?.start).toBe(MIB(98));
    expect(space.takeData(KIB(8), MIB(98))?.start).toBe(MIB(98) + KIB(8));
    // The end of a chunk is no place in it.
    expect(space.takeData(KIB(8), MIB(128))?.start).toBe(MIB(80));
    expect(space.takeData(KIB(8), MIB(112) - KIB(4))?.start).toBe(MIB(80) + KIB(8));
    expect(space.takeData(KIB(8), MIB(112))?.start).toBe(MIB(112));
    expect(space.takeData(KIB(8), MIB(80))?.start).toBe(MIB(80) + KIB(16));
  });

  test("are joined by a new one before one of another class is used, and used all the same when there is no room for one", () => {
    const space = new Space(MIB(400), true);
    space.add(chunk(MIB(32), MIB(16)));
    space.takeData(KIB(4), undefined);
    const made: BlockGroup[] = [];
    space.onChunk = (group) => made.push(group);
    const other = space.takeData(MIB(9), undefined);
    // The copy of the superblock at 64 MiB lies in the new one, and more is free behind it.
    expect([made.length, other?.start, made[0]?.sizeClass]).toEqual([1, MIB(64) + KIB(64), "large"]);
    const full = new Space(MIB(20), true);
    full.add(chunk(MIB(1), MIB(18)));
    full.takeData(KIB(4), undefined);
    expect(full.takeData(MIB(9), undefined)).toEqual({ start: MIB(1) + KIB(4), length: MIB(9) });
  });

  test("give fewer bytes than wanted where no place is that long: half as many, again and again, or the longest place", () => {
    const space = new Space(MIB(9), false);
    space.add(chunk(MIB(1), MIB(8)));
    // Places of 24 and 12 KiB.
    space.takeData(MIB(8), undefined);
    for (const [at, length] of [
      [MIB(2), KIB(24)],
      [MIB(3), KIB(12)],
    ] as const)
      space.release(at, length);
    expect(space.takeData(KIB(100), undefined)).toEqual({ start: MIB(2), length: KIB(24) });
    expect(space.takeData(KIB(20), undefined)).toEqual({ start: MIB(3), length: KIB(8) });
    expect(space.takeData(KIB(20), undefined)).toEqual({ start: MIB(3) + KIB(8), length: KIB(4) });
    expect(space.takeData(KIB(4), undefined)).toBeUndefined();
    expect(() => space.takePromised(KIB(4), undefined)).toThrow("data that was promised space has some");
  });

  test("lie in the first hole of the device that holds all their copies, behind all others by their logical addresses", () => {
    const space = new Space(MIB(1000), true);
    space.add(chunk(MIB(40), MIB(10)));
    space.add(chunk(MIB(60), MIB(10), "metadata", MIB(300)));
    const made = (["metadata", "data", "system"] as const).map((type) => space.makeChunk(type));
    expect(made.map((group) => [group?.type, group?.start, group?.length, group?.stripes])).toEqual([
      ["metadata", MIB(70), MIB(112), [MIB(70), MIB(182)]],
      ["data", MIB(182), MIB(112), [MIB(310)]],
      ["system", MIB(294), MIB(32), [MIB(422), MIB(454)]],
    ]);
    expect([space.allocated, space.unallocated]).toEqual([MIB(10 + 20 + 224 + 112 + 64), MIB(1000 - 430)]);
    expect(space.groupOf(MIB(75))).toBe(made[0]);
    expect(space.groupOf(MIB(182))).toBe(made[1]);
    expect(() => space.groupOf(MIB(55))).toThrow(`address ${MIB(55)} lies in no chunk`);
    expect(space.totals("metadata")).toEqual({ total: MIB(122), used: 0 });
  });

  test("are as long as the longest hole lets them be, whole stripes, and none without room", () => {
    const space = new Space(MIB(200), true);
    expect([space.chunkBytes("data"), space.chunkBytes("metadata"), space.chunkBytes("system")]).toEqual([
      MIB(32),
      MIB(32),
      MIB(32),
    ]);
    space.add(chunk(MIB(1), MIB(199) - KIB(200)));
    expect([space.chunkBytes("data"), space.chunkBytes("metadata"), space.chunkBytes("system")]).toEqual([
      KIB(192),
      KIB(64),
      KIB(64),
    ]);
    space.add(chunk(MIB(200), KIB(192), "data"));
    const full = new Space(MIB(20) + KIB(3), true);
    expect(full.deviceBytes).toBe(MIB(20));
    full.add(chunk(MIB(1), MIB(19) - KIB(60)));
    expect([full.chunkBytes("data"), full.makeChunk("data"), full.makeChunk("metadata")]).toEqual([0, undefined, undefined]);
    expect(() => full.takeNode("system", KIB(16))).toThrow("no room for a system node");
  });

  test("leave out the stripe that a superblock's copy lies in, in whichever copy of theirs", () => {
    const space = new Space(GIB(1), true);
    space.add(new BlockGroup({ start: MIB(500), length: MIB(16), type: "data", stripes: [MIB(60)] }));
    space.add(new BlockGroup({ start: MIB(600), length: MIB(16), type: "metadata", stripes: [MIB(100), MIB(64)] }));
    space.add(new BlockGroup({ start: MIB(700), length: MIB(16), type: "data", stripes: [MIB(48)] }));
    expect(space.groups.map(({ freeBytes }) => MIB(16) - freeBytes)).toEqual([KIB(64), KIB(64), 0]);
    expect(() => space.groups[0]?.take(MIB(504), SECTOR_SIZE)).toThrow("are not free");
    expect(() => space.groups[1]?.take(MIB(600), SECTOR_SIZE)).toThrow("are not free");
    space.groups[0]?.take(MIB(504) + KIB(64), SECTOR_SIZE);
    space.groups[0]?.take(MIB(504) - SECTOR_SIZE, SECTOR_SIZE);
  });

  test("count what was freed as pinned until the commit, and tell then whether it was a node", () => {
    const space = withData(false);
    space.add(chunk(MIB(200), MIB(1), "metadata", MIB(300)));
    space.takeData(KIB(8), undefined);
    const node = space.takeNode("metadata", KIB(16));
    space.pin(MIB(80), KIB(8));
    space.pin(node, KIB(16));
    expect([space.pinned("data"), space.pinned("metadata"), space.pinned("system")]).toEqual([KIB(8), KIB(16), 0]);
    expect(space.groups.map(({ used }) => used)).toEqual([0, 0, 0, 0]);
    expect(space.takeData(KIB(4), undefined)?.start).not.toBe(MIB(80));
    const told: [number, boolean][] = [];
    space.unpin((start, isNode) => told.push([start, isNode]));
    expect(told).toEqual([
      [MIB(80), false],
      [node, true],
    ]);
    expect([space.pinned("data"), space.pinned("metadata")]).toEqual([0, 0]);
  });

  test("tell what new data can have: what is free in them, and what new ones would take but for a MiB", () => {
    const space = withData(false, 1);
    const taken = space.takeData(MIB(6), undefined) as { start: number; length: number };
    expect(space.dataAvailable).toBe(MIB(16) + GIB(1) - MIB(16) - MIB(1));
    space.settled(taken.start, taken.length);
    expect(space.dataAvailable).toBe(MIB(10) + GIB(1) - MIB(16) - MIB(1));
    const full = new Space(MIB(17), false);
    full.add(chunk(MIB(1), MIB(16)));
    expect(full.dataAvailable).toBe(MIB(16));
  });

  test("are checked one by one", () => {
    const space = withData(false);
    space.check();
    (space.groups[1] as BlockGroup).used = MIB(17);
    expect(() => space.check()).toThrow("holds no more than it has");
  });
});
