/** That an ext4's check() finds what does not add up, each thing broken by hand in memory. */
import { expect, test } from "vitest";
import { Clock } from "../../sim/core/clock.ts";
import { Content } from "../../sim/core/content.ts";
import { EventStream } from "../../sim/core/events.ts";
import { NameTable } from "../../sim/core/names.ts";
import { deviceNumber } from "../../sim/core/units.ts";
import { Ext4 } from "../../sim/fs/ext4/ext4.ts";
import { FileData } from "../../sim/fs/ext4/file-data.ts";
import { BLOCKS, NLINK } from "../../sim/fs/ext4/inode-words.ts";
import { ROOT_INODE } from "../../sim/fs/ext4/layout.ts";
import { loadCounts, superblockOf } from "../../sim/fs/ext4/mount.ts";
import { Ext4State } from "../../sim/fs/ext4/state.ts";
import type { Attributes } from "../../sim/vfs/filesystem.ts";
import { PageCache } from "../../sim/vfs/page-cache.ts";
import { Vfs } from "../../sim/vfs/vfs.ts";
import { ext4Disk, put, value } from "./ext4-lab.ts";

interface Made {
  readonly state: Ext4State;
  readonly fs: Ext4;
  /** Files of four written blocks. */
  readonly one: number;
  readonly other: number;
}

/** An ext4 with some files, and the state that it works on. */
function made(): Made {
  const clock = new Clock();
  const events = new EventStream(() => clock.now);
  const names = new NameTable();
  const cache = new PageCache(clock, events);
  const vfs = new Vfs({ names, clock, events, cache });
  const disk = ext4Disk();
  const { geometry, journal } = value(superblockOf(disk)) as { geometry: Ext4State["geometry"]; journal: readonly number[] };
  const state = new Ext4State(disk, geometry, { names, clock, events, cache, device: deviceNumber(254, 0) }, journal);
  value(state.journal.recover());
  expect(loadCounts(state)).toBeUndefined();
  const fs = new Ext4(state);
  const task = vfs.task(vfs.mountRoot(fs));
  for (const path of ["/a", "/b", "/c"]) put(task, path, Content.pattern(1, 4 * 4096));
  expect(task.link("/a", "/d")).toBeUndefined();
  expect(fs.sync()).toBeUndefined();
  fs.check();
  const inodeOf = (path: string): number => (value(task.stat(path)) as Attributes).inodeNumber;
  return { state, fs, one: inodeOf("/a"), other: inodeOf("/b") };
}

function extentsOf(state: Ext4State, ino: number): number[] {
  const data = state.data(ino);
  if (!(data instanceof FileData)) throw new Error(`inode ${ino} is no file with extents`);
  return data.ownTree().list.items as number[];
}

function gapsOfRoot(state: Ext4State): number[] {
  return state.directory(ROOT_INODE).blocks[0]?.gaps ?? [];
}

/** What is broken, how, and what the check says of it. */
const BROKEN: readonly (readonly [what: string, breaks: (made: Made) => void, says: RegExp])[] = [
  ["a count of links", ({ state, one }) => state.setWord(one, NLINK, 3), /inode \d+ has 3 links and 2 names/],
  ["a count of blocks", ({ state, one }) => state.setWord(one, BLOCKS, 5), /another number of blocks/],
  ["an extent's length", ({ state, one }) => void (extentsOf(state, one)[1] = 40_000), /extent 0 has 40000 blocks/],
  ["an extent's place", ({ state, one }) => void (extentsOf(state, one)[0] = -1), /extent 0 begins before 0/],
  [
    "a block of two files",
    ({ state, one, other }) => void (extentsOf(state, one)[2] = (extentsOf(state, other)[2] as number) + 3),
    /block \d+ belongs to two/,
  ],
  [
    "a gap that begins late",
    ({ state }) => void (gapsOfRoot(state)[0] = (gapsOfRoot(state)[0] as number) + 8),
    /neither entry nor gap/,
  ],
  [
    "a gap over an entry",
    ({ state }) => void (gapsOfRoot(state)[0] = (gapsOfRoot(state)[0] as number) - 8),
    /neither entry nor gap/,
  ],
  ["a gap that is lost", ({ state }) => void gapsOfRoot(state).unshift(12, 12), /neither entry nor gap/],
];

test.each(BROKEN)("The check finds %s", (_what, breaks, says) => {
  const broken = made();
  breaks(broken);
  expect(() => broken.fs.check()).toThrow(says);
});
