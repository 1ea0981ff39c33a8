/** Which chunks the cleaner gives up, and when (fs/btrfs/block-group.c: btrfs_delete_unused_bgs, discard.c; Linux 6.18). */
import { describe, expect, test } from "vitest";
import { GIB, KIB, MIB, seconds } from "../../sim/core/units.ts";
import { BlockGroup } from "../../sim/cow/btrfs/block-group.ts";
import { Space } from "../../sim/cow/btrfs/space.ts";

const LENGTH = MIB(96);

/** A space with a used chunk of data and what comes to it, and a clock. */
class Lab {
  now = 0;
  readonly space: Space;

  constructor(rules: { discardsLater: boolean; listsNew: boolean }) {
    this.space = new Space(GIB(1), true, { ...rules, now: () => this.now });
    this.add(MIB(128)).take(MIB(128), 4096);
  }

  add(start: number): BlockGroup {
    const group = new BlockGroup({ start, length: LENGTH, type: "data", stripes: [start] });
    this.space.add(group);
    return group;
  }

  /** One that held data. */
  used(start: number): void {
    this.add(start).take(start, 4096);
    this.space.pin(start, 4096);
  }

  commit(): void {
    this.space.unpin(() => undefined);
  }

  turn(promised = 0, after = 0): number[] {
    this.now += seconds(after);
    this.space.dropUnused(() => promised);
    return this.space.groups.map(({ start }) => start / MIB(1));
  }
}

describe("where free space is discarded later", () => {
  test("an emptied chunk goes ten seconds after its commit, and one more for each 64 MiB that are discarded", () => {
    const lab = new Lab({ discardsLater: true, listsNew: true });
    lab.used(MIB(256));
    expect(lab.turn(0, 60)).toEqual([128, 256]);
    lab.commit();
    expect(lab.turn(0, 11)).toEqual([128, 256]);
    expect(lab.turn(0, 1)).toEqual([128]);
  });

  test("a chunk that was used again meanwhile is not looked at until it has been empty for so long once more", () => {
    const lab = new Lab({ discardsLater: true, listsNew: true });
    lab.used(MIB(256));
    lab.commit();
    const group = lab.space.groupOf(MIB(256));
    group.take(MIB(256), 4096);
    expect(lab.turn(0, 20)).toEqual([128, 256]);
    lab.space.pin(MIB(256), 4096);
    lab.commit();
    expect(lab.turn(0, 11)).toEqual([128, 256]);
    expect(lab.turn(0, 1)).toEqual([128]);
  });

  test("a new chunk that was used and emptied before any turn waits from that turn on", () => {
    const lab = new Lab({ discardsLater: true, listsNew: true });
    const made = lab.space.makeChunk("data");
    const start = made?.start ?? 0;
    made?.take(start, 4096);
    lab.space.pin(start, 4096);
    lab.commit();
    expect(lab.turn(0, 11)).toEqual([128, start / MIB(1)]);
    expect(lab.turn(0, 11)).toEqual([128, start / MIB(1)]);
    expect(lab.turn(0, 1)).toEqual([128]);
  });
});

describe("where it is discarded with its commit or never", () => {
  test("an emptied chunk goes in the first turn after its commit", () => {
    const lab = new Lab({ discardsLater: false, listsNew: true });
    lab.used(MIB(256));
    lab.commit();
    expect(lab.turn()).toEqual([128]);
  });

  test("one that a turn finds with something pinned is not looked at again", () => {
    const lab = new Lab({ discardsLater: false, listsNew: true });
    lab.used(MIB(256));
    expect(lab.turn()).toEqual([128, 256]);
    lab.commit();
    expect(lab.turn(0, 60)).toEqual([128, 256]);
  });
});

test("the last chunk of a type stays, and a second one for data is no reason to give up the system's", () => {
  const lab = new Lab({ discardsLater: false, listsNew: true });
  lab.add(MIB(256)).take(MIB(256), 4096);
  for (const start of [MIB(128), MIB(256)]) lab.space.pin(start, 4096);
  lab.space.makeChunk("system");
  lab.commit();
  expect(lab.turn()).toEqual([256, 352]);
  expect(lab.turn()).toEqual([256, 352]);
});

test("a new chunk goes in a turn that finds nothing in it and no promise that counts on it", () => {
  const lab = new Lab({ discardsLater: true, listsNew: true });
  const made = (lab.space.makeChunk("data")?.start ?? 0) / MIB(1);
  expect(lab.turn(LENGTH)).toEqual([128, made]);
  // What a copy of the superblock keeps of the chunk counts as used.
  expect(lab.turn(LENGTH - KIB(64))).toEqual([128, made]);
  expect(lab.turn(LENGTH - KIB(68))).toEqual([128]);
});

test("a new chunk stayed before Linux 6.8, however empty", () => {
  const lab = new Lab({ discardsLater: true, listsNew: false });
  const made = (lab.space.makeChunk("data")?.start ?? 0) / MIB(1);
  expect(lab.turn(0, 60)).toEqual([128, made]);
});

test("before Linux 6.8 an emptied chunk went although a promise counted on it", () => {
  const lab = new Lab({ discardsLater: false, listsNew: false });
  lab.used(MIB(256));
  lab.commit();
  expect(lab.turn(GIB(1))).toEqual([128]);
});
