/** Where blocks of a pool lie: places against a plain search through lists (module/zfs/metaslab.c). */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { KIB, MIB } from "../../sim/core/units.ts";
import type { Dva } from "../../sim/cow/zfs/block-pointer.ts";
import { PoolSpace, type SpaceOfDevice } from "../../sim/cow/zfs/space.ts";
import { runs } from "../runs.ts";

/** Units in use, metaslab by metaslab, and a search that goes through them one by one. */
class PlainSpace {
  readonly devices: { unit: number; shift: number; slabs: boolean[][]; active: { slab: number; cursor: number }[] }[];
  rotor = 0;
  spent = 0;

  constructor(devices: readonly SpaceOfDevice[]) {
    this.devices = devices.map(({ size, metaslabShift, ashift }) => {
      const count = Math.floor(size / 2 ** metaslabShift);
      const slabs = Array.from({ length: count }, () => new Array<boolean>(2 ** (metaslabShift - ashift)).fill(false));
      const active = [0, 1, 2].map((copy) => ({ slab: Math.floor((copy * count) / 3), cursor: 0 }));
      return { unit: 2 ** ashift, shift: metaslabShift, slabs, active };
    });
  }

  #runFrom(slab: readonly boolean[], units: number, cursor: number): number | undefined {
    const isFree = (start: number): boolean => start + units <= slab.length && !slab.slice(start, start + units).includes(true);
    for (let start = cursor; start < slab.length; start++) if (isFree(start)) return start;
    for (let start = 0; start < cursor; start++) if (isFree(start)) return start;
    return undefined;
  }

  place(size: number, copy: number): Dva | undefined {
    const count = this.devices.length;
    for (let tries = 0; tries < count; tries++) {
      const vdev = (this.rotor + copy + tries) % count;
      const device = this.devices[vdev];
      const at = device?.active[copy];
      if (device === undefined || at === undefined) return undefined;
      const units = Math.ceil(size / device.unit);
      for (let slabs = 0; slabs < device.slabs.length; slabs++) {
        const slab = device.slabs[at.slab] ?? [];
        const start = this.#runFrom(slab, units, at.cursor);
        if (start === undefined) {
          at.slab = (at.slab + 1) % device.slabs.length;
          at.cursor = 0;
          continue;
        }
        slab.fill(true, start, start + units);
        at.cursor = start + units;
        this.spent += units * device.unit;
        if (this.spent >= MIB(1)) {
          this.spent = 0;
          this.rotor = (this.rotor + 1) % count;
        }
        return { vdev, offset: at.slab * 2 ** device.shift + start * device.unit, size: units * device.unit };
      }
    }
    return undefined;
  }

  give({ vdev, offset, size }: Dva): void {
    const { unit, shift, slabs } = this.devices[vdev] as (typeof this.devices)[number];
    const slab = Math.floor(offset / 2 ** shift);
    const start = (offset - slab * 2 ** shift) / unit;
    slabs[slab]?.fill(false, start, start + size / unit);
  }

  get allocated(): number {
    let sum = 0;
    for (const { unit, slabs } of this.devices) for (const slab of slabs) sum += slab.filter((used) => used).length * unit;
    return sum;
  }
}

const DEVICES: readonly SpaceOfDevice[] = [
  { size: KIB(640) + 1, metaslabShift: 17, ashift: 12 },
  { size: KIB(520), metaslabShift: 18, ashift: 14 },
  { size: KIB(256), metaslabShift: 16, ashift: 13 },
];

const CALL = fc.record({
  call: fc.constantFrom("take", "take", "take", "give", "done"),
  size: fc.integer({ min: 1, max: KIB(90) }),
  copies: fc.integer({ min: 1, max: 3 }),
  which: fc.nat(),
  isNow: fc.boolean(),
});

describe("the space of a pool", () => {
  test("is taken where a plain search finds it, and free again two groups after it was given up", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3 }), fc.array(CALL, { maxLength: 60, size: "max" }), (count, calls) => {
        const space = new PoolSpace(DEVICES.slice(0, count));
        const plain = new PlainSpace(DEVICES.slice(0, count));
        const taken: Dva[] = [];
        const waiting: { dva: Dva; group: number }[] = [];
        let group = 5;
        for (const { call, size, copies, which, isNow } of calls) {
          if (call === "take") {
            const expected: Dva[] = [];
            for (let copy = 0; copy < copies && expected.length === copy; copy++) {
              const place = plain.place(size, copy);
              if (place !== undefined) expected.push(place);
            }
            const places = space.allocate(size, copies);
            if (expected.length < copies) for (const dva of expected) plain.give(dva);
            else taken.push(...expected);
            expect(places).toEqual(expected.length < copies ? undefined : expected);
          } else if (call === "give" && taken.length > 0) {
            const [dva] = taken.splice(which % taken.length, 1) as [Dva];
            space.free(dva, group, isNow);
            if (isNow) plain.give(dva);
            else waiting.push({ dva, group });
          } else if (call === "done") {
            space.groupDone(group);
            while (waiting[0] !== undefined && waiting[0].group <= group - 2) plain.give((waiting.shift() as { dva: Dva }).dva);
            group += 1;
          }
          expect([space.allocated, space.deferredBytes]).toEqual([
            plain.allocated,
            waiting.reduce((sum, { dva }) => sum + dva.size, 0),
          ]);
          space.check();
        }
        // An import finds the same places taken.
        const again = new PoolSpace(DEVICES.slice(0, count));
        for (const dva of [...taken, ...waiting.map(({ dva }) => dva)]) again.claim(dva);
        again.check();
        expect(again.allocated).toBe(space.allocated);
      }),
      runs(25),
    );
  });

  test("is what whole metaslabs cover, in units of the devices; none is smaller than one metaslab", () => {
    const space = new PoolSpace(DEVICES);
    expect([space.capacity, space.unit]).toEqual([KIB(640) + KIB(512) + KIB(256), 4096]);
    expect([space.roundUp(1), space.roundUp(KIB(16)), space.roundUp(KIB(16) + 1)]).toEqual([KIB(16), KIB(16), KIB(32)]);
    expect(() => new PoolSpace([{ size: KIB(127), metaslabShift: 17, ashift: 9 }])).toThrow("too small for a metaslab");
  });

  test("is refused by check() when more or less is counted than is taken", () => {
    const space = new PoolSpace(DEVICES);
    space.allocate(KIB(16), 2);
    space.check();
    space.allocated += 512;
    expect(() => space.check()).toThrow(`pool: ${KIB(32) + 512} bytes are counted as allocated, ${KIB(32)} are`);
  });
});
