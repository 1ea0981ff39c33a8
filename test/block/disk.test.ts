import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CountingDevice } from "../../sim/block/counting.ts";
import { readEach, writeEach } from "../../sim/block/device.ts";
import { type CutChoice, Disk, keepAll, keepFirst, keepNone, keepRandom } from "../../sim/block/disk.ts";
import { DiskHistory } from "../../sim/block/history.ts";
import { HDD, NVME } from "../../sim/block/profile.ts";
import { Clock } from "../../sim/core/clock.ts";
import { Content } from "../../sim/core/content.ts";
import { EINVAL, isErrno } from "../../sim/core/errno.ts";
import { EventStream } from "../../sim/core/events.ts";
import { Random } from "../../sim/core/random.ts";
import { bytes, MIB, TIB } from "../../sim/core/units.ts";
import { runs } from "../runs.ts";

const SECTOR = 512;
const SECTORS = 64;

function rd(disk: Disk, sector = 0, sectors: number = disk.size / SECTOR - sector): Content {
  const content = disk.read(bytes(sector * SECTOR), bytes(sectors * SECTOR));
  if (isErrno(content)) throw new Error(`read gave ${content}`);
  return content;
}

/** Writes sectors of the pattern of `seed`. */
function wr(disk: Disk, sector: number, sectors: number, seed: number): void {
  expect(disk.write(bytes(sector * SECTOR), Content.pattern(seed, sectors * SECTOR))).toBeUndefined();
}

/** The model: for each sector the seed and place of what it holds, undefined for zeros. */
type Model = (string | undefined)[];

function put(model: Model, command: Command): void {
  for (let n = 0; n < command.sectors; n++) model[command.sector + n] = command.seed === 0 ? undefined : `${command.seed}+${n}`;
}

function holds(disk: Disk, model: Model): void {
  const held = model.map((_, sector) => rd(disk, sector, 1));
  for (const [sector, cell] of model.entries()) {
    const [seed, place] = (cell ?? "0+0").split("+").map(Number) as [number, number];
    const expected = cell === undefined ? Content.zeros(SECTOR) : Content.pattern(seed, SECTOR, place * SECTOR);
    expect((held[sector] as Content).equals(expected), `sector ${sector} of ${disk.name}`).toBe(true);
  }
  expect(disk.allocatedBytes).toBe(model.filter((cell) => cell !== undefined).length * SECTOR);
}

interface Command {
  readonly sector: number;
  readonly sectors: number;
  /** 0 writes zeros; of a discard always 0. */
  readonly seed: number;
  readonly kind: "write" | "discard" | "flush";
}

const commands: fc.Arbitrary<Command[]> = fc.array(
  fc
    .record({
      sector: fc.nat(SECTORS - 1),
      sectors: fc.integer({ min: 1, max: 12 }),
      seed: fc.nat(3),
      kind: fc.constantFrom("write" as const, "write" as const, "write" as const, "discard" as const, "flush" as const),
    })
    .map((made) => ({
      ...made,
      sectors: Math.min(made.sectors, SECTORS - made.sector),
      seed: made.kind === "discard" ? 0 : made.seed,
    })),
  { maxLength: 40 },
);

function run(disk: Disk, command: Command): void {
  const offset = bytes(command.sector * SECTOR);
  const length = bytes(command.sectors * SECTOR);
  if (command.kind === "flush") disk.flush();
  else if (command.kind === "discard") disk.discard(offset, length);
  else disk.write(offset, command.seed === 0 ? Content.zeros(length) : Content.pattern(command.seed, length));
}

function newDisk(): Disk {
  return new Disk({ size: SECTORS * SECTOR });
}

describe("Disk", () => {
  it("reads back what was written last, sector by sector, and zeros elsewhere", () => {
    fc.assert(
      fc.property(commands, (list) => {
        const disk = newDisk();
        const model: Model = new Array<string | undefined>(SECTORS).fill(undefined);
        for (const command of list) {
          run(disk, command);
          disk.check();
          if (command.kind !== "flush") put(model, command);
        }
        holds(disk, model);
        const whole = rd(disk);
        expect(whole.length).toBe(disk.size);
        for (const sector of model.keys()) {
          expect(whole.slice(sector * SECTOR, sector * SECTOR + SECTOR).equals(rd(disk, sector, 1))).toBe(true);
        }
      }),
      runs(150),
    );
  });

  it("keeps after a power cut what was flushed, and of the rest exactly the chosen sectors in the order of their writes", () => {
    fc.assert(
      fc.property(commands, fc.nat(), (list, seed) => {
        const disk = newDisk();
        let model: Model = new Array<string | undefined>(SECTORS).fill(undefined);
        for (const command of list) run(disk, command);
        const flushed = list.findLastIndex((command) => command.kind === "flush") + 1;
        for (const command of list.slice(0, flushed)) if (command.kind !== "flush") put(model, command);
        const chosen = (write: number, sector: number): boolean => ((write * 31 + sector * 7 + seed) % 5) % 2 === 0;
        model = [...model];
        for (const [index, command] of list.slice(flushed).entries()) {
          if (command.kind === "discard") {
            if (chosen(index, command.sector)) put(model, command);
            continue;
          }
          for (let n = 0; n < command.sectors; n++) {
            if (!chosen(index, command.sector + n)) continue;
            model[command.sector + n] = command.seed === 0 ? undefined : `${command.seed}+${n}`;
          }
        }
        disk.powerCut(chosen);
        disk.check();
        holds(disk, model);
        expect(disk.unflushedWrites).toBe(0);
      }),
      runs(150),
    );
  });

  it("loses nothing to a power cut that keeps all, and everything unflushed to one that keeps none", () => {
    const disk = newDisk();
    wr(disk, 0, 4, 1);
    disk.flush();
    wr(disk, 2, 4, 2);
    const other = disk.clone();
    disk.powerCut(keepAll);
    expect(rd(disk, 2, 4).equals(Content.pattern(2, 4 * SECTOR))).toBe(true);
    other.powerCut(keepNone);
    expect(rd(other, 0, 4).equals(Content.pattern(1, 4 * SECTOR))).toBe(true);
    expect(rd(other, 4, 2).isZero).toBe(true);
  });

  it("keeps the first writes whole when a power cut says so", () => {
    const disk = newDisk();
    for (let n = 0; n < 5; n++) wr(disk, n, 1, n + 1);
    disk.powerCut(keepFirst(3));
    expect(disk.allocatedBytes).toBe(3 * SECTOR);
    expect(rd(disk, 3, 2).isZero).toBe(true);
  });

  it("cuts at random the same way for the same seed", () => {
    const disk = newDisk();
    wr(disk, 0, SECTORS, 1);
    const other = disk.clone();
    const first = new Random(7);
    const second = new Random(7);
    disk.powerCut(keepRandom(() => first.fraction()));
    other.powerCut(keepRandom(() => second.fraction()));
    expect(disk.allocatedBytes).toBeGreaterThan(0);
    expect(disk.allocatedBytes).toBeLessThan(disk.size);
    expect(rd(disk).equals(rd(other))).toBe(true);
  });

  it("gives a record back as the object that was written, and as none when a power cut tore it", () => {
    const record = { kind: "test.block", length: 8 * SECTOR };
    const disk = newDisk();
    disk.write(bytes(0), Content.record(record));
    expect(rd(disk, 0, 8).wholeRecord()).toBe(record);
    disk.flush();
    const next = { kind: "test.block", length: 8 * SECTOR };
    disk.write(bytes(0), Content.record(next));
    const lucky = disk.clone();
    disk.powerCut((_write, sector) => sector !== 5);
    expect(rd(disk, 0, 8).wholeRecord()).toBeUndefined();
    lucky.powerCut(keepAll);
    expect(rd(lucky, 0, 8).wholeRecord()).toBe(next);
  });

  it("counts, tells and loses writes that come at once as if they came one by one", () => {
    fc.assert(
      fc.property(
        fc.nat(40),
        fc.integer({ min: 1, max: 6 }),
        fc.boolean(),
        fc.func(fc.boolean()),
        (sector, units, watched, choice) => {
          const at = bytes(sector * SECTOR);
          const content = Content.pattern(9, units * 2 * SECTOR);
          const once = newDisk();
          wr(once, 0, SECTORS, 1);
          once.flush();
          wr(once, 3, 5, 2);
          const single = once.clone();
          const told: string[] = [];
          if (watched) once.watcher = (command) => told.push(command.kind);
          expect(writeEach(once, at, content, bytes(2 * SECTOR))).toBeUndefined();
          expect(writeEach(new CountingDevice(single), at, content, bytes(2 * SECTOR))).toBeUndefined();
          expect(told).toHaveLength(watched ? units : 0);
          expect(once.counters.writes - 2).toBe(single.counters.writes);
          expect(once.counters.writtenBytes - (SECTORS + 5) * SECTOR).toBe(single.counters.writtenBytes);
          expect(once.unflushedWrites).toBe(single.unflushedWrites);
          wr(once, 1, 2, 3);
          wr(single, 1, 2, 3);
          once.check();
          const asked: [write: number, sector: number][] = [];
          const askedSingle: [write: number, sector: number][] = [];
          const noting =
            (into: [write: number, sector: number][]): CutChoice =>
            (write, sector) => {
              into.push([write, sector]);
              return choice(write, sector);
            };
          once.powerCut(noting(asked));
          single.powerCut(noting(askedSingle));
          expect(asked).toEqual(askedSingle);
          expect(rd(once).equals(rd(single))).toBe(true);
        },
      ),
      runs(100),
    );
  });

  it("reads, counts and tells reads that come at once as if they came one by one", () => {
    const told: number[] = [];
    const events = new EventStream(() => 0);
    events.subscribe(({ event }) => {
      if (event.op === "deviceRead") told.push(event.offset / SECTOR, event.length / SECTOR);
    });
    const disk = new Disk({ size: SECTORS * SECTOR, events });
    wr(disk, 2, 3, 1);
    wr(disk, 6, 1, 2);
    const single = new CountingDevice(disk.clone({ silent: true }));
    const asked = [bytes(SECTOR), bytes(8 * SECTOR), bytes(2 * SECTOR)] as const;
    const read = readEach(disk, ...asked);
    const one = readEach(single, ...asked);
    expect(isErrno(read) || isErrno(one) || read.equals(one)).toBe(true);
    expect([disk.counters.reads, disk.counters.readBytes]).toEqual([single.counters.reads, single.counters.readBytes]);
    expect(told).toEqual([1, 2, 3, 2, 5, 2, 7, 2]);
    expect(disk.readUnits(bytes(0), bytes(3 * SECTOR), bytes(2 * SECTOR))).toBe(EINVAL);
    expect(disk.readUnits(bytes(0), bytes(4 * SECTOR), bytes(100))).toBe(EINVAL);
    expect(disk.counters.reads).toBe(4);
  });

  it("adds up where zeros, which it does not hold, begin or end within a sector", () => {
    const disk = newDisk();
    const content = Content.concat([Content.pattern(1, 100), Content.zeros(2 * SECTOR), Content.pattern(2, SECTOR - 100)]);
    expect(disk.write(bytes(SECTOR), content)).toBeUndefined();
    disk.check();
    expect(disk.allocatedBytes).toBe(SECTOR);
    const read = disk.read(bytes(SECTOR), bytes(3 * SECTOR));
    expect(isErrno(read) || read.equals(content)).toBe(true);
  });

  it("refuses writes at once whose units are no whole sectors, or leave a rest", () => {
    const disk = newDisk();
    expect(disk.writeUnits(bytes(0), Content.zeros(4 * SECTOR), bytes(100))).toBe(EINVAL);
    expect(disk.writeUnits(bytes(0), Content.zeros(3 * SECTOR), bytes(2 * SECTOR))).toBe(EINVAL);
    expect(disk.counters.writes).toBe(0);
  });

  it("makes the oldest writes durable when its cache is full", () => {
    const disk = new Disk({ size: SECTORS * SECTOR, cachedWrites: 3 });
    for (let n = 0; n < 20; n++) {
      wr(disk, n, 1, n + 1);
      disk.check();
    }
    expect(disk.unflushedWrites).toBe(3);
    disk.powerCut();
    expect(disk.allocatedBytes).toBe(17 * SECTOR);
  });

  it("refuses commands that are not whole sectors or leave the device, and does nothing", () => {
    const disk = newDisk();
    expect(disk.read(bytes(1), bytes(SECTOR))).toBe(EINVAL);
    expect(disk.read(bytes(0), bytes(SECTOR + 1))).toBe(EINVAL);
    expect(disk.write(bytes(0), Content.zeros(100))).toBe(EINVAL);
    expect(disk.write(bytes(disk.size), Content.zeros(SECTOR))).toBe(EINVAL);
    expect(disk.discard(bytes(disk.size - SECTOR), bytes(2 * SECTOR))).toBe(EINVAL);
    expect(Object.values(disk.counters).every((count) => count === 0)).toBe(true);
    const large = new Disk({ size: MIB(1), sectorSize: 4096 });
    expect(large.write(bytes(512), Content.zeros(4096))).toBe(EINVAL);
  });

  it("holds 16 TiB of pattern as one run", () => {
    const disk = new Disk({ size: TIB(16) });
    const half = Content.pattern(1, TIB(8));
    disk.write(bytes(0), half);
    disk.write(TIB(8), Content.pattern(1, TIB(8), TIB(8)));
    expect(disk.allocatedRuns).toBe(1);
    expect(disk.allocatedBytes).toBe(TIB(16));
    expect(disk.read(bytes(TIB(8) - SECTOR), bytes(2 * SECTOR))).toEqual(Content.pattern(1, 2 * SECTOR, TIB(8) - SECTOR));
    disk.discard(bytes(0), disk.size);
    expect(disk.allocatedBytes).toBe(0);
  });

  it("counts commands and their bytes, and tells each to those who listen", () => {
    const events = new EventStream(() => 0);
    const disk = new Disk({ name: "sda", size: MIB(1), events });
    const heard: unknown[] = [];
    disk.write(bytes(0), Content.zeros(4096));
    events.subscribe((stamped) => heard.push(stamped.event));
    disk.write(bytes(4096), Content.zeros(8192));
    disk.read(bytes(0), bytes(512));
    disk.discard(bytes(0), bytes(1024));
    disk.flush();
    expect(heard).toEqual([
      { op: "deviceWrite", device: "sda", offset: 4096, length: 8192 },
      { op: "deviceRead", device: "sda", offset: 0, length: 512 },
      { op: "deviceDiscard", device: "sda", offset: 0, length: 1024 },
      { op: "deviceFlush", device: "sda" },
    ]);
    expect(disk.counters).toEqual({
      reads: 1,
      readBytes: 512,
      writes: 2,
      writtenBytes: 12_288,
      discards: 1,
      discardedBytes: 1024,
      flushes: 1,
    });
  });

  it("keeps a clone as it was while the original goes on", () => {
    const disk = newDisk();
    wr(disk, 0, 8, 1);
    const clone = disk.clone();
    wr(disk, 0, 8, 2);
    expect(rd(clone, 0, 8).equals(Content.pattern(1, 8 * SECTOR))).toBe(true);
    expect(clone.unflushedWrites).toBe(1);
    clone.powerCut();
    expect(rd(clone).isZero).toBe(true);
    expect(rd(disk, 0, 8).equals(Content.pattern(2, 8 * SECTOR))).toBe(true);
  });

  it("spends no time by default, more on a seek than on the next sector on a hard disk, the same on flash", () => {
    const span = (clock: Clock, act: () => void): number => {
      const before = clock.now;
      act();
      return clock.now - before;
    };
    const clock = new Clock();
    const free = new Disk({ size: TIB(1), clock });
    expect(span(clock, () => free.read(TIB(0.5), MIB(1)))).toBe(0);
    const hdd = new Disk({ size: TIB(1), clock, profile: HDD });
    hdd.read(bytes(0), MIB(1));
    const next = span(clock, () => hdd.read(MIB(1), MIB(1)));
    const near = span(clock, () => hdd.read(MIB(8), MIB(1)));
    const far = span(clock, () => hdd.read(TIB(0.5), MIB(1)));
    expect(next).toBeLessThan(near);
    expect(near).toBeLessThan(far);
    const nvme = new Disk({ size: TIB(1), clock, profile: NVME });
    const here = span(clock, () => nvme.read(bytes(0), MIB(1)));
    expect(span(clock, () => nvme.read(TIB(0.5), MIB(1)))).toBe(here);
    expect(here).toBeGreaterThan(0);
  });

  it("spends more on a flush that has something to flush", () => {
    const clock = new Clock();
    const disk = new Disk({ size: MIB(1), clock, profile: NVME });
    disk.flush();
    const idle = clock.now;
    disk.write(bytes(0), Content.zeros(4096));
    const before = clock.now;
    disk.flush();
    expect(clock.now - before).toBeGreaterThan(idle);
  });
});

describe("DiskHistory", () => {
  it("builds the disk as a power cut after any write leaves it, in any order of asking", () => {
    fc.assert(
      fc.property(commands, commands, fc.func(fc.boolean()), (before, list, choice) => {
        const disk = newDisk();
        for (const command of before) run(disk, command);
        const plain = disk.clone();
        const history = new DiskHistory(disk);
        for (const command of list) run(disk, command);
        const changes = list.filter((command) => command.kind !== "flush");
        expect(history.writes).toBe(changes.length);
        const order = [...Array(history.writes + 1).keys()];
        for (const count of [...order, ...order.toReversed()]) {
          const place = count === 0 ? 0 : list.indexOf(changes[count - 1] as Command) + 1;
          const expected = plain.clone();
          for (const command of list.slice(0, place)) run(expected, command);
          for (const keep of [keepNone, keepAll, choice]) {
            const cut = expected.clone();
            cut.powerCut(keep);
            const image = history.imageAfter(count, keep);
            image.check();
            expect(rd(image).equals(rd(cut))).toBe(true);
          }
        }
      }),
      runs(20),
    );
  });
});
