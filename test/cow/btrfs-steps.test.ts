/**
 * What Linux 6.1 and btrfs-progs 6.2 answered, step by step, on a device of 4 GiB with quotas: results, errors, stat, space and quota groups
 * (test/data/btrfs/steps.ndjson).
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { type KernelProfile, kernelProfile } from "../../sim/core/kernel-profile.ts";
import { GIB, MIB } from "../../sim/core/units.ts";
import { listSubvolumes } from "../../sim/cow/btrfs/ioctl.ts";
import { usage } from "../../sim/cow/btrfs/usage.ts";
import { type Attributes, newAttributes } from "../../sim/vfs/filesystem.ts";
import { BtrfsLab } from "./btrfs-lab.ts";
import { type Outcome, perform, qgroupsOf, settleAfter } from "./btrfs-script.ts";

interface Recorded {
  readonly op: string;
  readonly res: { readonly rc?: number; readonly r?: unknown; readonly err?: string | null; readonly errno?: number | null };
  readonly st?: Readonly<Record<string, unknown>>;
  readonly use?: {
    readonly data: number;
    readonly dataTotal: number;
    readonly metadata: number;
    readonly statfsUsed: number;
    readonly qgroups: readonly (readonly [number, number, number])[];
    readonly paths: readonly string[];
  };
}

const STEPS: readonly Recorded[] = readFileSync(new URL("../data/btrfs/steps.ndjson", import.meta.url), "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as Recorded);

/** The step whose write is refused in the middle: how far it gets depends on where its batches end. */
const REFUSED_WRITE = "write /m/q/big off=0 len=3145728 seed=20";
/** Pages that the recording's process had made dirty by then since it last looked how many there were: its log and nodes among them, which are not made here. */
const DIRTIED_PAGES = 170;

function statOf(lab: BtrfsLab, path: string): Record<string, unknown> {
  const of: Attributes | Errno = lab.host.task.lstat(path, newAttributes());
  if (isErrno(of)) return { err: of.number };
  return { ino: of.inodeNumber, nlink: of.nlink, size: of.size, blocks: of.blocks, mode: `0o${of.mode.toString(8)}` };
}

/** What stat told, without device numbers, which are given out in the order of first use. */
function withoutDevice(recorded: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { dev: _dev, ...rest } = recorded;
  return rest;
}

function expectResult(step: Recorded, outcome: Outcome): void {
  const { res, op } = step;
  const failed = isErrno(outcome) ? outcome : undefined;
  if (res.rc !== undefined && res.rc !== 0) expect(res.err, op).toContain(failed?.text);
  else if (typeof res.r === "number" && res.r >= 0) expect(outcome, op).toBe(res.r);
  else if (typeof res.errno === "number") expect(failed?.number, op).toBe(res.errno);
  else if (typeof res.err === "string" && res.err !== "" && res.rc === undefined)
    expect(res.err, op).toContain(`(${failed?.number})`);
  else expect(failed, op).toBeUndefined();
}

function expectUse(lab: BtrfsLab, use: NonNullable<Recorded["use"]>, op: string): void {
  const { data, metadata } = usage(lab.fs.state);
  const { blocks, blocksFree } = lab.fs.statfs();
  expect({ data: data.used, total: data.total, metadata: metadata.used }, op).toEqual({
    data: use.data,
    total: use.dataTotal,
    metadata: use.metadata,
  });
  expect((blocks - blocksFree) * 4096, op).toBe(use.statfsUsed);
  expect(qgroupsOf(lab), op).toEqual(use.qgroups);
  expect(
    listSubvolumes(lab.fs).map(({ path }) => path),
    op,
  ).toEqual(use.paths);
}

/** Makes one step, and compares everything that was recorded of it. */
function expectStep(lab: BtrfsLab, step: Recorded): void {
  if (step.op === REFUSED_WRITE) lab.fs.state.dirtiedPages = DIRTIED_PAGES;
  expectResult(step, perform(lab, step.op));
  settleAfter(lab, step.op);
  if (step.use !== undefined) expectUse(lab, step.use, step.op);
  const [, path = ""] = step.op.split(" ");
  const stats = step.st === undefined ? {} : "ino" in step.st || "err" in step.st ? { [path]: step.st } : step.st;
  for (const [at, recorded] of Object.entries(stats))
    expect(statOf(lab, at), step.op).toEqual(withoutDevice(recorded as Readonly<Record<string, unknown>>));
}

// One test, as each step stands on those before it.
test("btrfs on Linux 6.1: every step gives the recorded result and the recorded figures", () => {
  const lab = new BtrfsLab({
    size: GIB(4),
    memory: MIB(2468),
    profile: (kernelProfile("6.1") as KernelProfile).btrfs,
  });
  for (const step of STEPS.slice(2)) expectStep(lab, step);
});
