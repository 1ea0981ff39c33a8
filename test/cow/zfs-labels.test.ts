/** Labels and uberblocks of a pool's disks, byte for byte, and what they tell of sides that were away (module/zfs/vdev_label.c). */
import { describe, expect, test } from "vitest";
import { Disk } from "../../sim/block/disk.ts";
import { Content } from "../../sim/core/content.ts";
import { bytes, KIB, MIB } from "../../sim/core/units.ts";
import {
  EVEN_LABELS,
  ODD_LABELS,
  readLabel,
  readUberblock,
  type UberblockRecord,
  writeLabels,
  writeUberblock,
} from "../../sim/cow/zfs/labels.ts";
import { type TopLevel, topLevel, usableBytes } from "../../sim/cow/zfs/vdev.ts";

const GUID = 4711;

function uberblock(group: number, guid = GUID): UberblockRecord {
  return { kind: "zfs.uberblock", length: 1024, guid, group, timestamp: group * 5, root: `root ${group}` };
}

/** A disk, and the offset and length of each write to it. */
function watched(size: number): { disk: Disk; writes: [number, number][] } {
  const disk = new Disk({ size: bytes(size) });
  const writes: [number, number][] = [];
  disk.watcher = (command) => {
    if (command.kind === "write") writes.push([command.offset, command.content.length]);
  };
  return { disk, writes };
}

describe("a disk of a pool", () => {
  // 64 MiB and a bit, which belongs to no label.
  const SIZE = MIB(64) + KIB(100);
  const LABELS = [0, KIB(256), MIB(64) - KIB(512), MIB(64) - KIB(256)];

  test("has four labels, with their configuration at 16 KiB and 4 MiB before the pool's space", () => {
    const { disk, writes } = watched(SIZE);
    const other = watched(MIB(64));
    const tops = [topLevel([other.disk], 9, 1), topLevel([other.disk, disk], 12, 2)];
    for (const labels of [EVEN_LABELS, ODD_LABELS]) {
      expect(writeLabels(tops, { pool: "tank", guid: GUID, profile: "2.1", group: 7 }, labels)).toBeUndefined();
    }
    expect(writes).toEqual([0, 2, 1, 3].map((label) => [(LABELS[label] as number) + KIB(16), KIB(112)]));
    const side = { isOffline: false, replaces: 0 };
    expect(readLabel(disk)).toEqual({
      kind: "zfs.label",
      length: 4096,
      pool: "tank",
      guid: GUID,
      profile: "2.1",
      group: 7,
      side: 3,
      tops: [
        { ashift: 9, size: usableBytes(other.disk), sides: [{ ...side, guid: 1, name: other.disk.name }] },
        {
          ashift: 12,
          size: usableBytes(other.disk),
          sides: [
            { ...side, guid: 2, name: other.disk.name },
            { ...side, guid: 3, name: disk.name },
          ],
        },
      ],
    });
    expect(usableBytes(disk)).toBe(MIB(64) - MIB(4) - KIB(512));
    // Of four labels one is enough, whichever it is.
    for (const whole of LABELS) {
      const copy = new Disk({ size: bytes(SIZE) });
      copy.write(bytes(whole + KIB(16)), disk.read(bytes(whole + KIB(16)), bytes(KIB(112))) as Content);
      expect(readLabel(copy)?.side).toBe(3);
    }
    expect(readLabel(new Disk({ size: bytes(SIZE) }))).toBeUndefined();
  });

  test.each([
    [9, 1024, 128],
    [12, 4096, 32],
    [13, 8192, 16],
  ])("of 2^%i bytes a unit has a ring of uberblocks, %i bytes each, in every label", (ashift, slot, slots) => {
    const { disk, writes } = watched(SIZE);
    const tops = [topLevel([disk], ashift)];
    expect(writeUberblock(tops, uberblock(slots + 3))).toBeUndefined();
    expect(writes).toEqual(LABELS.map((label) => [label + KIB(128) + 3 * slot, slot]));
    for (const group of [slots + 5, slots - 1, 2 * slots - 1, 7]) writeUberblock(tops, uberblock(group));
    expect(readUberblock(tops, GUID)).toEqual(uberblock(2 * slots - 1));
    // Another pool's, however new, is none of this one.
    writeUberblock(tops, uberblock(slots * 9 + 1, GUID + 1));
    expect(readUberblock(tops, GUID)?.group).toBe(2 * slots - 1);
    expect(readUberblock(tops, GUID + 2)).toBeUndefined();
  });

  test("has the configuration of an uberblock in two labels at least, wherever the power went while a newer one was written", () => {
    const { disk } = watched(SIZE);
    const tops = [topLevel([disk], 9)];
    const of = { pool: "tank", guid: GUID, profile: "2.1" };
    for (const labels of [EVEN_LABELS, ODD_LABELS]) writeLabels(tops, { ...of, group: 7 }, labels);
    writeLabels(tops, { ...of, group: 9 }, EVEN_LABELS);
    expect([readLabel(disk)?.group, readLabel(disk, 9)?.group, readLabel(disk, 8)?.group]).toEqual([9, 9, 7]);
    writeLabels(tops, { ...of, group: 9 }, ODD_LABELS);
    expect(readLabel(disk, 8)?.group).toBe(9);
  });

  test("of a mirror that has an older uberblock than the other has missed what was between", () => {
    const [one, other, alone] = [watched(SIZE), watched(SIZE), watched(SIZE)];
    const write = (disks: readonly Disk[], group: number): void => {
      writeUberblock([topLevel(disks, 9)], uberblock(group));
    };
    write([one.disk, other.disk], 4);
    write([one.disk], 9);
    write([alone.disk], 8);
    const tops: TopLevel[] = [topLevel([other.disk, one.disk], 9), topLevel([alone.disk], 9)];
    expect(readUberblock(tops, GUID)?.group).toBe(9);
    expect(tops[0]?.sides.map(({ missed }) => missed)).toEqual([{ after: 4, upTo: 9 }, undefined]);
    // Top-level devices write in turn, and the power may go between them: none is behind another.
    expect(tops[1]?.sides.map(({ missed }) => missed)).toEqual([undefined]);
    // One that has none at all has missed everything.
    const blank: TopLevel[] = [topLevel([one.disk, new Disk({ size: bytes(SIZE) })], 9)];
    expect([readUberblock(blank, GUID)?.group, blank[0]?.sides.map(({ missed }) => missed)]).toEqual([
      9,
      [undefined, { after: 0, upTo: 9 }],
    ]);
  });

  test("of a mirror is told by the newest uberblock what it has missed before", () => {
    const [one, other] = [watched(SIZE), watched(SIZE)];
    const made = topLevel([one.disk, other.disk], 9, 11);
    writeUberblock([made], { ...uberblock(9), missed: [[12, 3, 5]] });
    const tops: TopLevel[] = [topLevel([one.disk, other.disk], 9, 11)];
    readUberblock(tops, GUID);
    expect(tops[0]?.sides.map(({ missed }) => missed)).toEqual([undefined, { after: 3, upTo: 5 }]);
    writeUberblock([topLevel([one.disk], 9, 11)], { ...uberblock(10), missed: [[12, 3, 5]] });
    readUberblock(tops, GUID);
    expect(tops[0]?.sides[1]?.missed).toEqual({ after: 3, upTo: 10 });
  });

  test("says nothing where its uberblocks are torn", () => {
    const { disk } = watched(SIZE);
    const tops = [topLevel([disk], 9)];
    writeUberblock(tops, uberblock(3));
    writeUberblock(tops, uberblock(4));
    for (const label of LABELS) disk.write(bytes(label + KIB(128) + 4 * 1024), Content.zeros(512));
    expect(readUberblock(tops, GUID)?.group).toBe(3);
  });
});
