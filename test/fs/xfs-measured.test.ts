/**
 * What the kernel's xfs told (Linux 6.18, xfsprogs 6.1): geometry and statfs after mkfs by size, and free blocks, inodes, sizes, sectors, inode
 * numbers and extents after every step of recorded scripts (test/fs/xfs-recorder/record.py).
 */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { MIB } from "../../sim/core/units.ts";
import { geometryOf } from "../../sim/fs/xfs/layout.ts";
import { lab } from "./xfs-helpers.ts";
import { type Script, ScriptRun } from "./xfs-script.ts";

const VECTORS = new URL("../data/vectors/", import.meta.url);

function json<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(name, VECTORS), "utf8")) as T;
}

/** MiB; groups, blocks of one, blocks of the log, percent for inodes; statfs: blocks, free, files, free files. */
const GEOMETRY = json<number[][]>("xfs-geometry.json");

/** MiB, stripe unit and width in blocks; groups, blocks of one, blocks, blocks of the log, its unit (mkfs.xfs 6.1 -N -d su=,sw=). */
const STRIPED = json<number[][]>("xfs-striped-geometry.json");

describe("mkfs.xfs", () => {
  test.each(STRIPED)("of %i MiB on stripes of %i and %i blocks makes %i groups of whole units, and aligns the log", (...row) => {
    const [size = 0, unit = 0, width = 0, ...wanted] = row;
    const { groups, groupBlocks, blocks, logBlocks, logUnit, logStart } = geometryOf(MIB(size), { stripe: { unit, width } });
    expect([groups, groupBlocks, blocks, logBlocks, logUnit, logStart % logUnit]).toEqual([...wanted, 0]);
  });

  test.each(GEOMETRY)("of %i MiB makes %i groups, and statfs tells what the kernel tells", (size = 0, ...wanted) => {
    const { groups, groupBlocks, logBlocks, inodePercent } = geometryOf(MIB(size));
    const { blocks, blocksFree, files, filesFree } = lab(MIB(size)).fs.statfs();
    expect([groups, groupBlocks, logBlocks, inodePercent, blocks, blocksFree, files, filesFree]).toEqual(wanted);
  });
});

describe("a recorded script", () => {
  test.each(readdirSync(new URL("xfs/", VECTORS)))("%s is told as the kernel told it, step by step", (name) => {
    const script = json<Script>(`xfs/${name}`);
    const run = new ScriptRun(script);
    const told = script.steps.map((step) => run.told(step));
    expect(told).toEqual(script.steps.map((step) => step.told));
    run.check();
  });
});
