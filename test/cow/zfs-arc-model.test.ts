/** The ARC against a plain one: lists as arrays, every figure after every call (spec/block-cow.md 3; module/zfs/arc.c). */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Clock } from "../../sim/core/clock.ts";
import { Content } from "../../sim/core/content.ts";
import { nanoseconds } from "../../sim/core/units.ts";
import { Arc } from "../../sim/cow/zfs/arc.ts";
import type { BlockPointer } from "../../sim/cow/zfs/block-pointer.ts";
import { runs } from "../runs.ts";

const CAPACITY = 1000;
/** Places with a size each, one larger than the whole ARC; what is there may be freed, and another block written. */
const SIZES = [100, 150, 200, 250, 300, 350, 400, 1001];

function pointer(place: number, birth: number, of: Partial<BlockPointer> = {}): BlockPointer {
  const dvas = [{ vdev: place % 2, offset: 512 * (place >> 1), size: 512 }];
  const logicalSize = SIZES[place] ?? 0;
  return { dvas, logicalSize, physicalSize: 512, birth, level: place % 3 === 0 ? 1 : 0, kind: "data", stamp: 1, ...of };
}

interface Entry {
  readonly place: number;
  readonly birth: number;
  used: number;
}

class PlainArc {
  readonly counters = { hits: 0, misses: 0, demandDataHits: 0, demandDataMisses: 0, ghostHits: 0, evicted: 0 };
  /** The least recently used first: those used once, and those used again. */
  lists: [Entry[], Entry[]] = [[], []];
  ghosts: [number[], number[]] = [[], []];
  target = CAPACITY / 2;

  static bytes(entries: readonly number[]): number {
    return entries.reduce((sum, place) => sum + (SIZES[place] ?? 0), 0);
  }
  places(list: 0 | 1): number[] {
    return this.lists[list].map(({ place }) => place);
  }
  get all(): number[] {
    return [...this.places(0), ...this.places(1)];
  }
  find(place: number): Entry | undefined {
    return [...this.lists[0], ...this.lists[1]].find((entry) => entry.place === place);
  }
  take(place: number): void {
    for (const list of this.lists) {
      const at = list.findIndex((entry) => entry.place === place);
      if (at >= 0) list.splice(at, 1);
    }
  }

  get(place: number, birth: number, now: number): boolean {
    const isData = place % 3 !== 0;
    const found = this.find(place);
    const isHit = found?.birth === birth;
    this.counters[isHit ? "hits" : "misses"] += 1;
    if (isData) this.counters[isHit ? "demandDataHits" : "demandDataMisses"] += 1;
    if (found === undefined || !isHit) return false;
    const isFrequent = this.lists[1].includes(found) || now - found.used >= 62_000_000;
    this.take(place);
    this.lists[isFrequent ? 1 : 0].push({ ...found, used: now });
    return true;
  }

  add(place: number, birth: number, now: number): void {
    const size = SIZES[place] ?? 0;
    if (size > CAPACITY) return;
    this.take(place);
    let isKnown = false;
    for (const which of [0, 1] as const) {
      const at = this.ghosts[which].indexOf(place);
      if (at < 0 || isKnown) continue;
      isKnown = true;
      this.ghosts[which].splice(at, 1);
      this.counters.ghostHits += 1;
      this.target = Math.min(CAPACITY, Math.max(0, this.target + (which === 0 ? size : -size)));
    }
    this.lists[isKnown ? 1 : 0].push({ place, birth, used: now });
    while (PlainArc.bytes(this.all) > CAPACITY) {
      const [recent, frequent] = this.lists;
      const which = recent.length > 0 && (PlainArc.bytes(this.places(0)) > this.target || frequent.length === 0) ? 0 : 1;
      const gone = this.lists[which].shift();
      if (gone === undefined) return;
      this.counters.evicted += 1;
      // Known once more, a ghost keeps its turn.
      const ghosts = this.ghosts[which];
      if (!ghosts.includes(gone.place)) ghosts.push(gone.place);
      while (PlainArc.bytes(ghosts) > CAPACITY) ghosts.shift();
    }
  }
}

const CALL = fc.record({
  call: fc.constantFrom("get", "get", "get", "add", "add", "add", "remove", "clear", "wait"),
  place: fc.integer({ min: 0, max: 7 }),
  birth: fc.constantFrom(1, 1, 1, 2),
  wait: fc.constantFrom(1, 31, 61, 62, 63),
  rare: fc.integer({ min: 0, max: 20 }),
});

describe("the ARC", () => {
  test("holds, counts and gives up what a plain one does", () => {
    fc.assert(
      fc.property(fc.array(CALL, { maxLength: 120, size: "max" }), (calls) => {
        const clock = new Clock();
        const [arc, plain] = [new Arc(clock, CAPACITY), new PlainArc()];
        const contents: Content[] = [];
        for (const { call, place, birth, wait, rare } of calls) {
          const block = pointer(place, birth);
          if (call === "wait") clock.spend(nanoseconds(wait * 1_000_000));
          else if (call === "get") expect(arc.get(block)).toBe(plain.get(place, birth, clock.now) ? contents[place] : undefined);
          else if (call === "add") {
            const content = Content.zeros(8);
            if (place < 7) contents[place] = content;
            arc.add(block, content);
            plain.add(place, birth, clock.now);
          } else if (call === "remove") {
            arc.remove(block);
            if (plain.find(place)?.birth === birth) plain.take(place);
          } else if (rare === 0) {
            arc.clear();
            [plain.lists, plain.ghosts] = [
              [[], []],
              [[], []],
            ];
          }
          arc.check();
          expect(arc.counters).toEqual(plain.counters);
          const held = plain.all;
          expect([arc.size, arc.dataSize]).toEqual([PlainArc.bytes(held), PlainArc.bytes(held.filter((one) => one % 3 !== 0))]);
          const births = SIZES.map((_, at) => plain.find(at)?.birth);
          expect(SIZES.map((_, at) => [1, 2].find((birth) => arc.has(pointer(at, birth))))).toEqual(births);
        }
      }),
      runs(30),
    );
  });

  test("keeps no block that lies in its pointer, and one that is as large as itself", () => {
    const arc = new Arc(new Clock(), CAPACITY);
    arc.add(pointer(1, 1, { dvas: [] }), Content.zeros(8));
    expect([arc.size, arc.has(pointer(1, 1, { dvas: [] }))]).toEqual([0, false]);
    arc.add(pointer(1, 1, { logicalSize: CAPACITY }), Content.zeros(8));
    expect(arc.size).toBe(CAPACITY);
  });

  test("knows a deduplicated block by the group in which it was allocated, and metadata of files from their data", () => {
    const arc = new Arc(new Clock(), CAPACITY);
    arc.add(pointer(1, 9, { physicalBirth: 3 }), Content.zeros(8));
    expect([arc.has(pointer(1, 3)), arc.has(pointer(1, 9))]).toEqual([true, false]);
    expect(arc.get(pointer(1, 3))).toBeDefined();
    arc.add(pointer(2, 1, { kind: "indirect" }), Content.zeros(8));
    arc.get(pointer(2, 1, { kind: "indirect" }));
    arc.get(pointer(4, 1, { kind: "dnodes" }));
    expect(arc.dataSize).toBe(150);
    expect(arc.counters).toMatchObject({ hits: 2, misses: 1, demandDataHits: 1, demandDataMisses: 0 });
  });

  test.each<readonly [string, (arc: Arc) => void, RegExp]>([
    ["bytes that nobody holds", (arc) => (arc.size += 1), /ARC: 251 bytes are counted, 250 held/],
    ["bytes of data that are none", (arc) => (arc.dataSize -= 1), /ARC: 250 bytes are counted, 250 held/],
  ])("is refused by check() with %s", (_, breaks, message) => {
    const arc = new Arc(new Clock(), CAPACITY);
    arc.add(pointer(0, 1), Content.zeros(8));
    arc.add(pointer(1, 1), Content.zeros(8));
    arc.check();
    breaks(arc);
    expect(() => arc.check()).toThrow(message);
  });
});
