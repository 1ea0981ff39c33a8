/** That a pool's and a filesystem's check() find what does not add up, each thing broken by hand. */
import { describe, expect, test } from "vitest";
import { Disk } from "../../sim/block/disk.ts";
import { FaultyDevice } from "../../sim/block/faulty.ts";
import { Content } from "../../sim/core/content.ts";
import { KIB, MIB } from "../../sim/core/units.ts";
import { checkPool } from "../../sim/cow/zfs/assemble.ts";
import { findDataset, zfsClone, zfsCreate, zfsSet, zfsSnapshot } from "../../sim/cow/zfs/commands.ts";
import type { Dataset } from "../../sim/cow/zfs/dsl.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import { MODE, NLINK, PARENT } from "../../sim/cow/zfs/records.ts";
import { metaslabsOf } from "../../sim/cow/zfs/space-maps.ts";
import { Files, must, ZfsLab } from "./zfs-lab.ts";

interface Made {
  readonly lab: ZfsLab;
  readonly pool: Pool;
  readonly files: Files;
  readonly device: FaultyDevice;
}

/** A pool with data, deduplicated data, a snapshot whose data has changed since, a clone and a promise. */
function made(): Made {
  const lab = new ZfsLab();
  const device = new FaultyDevice(new Disk({ size: MIB(256) }));
  const pool = lab.create({ tops: [[device]] });
  zfsCreate(pool, "tank/a", { dedup: "on" });
  zfsCreate(pool, "tank/a/b", { reservation: "1M" });
  zfsCreate(pool, "tank/p", { refreservation: "2M" });
  const files = new Files(lab, lab.mount(pool, "tank/a"));
  files.mkdir("/d");
  for (const path of ["/d/f", "/d/g"]) files.write(path, Content.pattern(3, KIB(64)));
  pool.syncGroup();
  zfsSnapshot(pool, "tank/a@s");
  zfsClone(pool, "tank/a@s", "tank/c");
  files.write("/d/f", Content.pattern(4, KIB(64)));
  pool.syncGroup();
  for (let group = 0; group < 3; group++) pool.syncGroup();
  return { lab, pool, files, device };
}

function dataset(pool: Pool, name: string): Dataset {
  const found = findDataset(pool, name);
  if (found === undefined) throw new Error(`there is no ${name}`);
  return found;
}

/** Changes bits of the first run of a space map, which stands behind a word for debugging. */
function changeWord(pool: Pool, bits: number): void {
  const of = metaslabsOf(pool.meta.maps.freeze()).find(({ map }) => map.length > 8);
  if (of === undefined) throw new Error("no map has anything in it");
  const { words, from } = of.map;
  words[from + 2] = (words[from + 2] as number) ^ bits;
}

const POOL: readonly (readonly [what: string, breaks: (of: Made) => void, message: RegExp])[] = [
  [
    "bytes that no block takes",
    ({ pool }) => (pool.store.space.allocated += 512),
    /pool tank: \d+ bytes are allocated, \d+ are reachable/,
  ],
  [
    "a place that two blocks have",
    ({ pool }) => (dataset(pool, "tank/p").pointer = dataset(pool, "tank/a").pointer),
    /pool tank: two blocks lie at 0:\d+/,
  ],
  [
    "a count of a deduplicated block",
    ({ pool }) => {
      for (const entry of pool.store.dedupTable.values()) entry.references += 1;
    },
    /pool tank: a wrong count of a deduplicated block/,
  ],
  [
    "a deduplicated block that the table has forgotten",
    ({ pool }) => pool.store.dedupTable.clear(),
    /pool tank: a wrong count of a deduplicated block/,
  ],
  [
    "a run that a space map tells of elsewhere",
    ({ pool }) => changeWord(pool, 1 << 20),
    /metaslab \d+ of device 0: its map (is wrong about|tells of) \d+ units/,
  ],
  [
    "a run that a space map tells to be given back",
    ({ pool }) => changeWord(pool, 0x8000),
    /a space map's words tell of -?\d+ units, it counts \d+/,
  ],
  ["what the ARC counts", ({ pool }) => (pool.arc.size += 1), /ARC: \d+ bytes are counted, \d+ held/],
  [
    "what directories below take",
    ({ pool }) => {
      dataset(pool, "tank/a").directory.usage.children += 1;
      pool.root.usage.children += 1;
    },
    /tank\/a: children take 1048576 bytes, 1048577 are counted/,
  ],
  [
    "what the root's children take",
    ({ pool }) => (pool.root.usage.children -= 1),
    /tank: children take \d+ bytes, \d+ are counted/,
  ],
  [
    "what is promised",
    ({ pool }) => {
      dataset(pool, "tank/p").directory.usage.promised += 512;
      pool.root.usage.children += 512;
    },
    /tank\/p: \d+ bytes are promised, \d+ are counted/,
  ],
  [
    "sums below zero",
    ({ pool }) => {
      const { usage } = dataset(pool, "tank/p").directory;
      usage.snapshots -= 512;
      usage.head += 512;
    },
    /tank\/p: negative sums of space/,
  ],
  [
    "a head below zero",
    ({ pool }) => {
      const { usage } = dataset(pool, "tank/p").directory;
      usage.snapshots += usage.head + 512;
      usage.head = -512;
    },
    /tank\/p: negative sums of space/,
  ],
  [
    "a snapshot that nothing follows",
    ({ pool }) => (dataset(pool, "tank/a@s").next = undefined),
    /tank\/a@s: nothing follows it/,
  ],
  [
    "bytes of a snapshot alone",
    ({ pool }) => (dataset(pool, "tank/a@s").unique += 1),
    /tank\/a@s: \d+ bytes are its own, \d+ counted/,
  ],
];

describe("checkPool()", () => {
  test.each(POOL)("finds %s", (_, breaks, message) => {
    const of = made();
    checkPool(of.pool);
    breaks(of);
    expect(() => checkPool(of.pool)).toThrow(message);
  });

  test("finds a dataset that cannot be read", () => {
    const of = made();
    of.files.fs.unmount();
    of.pool.arc.clear();
    of.device.inject({ on: "read", times: Number.POSITIVE_INFINITY });
    expect(() => checkPool(of.pool)).toThrow("pool tank: a dataset cannot be read");
  });

  test("looks at no pool that has changes or has stopped", () => {
    const of = made();
    of.files.write("/d/g", Content.text("x"));
    of.pool.store.space.allocated += 512;
    expect(of.pool.isDirty).toBe(true);
    checkPool(of.pool);
  });
});

const ZPL: readonly (readonly [what: string, breaks: (of: Made) => void, message: RegExp])[] = [
  [
    "a name of an object that is free",
    ({ files }) => files.fs.state.set.setWord(must(files.find("/d/f")), MODE, 0),
    /directory \d+ names the freed object \d+/,
  ],
  [
    "a folder with another parent",
    ({ files }) => files.fs.state.set.setWord(must(files.find("/d")), PARENT, 1),
    /directory \d+ has another parent than 34/,
  ],
  [
    "links of a file",
    ({ files }) => files.fs.state.set.setWord(must(files.find("/d/f")), NLINK, 2),
    /object \d+ has 2 links, not 1/,
  ],
  [
    "links of a folder",
    ({ files }) => files.fs.state.set.setWord(must(files.find("/d")), NLINK, 3),
    /object \d+ has 3 links, not 2/,
  ],
  ["links of the root", ({ files }) => files.fs.state.set.setWord(files.fs.root, NLINK, 2), /object 34 has 2 links, not 3/],
  [
    "an object without names that nobody holds",
    ({ files }) => {
      const { fs } = files;
      const inode = must(fs.tmpfile(fs.root, { mode: 0o100600, uid: 0, gid: 0, rdev: 0, target: "" }));
      fs.state.set.unlinked.delete(inode);
    },
    /object \d+ has neither names nor holders/,
  ],
  ["how many objects there are", ({ files }) => (files.fs.state.set.objects += 1), /5 objects are counted, 4 found/],
];

describe("a filesystem's check()", () => {
  test.each(ZPL)("finds %s", (_, breaks, message) => {
    const of = made();
    of.files.fs.check();
    breaks(of);
    expect(() => of.files.fs.check()).toThrow(message);
  });

  test("has nothing against files without names that are held, and folders in folders", () => {
    const of = made();
    of.files.mkdir("/d/sub");
    const { fs } = of.files;
    const inode = must(of.files.find("/d/f"));
    fs.hold(inode);
    of.files.unlink("/d/f");
    fs.check();
    zfsSet(of.pool, "atime", "off", "tank/a");
    fs.drop(inode);
    fs.check();
  });
});
