/**
 * Random scripts on a real btrfs of 4 GiB with quotas (Linux 6.18, btrfs-progs 6.2; those named zstd mounted with compress=zstd): results, and after each step and a sync the space that `btrfs filesystem
 * df`, statfs and `btrfs qgroup show` tell (test/data/btrfs/random: `use` is data, its chunks, metadata, statfs, [group, referenced, exclusive] where
 * it changed).
 */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { isErrno } from "../../sim/core/errno.ts";
import { GIB } from "../../sim/core/units.ts";
import { usage } from "../../sim/cow/btrfs/usage.ts";
import { BtrfsLab } from "./btrfs-lab.ts";
import { type Outcome, perform, qgroupsOf, settleAfter } from "./btrfs-script.ts";

interface Recorded {
  readonly op: string;
  /** "ok", what write(2) or copy_file_range(2) returned, "E" and the number of an error, or "failed" of a tool. */
  readonly result: string | number;
  readonly use?: readonly unknown[];
}

const FOLDER = new URL("../data/btrfs/random/", import.meta.url);

function told(op: string, outcome: Outcome): string | number {
  if (isErrno(outcome)) return op.startsWith("btrfs") || op.startsWith("limit") ? "failed" : `E${outcome.number}`;
  return op.startsWith("write") || op.startsWith("copyrange") ? Number(outcome) : "ok";
}

function useOf(lab: BtrfsLab): unknown[] {
  const { data, metadata } = usage(lab.fs.state);
  const { blocks, blocksFree } = lab.fs.statfs();
  return [data.used, data.total, metadata.used, (blocks - blocksFree) * 4096, qgroupsOf(lab)];
}

test.each(readdirSync(FOLDER))("%s takes the space that the kernel's took, after every step", (name) => {
  const lab = new BtrfsLab({ size: GIB(4), options: name.startsWith("zstd") ? "compress=zstd" : "" });
  let use: readonly unknown[] | undefined;
  for (const [index, line] of readFileSync(new URL(name, FOLDER), "utf8").trim().split("\n").entries()) {
    const step = JSON.parse(line) as Recorded;
    const where = `${name}:${index + 1}: ${step.op}`;
    expect(told(step.op, perform(lab, step.op)), where).toBe(step.result);
    settleAfter(lab, step.op);
    use = step.use ?? use;
    expect(useOf(lab), where).toEqual(use);
  }
});
