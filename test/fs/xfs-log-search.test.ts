/**
 * Which sectors of its log a mount reads, and which it makes stale, beside what the kernel did (Linux 6.18; test/fs/xfs-recorder/log-reads.py): the
 * log is laid as it lay then, record by record.
 */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { BlockDevice } from "../../sim/block/device.ts";
import { Disk } from "../../sim/block/disk.ts";
import { Content } from "../../sim/core/content.ts";

import { EBADMSG, EIO, EUCLEAN, isErrno } from "../../sim/core/errno.ts";
import { type Bytes, bytes, GIB, MIB } from "../../sim/core/units.ts";
import { type Geometry, geometryOf } from "../../sim/fs/xfs/layout.ts";
import { staleSectors } from "../../sim/fs/xfs/log-sectors.ts";
import { mkfsXfs } from "../../sim/fs/xfs/mkfs.ts";
import type { LogRecord } from "../../sim/fs/xfs/records.ts";
import { needsRecovery, recoverLog } from "../../sim/fs/xfs/recovery.ts";
import { make, must } from "./disk-helpers.ts";
import { mounted, ROOT } from "./xfs-helpers.ts";

type Unwritten = readonly [cycle: number, sectors: number];
type Written = readonly [cycle: number, sectors: number, tailCycle: number, tailSector: number, unmount: 0 | 1, whole?: number];

interface Recorded {
  readonly before: string;
  readonly sectors: number;
  readonly log: readonly (Unwritten | Written)[];
  readonly reads: readonly Range[];
  readonly stale: readonly Range[];
  readonly spoilt?: readonly (Range | readonly [sector: number])[];
  /** The number of the error. */
  readonly refused?: number;
}

type Range = readonly [sector: number, sectors: number];

const RECORDED = JSON.parse(
  gunzipSync(readFileSync(new URL("../data/vectors/xfs-log-reads.json.gz", import.meta.url))).toString(),
) as readonly Recorded[];

/** Lays a log out as it was found. A record at the end of the log goes on at its beginning. */
function lay(disk: Disk, geometry: Geometry, { log, sectors, spoilt = [] }: Recorded): void {
  const put = (sector: number, content: Content): void =>
    void disk.write(bytes(geometry.logStart * 4096 + sector * 512), content);
  const headers = new Map<number, LogRecord>();
  let at = 0;
  for (const [index, run] of log.entries()) {
    const [cycle, count, tailCycle, tailSector, unmount, whole = count] = run as Written;
    if (tailCycle === undefined && cycle > 0) put(at, staleSectors(count, cycle));
    if (tailCycle !== undefined) {
      const record: LogRecord = {
        kind: "xfs.log",
        length: whole * 512,
        place: { cycle, sector: at },
        tail: { cycle: tailCycle, sector: tailSector },
        checkpoint: cycle * sectors + at,
        part: 0,
        parts: 1,
        buffers: [],
        cancelled: unmount === 1 ? [] : [0],
        unmount: unmount === 1,
      };
      headers.set(at, record);
      put(at, Content.record(record, 0, count * 512));
      if (index === log.length - 1 && whole > count) put(0, Content.record(record, count * 512));
    }
    at += count;
  }
  expect(at).toBe(sectors);
  // With a wrong byte a sector is of no record, and a header one of another.
  for (const [sector, zeros] of spoilt) {
    const header = headers.get(sector);
    if (zeros === undefined) put(sector, header === undefined ? staleSectors(1, 1) : Content.record({ ...header }, 0, 512));
  }
}

/** What is asked of a log, in the order of asking. */
class Noted {
  readonly reads: Range[] = [];
  readonly writes: Range[] = [];

  on(disk: Disk, { logStart, logBlocks }: Geometry): BlockDevice {
    const note = (into: Range[], offset: number, length: number): void => {
      const sector = offset / 512 - logStart * 8;
      if (sector >= 0 && sector < logBlocks * 8) into.push([sector, length / 512]);
    };
    return {
      name: disk.name,
      size: disk.size,
      sectorSize: disk.sectorSize,
      read: (offset: Bytes, length: Bytes) => {
        note(this.reads, offset, length);
        return disk.read(offset, length);
      },
      write: (offset, content) => {
        note(this.writes, offset, content.length);
        return disk.write(offset, content);
      },
      discard: (offset, length) => disk.discard(offset, length),
      flush: () => disk.flush(),
    };
  }
}

describe("a mount reads of the log what the kernel reads of it", () => {
  test.each(RECORDED)("$before, spoilt $spoilt", (recorded) => {
    const disk = new Disk({ size: MIB(400) });
    const geometry = geometryOf(disk.size);
    expect(geometry.logBlocks * 8).toBe(recorded.sectors);
    lay(disk, geometry, recorded);
    const noted = new Noted();
    const found = recoverLog(noted.on(disk, geometry), geometry);
    expect(isErrno(found) ? found.number : undefined).toBe(recorded.refused);
    expect(noted.reads).toEqual(recorded.reads);
    expect(noted.writes).toEqual(recorded.stale);
  });
});

test("what a shutdown left is to be replayed, what an unmount left is not", () => {
  for (const recorded of RECORDED.filter(({ spoilt }) => spoilt === undefined)) {
    const disk = new Disk({ size: MIB(400) });
    const geometry = geometryOf(disk.size);
    lay(disk, geometry, recorded);
    const dirty = recorded.before.startsWith("shut down");
    expect([needsRecovery(disk, geometry), must(recoverLog(disk, geometry)).replayed > 0]).toEqual([dirty, dirty]);
  }
});

test("a log in which foreign bytes stand is read to an end, or refused", () => {
  const [recorded] = RECORDED.filter(({ before }) => before === "shut down after 40 fsyncs");
  const garbage = fc.record({
    sector: fc.nat(400),
    sectors: fc.integer({ min: 1, max: 9 }),
    seed: fc.nat(),
    zeros: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(garbage, { minLength: 1, maxLength: 3 }), (spoilt) => {
      const disk = new Disk({ size: MIB(400) });
      const geometry = geometryOf(disk.size);
      lay(disk, geometry, recorded as Recorded);
      for (const { sector, sectors, seed, zeros } of spoilt) {
        const content = zeros ? Content.zeros(sectors * 512) : Content.pattern(seed, sectors * 512);
        must(disk.write(bytes(geometry.logStart * 4096 + sector * 512), content));
      }
      const found = recoverLog(disk, geometry);
      expect(isErrno(found) ? [EIO, EBADMSG, EUCLEAN].includes(found) : found.head.sector < 400).toBe(true);
    }),
    { numRuns: 60 },
  );
});

test("a log that was never written is looked at twice, and the next record is its first", () => {
  const disk = new Disk({ size: MIB(400) });
  const geometry = geometryOf(disk.size);
  const noted = new Noted();
  const found = must(recoverLog(noted.on(disk, geometry), geometry));
  expect(found).toEqual({ head: { cycle: 1, sector: 0 }, checkpoint: 1, replayed: 0 });
  expect(noted.reads).toEqual([
    [0, 1],
    [0, 1],
  ]);
});

test("a mount of a disk of 10 GiB reads a few KiB of its log of 64 MiB, and makes 2 MiB stale", () => {
  const disk = new Disk({ size: GIB(10) });
  must(mkfsXfs(disk));
  const noted = new Noted();
  const on = mounted(noted.on(disk, geometryOf(disk.size)));
  make(on, ROOT, "f");
  expect([noted.reads.length, noted.reads.reduce((sum, [, count]) => sum + count, 0), noted.writes]).toEqual([
    24,
    26,
    [[2, 4096]],
  ]);
});
