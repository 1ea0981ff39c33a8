/**
 * Which blocks the kernel's ext4 writes for one operation and a sync, on 10 GiB, and at the unmount after it: recorded from the block layer.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { GIB, KIB, MIB } from "../../sim/core/units.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { type Mounted, mount, mounted, must, put } from "./ext4-mounted.ts";

type Phase = "mount" | "op" | "umount";
type Row = readonly [
  phase: Phase,
  label: string,
  kibibytes: number,
  writes: readonly (readonly [start: number, count: number])[],
];

const rows: readonly Row[] = readFileSync(new URL("../data/vectors/ext4-writes.jsonl", import.meta.url), "utf8")
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line) as Row);

function file(path: string, length: number): (task: Task) => void {
  return (task) => put(task, path, Content.pattern(length + 1, length));
}

/** What was done for each row, in the order of the recording. */
const operations: Readonly<Record<string, (task: Task) => void>> = {
  idle: () => undefined,
  "create empty file": file("/empty", 0),
  "1 byte file": file("/one", 1),
  "4096 B": file("/page", 4096),
  "65536 B": file("/64k", 65_536),
  "1048577 B": file("/1m1", 1_048_577),
  mkdir: (task) => must(task.mkdir("/d", 0o755)),
  "100 files of 4 KiB": (task) => {
    for (let n = 0; n < 100; n++) put(task, `/d/f${n}`, Content.pattern(n, 4096));
  },
  "256 MiB file": file("/big", MIB(256)),
  "overwrite 1 byte": (task) => put(task, "/big", Content.text("x"), 50_000_000),
  "NOSNAP overwrite same byte": (task) => put(task, "/big", Content.text("y"), 50_000_000),
  "overwrite 64 KiB aligned": (task) => put(task, "/big", Content.pattern(5, KIB(64)), MIB(200)),
  truncate: (task) => must(task.truncate("/1m1", 524_288)),
  chmod: (task) => must(task.chmod("/big", 0o600)),
  rename: (task) => must(task.rename("/64k", "/d/64k")),
  "delete 100 files": (task) => {
    for (let n = 0; n < 100; n++) must(task.unlink(`/d/f${n}`));
  },
  "delete big": (task) => must(task.unlink("/big")),
};

interface Written {
  readonly phase: Phase;
  readonly label: string;
  readonly writes: [start: number, count: number][];
}

/** Mounts, takes the step, syncs and unmounts, and notes what the disk was told to write in each phase. */
function recordAll(): Written[] {
  const lab: Mounted = mounted(GIB(10));
  lab.task.exit();
  must(lab.host.unmount("/mnt"));
  const out: Written[] = [];
  const phase = (name: Phase, label: string, run: () => void): void => {
    const writes: [start: number, count: number][] = [];
    lab.disk.watcher = (command) => {
      if (command.kind === "write") writes.push([command.offset / 4096, command.content.length / 4096]);
    };
    run();
    out.push({ phase: name, label, writes });
  };
  for (const [label, run] of Object.entries(operations)) {
    let task: Task | undefined;
    phase("mount", label, () => {
      task = mount(lab.host, lab.disk);
    });
    phase("op", label, () => {
      if (task === undefined) return;
      run(task);
      must(task.syncfs());
      task.exit();
    });
    phase("umount", label, () => must(lab.host.unmount("/mnt")));
  }
  return out;
}

/** 256 MiB are more than one transaction: when writeback begins and how often the journal commits meanwhile is a matter of time. */
const TIMED = "256 MiB file";
/** Where each of these puts things follows from the geometry alone; later data's place depends on which CPU wrote what before. */
const PLACED: ReadonlySet<string> = new Set(["idle", "create empty file", "1 byte file"]);
/** Changes of inodes and bitmaps of the first flex group only: equal places below its end, whatever the place of the data. */
const FIRST_FLEX: ReadonlySet<string> = new Set([
  "overwrite 1 byte",
  "NOSNAP overwrite same byte",
  "overwrite 64 KiB aligned",
  "chmod",
]);

const JOURNAL_START = 8_650_752 / 8;
const JOURNAL_END = JOURNAL_START + 16_384;

function kibibytesOf({ writes }: Written): number {
  return writes.reduce((sum, [, count]) => sum + count * 4, 0);
}

function journalBlocks(writes: Row[3]): number[] {
  return writes.map(([start]) => start).filter((start) => start >= JOURNAL_START && start < JOURNAL_END);
}

describe("on 10 GiB, of what the kernel's ext4 writes", () => {
  const ours = recordAll();
  const timed = rows.findIndex((row) => row[1] === TIMED && row[0] === "op");

  test("the recording has the steps that are taken here", () => {
    expect(ours.map(({ phase, label }) => [phase, label])).toEqual(rows.map((row) => row.slice(0, 2)));
  });

  for (const [at, row] of rows.entries()) {
    const [phase, label, kibibytes, writes] = row;
    const our = ours[at] as Written;
    if (label === TIMED && phase !== "mount") continue;
    test(`"${label}" writes as many KiB at the ${phase}: ${kibibytes}`, () => {
      expect(kibibytesOf(our)).toBe(kibibytes);
    });
    if (at < timed)
      test(`"${label}" writes the same blocks of the journal at the ${phase}`, () => {
        expect(journalBlocks(our.writes)).toEqual(journalBlocks(writes));
      });
    if (PLACED.has(label))
      test(`"${label}" writes the same blocks in the same order at the ${phase}`, () => {
        expect(our.writes).toEqual(writes);
      });
    if (FIRST_FLEX.has(label))
      test(`"${label}" writes the same metadata of the first group at the ${phase}`, () => {
        const below = (all: Row[3]): number[] => all.map(([start]) => start).filter((start) => start < 32_768);
        expect(below(our.writes)).toEqual(below(writes));
      });
  }

  test("256 MiB cost within 64 KiB of what the kernel wrote", () => {
    const recorded = rows[timed]?.[2] ?? 0;
    expect(Math.abs(kibibytesOf(ours[timed] as Written) - recorded)).toBeLessThan(64);
  });
});
