/**
 * Bundled scenarios on the simulator and on this machine's kernel: every system call that the scenario made here, with its answer, and the space,
 * inodes and bytes written to the disk that it took.
 */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Json } from "../../src/calls/json.ts";
import type { Step } from "../../src/calls/step.ts";
import { canMake, KernelOracle, kernelObstacle } from "../../src/node/kernel-oracle.ts";
import { loadScenario } from "../../src/scenario/load.ts";
import { makeWorld } from "../../src/scenario/machine.ts";
import { type DriverRun, runScenario } from "../../src/scenario/run.ts";
import type { Scenario } from "../../src/scenario/scenario.ts";
import { type Noted, type NotedStep, newNoted, recordingWorld } from "./recording-world.ts";

const why = kernelObstacle();
/**
 * Scenarios whose work the kernel can do without Docker. Others stand on disks too small or machines too old for it, on archives, remove layers, ask
 * what the builder's commits make of hard links, or write gigabytes.
 */
const NAMES = [
  "btrfs-snapshots-leak",
  "chmod-doubles-image",
  "copy-up-large-file",
  "df-vs-du",
  "fd-splits-after-copy-up",
  "mv-many-small",
  "ps-virtual",
  "rename-aufs-children",
  "rename-dir-lower",
  "rm-does-not-shrink",
  "shared-library-cache",
  "tail-f-silent",
  "thin-10g-base",
  "thin-64k-amplification",
  "thin-not-reclaimed",
  "thin-pool-full",
  "two-ways-btrfs",
  "vfs-explosion",
  "zfs-128k-record",
] as const;
/** Drivers of the scenarios whose work the kernel can do without Docker: by id, on these filesystems. */
const GROUNDS = [
  { id: "overlay2", target: "overlay2", backing: "ext4", mountOptions: "index=off" },
  { id: "overlay2", target: "overlay2", backing: "xfs", mountOptions: "index=off" },
  { id: "overlay2+metacopy", target: "overlay2", backing: "ext4", mountOptions: "index=off,metacopy=on,redirect_dir=on" },
  { id: "overlay2+redirect_dir", target: "overlay2", backing: "ext4", mountOptions: "index=off,redirect_dir=on" },
  { id: "vfs", target: "vfs", backing: "ext4", mountOptions: "" },
  { id: "vfs", target: "vfs", backing: "xfs", mountOptions: "" },
  { id: "btrfs", target: "btrfs", backing: "btrfs", mountOptions: "" },
] as const;
/** As large as the oracle's disks. */
const DEVICE = 2 * 2 ** 30;

/** What Docker's driver and its mount keep beside a layer's files: a few small files and folders a layer. */
const LAYER_SLACK = 40 * 1024;
/** Bytes written beside the data: the journal's commits, which the kernel groups by time. */
const WRITTEN_SLACK = 3 * 2 ** 20;

/** What the steps' space may differ by, in bytes: a few blocks of metadata, and on btrfs two nodes, each kept twice. */
const SPACE_SLACK: Readonly<Record<string, number>> = { btrfs: 65_536 };
/** xfs frees the inodes of what an earlier script removed in the background. */
const INODE_SLACK: Readonly<Record<string, number>> = { xfs: 8 };

interface Figures {
  readonly used: number;
  readonly inodes: number;
  readonly written: number;
  readonly own: number;
}

function scenarioOf(name: string): Scenario {
  const file = new URL(`../../scenarios/${name}.yaml`, import.meta.url);
  const scenario = loadScenario(readFileSync(file, "utf8"), name);
  return { ...scenario, host: { ...scenario.host, device: DEVICE } };
}

interface Simulated {
  readonly run: DriverRun;
  readonly noted: Noted;
}

function simulated(scenario: Scenario, ground: (typeof GROUNDS)[number]): Simulated {
  const choices = scenario.drivers.filter(({ id }) => id === ground.id);
  const drivers = choices.map((choice) => ({ ...choice, backing: ground.backing }));
  const noted = newNoted();
  const run = runScenario({ ...scenario, drivers }, { makeWorld: recordingWorld(makeWorld, noted) }).drivers[0];
  if (run === undefined) throw new Error(`${scenario.name} did not run`);
  return { run, noted };
}

/** Emptying the page cache is dropping every file that is read or asked for later: no other program's pages are touched. */
function dropsOf(steps: readonly NotedStep[]): Step[] {
  const read = steps.filter(
    ({ step }) => step["call"] === "cached" || (step["call"] === "open" && (step["flags"] as string[])[0] === "O_RDONLY"),
  );
  const files = new Map(read.map(({ step }) => [`${step["on"]}:${step["path"]}`, step]));
  return [...files.values()].map(({ on, path }) => ({ on, call: "drop", path }) as Step);
}

interface Told {
  readonly steps: readonly NotedStep[];
  /** What the kernel answered to each. */
  readonly answers: readonly Json[];
  /** At the start, after building, after starting, at the end. */
  readonly figures: readonly Figures[];
}

async function onKernel(
  oracle: KernelOracle,
  { steps, created, started }: Noted,
  ground: (typeof GROUNDS)[number],
): Promise<Told> {
  const GROUND = "ground";
  const figures = (name: string): NotedStep => ({ step: { lab: "figures", name } });
  const last = steps[started - 1]?.step["name"] as string;
  const calls = steps.flatMap((one, at) =>
    one.step["lab"] === "drop" ? dropsOf(steps.slice(at)).map((step): NotedStep => ({ step })) : [one],
  );
  const all = [
    { step: { lab: "layer", name: GROUND } },
    figures(GROUND),
    ...calls.slice(0, created),
    figures(GROUND),
    ...calls.slice(created, started),
    figures(last),
    ...calls.slice(started),
    figures(last),
  ];
  const { target, backing, mountOptions } = ground;
  const script = { ground: { target, backing, mountOptions }, steps: all.map(({ step }) => step) };
  const answers = await oracle.ask(script, { fresh: true });
  const sheets = all.flatMap(({ step }, at) =>
    step["lab"] === "figures" ? [(answers[at] as unknown as { value: Figures }).value] : [],
  );
  return { steps: all, answers, figures: sheets };
}

/** A kernel's answer in the form of the noted ones: without what is named by the order in which inodes were seen, and without content. */
function plain(answer: Json | undefined, like: Json): Json {
  const value = (answer as { readonly value?: Json } | undefined)?.value;
  if (typeof value !== "object" || value === null || Array.isArray(value)) return answer as Json;
  const { ino: _, dev: __, sha256: ___, data, ...rest } = value as Record<string, Json>;
  const { nlink } = ((like as { readonly value?: Json }).value ?? {}) as Record<string, Json>;
  if (typeof data === "string") return { value: { len: data.length } };
  return { value: nlink === undefined ? Object.fromEntries(Object.entries(rest).filter(([key]) => key !== "nlink")) : rest };
}

describe.skipIf(why !== undefined)("a bundled scenario is on this machine's kernel what it is here", () => {
  let oracle: KernelOracle | undefined;
  beforeAll(() => {
    oracle = new KernelOracle();
  });
  afterAll(() => oracle?.end());

  const cases = NAMES.flatMap((name) => {
    const scenario = scenarioOf(name);
    const grounds = GROUNDS.filter(
      ({ id, backing }) => scenario.drivers.some((choice) => choice.id === id) && (why !== undefined || canMake(backing)),
    );
    return grounds.map((ground) => [name, ground.id, ground.backing, scenario, ground] as const);
  });

  test.each(cases)("%s: %s over %s", async (_name, _id, _backing, scenario, ground) => {
    const { run, noted } = simulated(scenario, ground);
    expect([run.stopped, noted.unsaid]).toEqual([undefined, undefined]);
    const { steps, answers, figures } = await onKernel(oracle as KernelOracle, noted, ground);
    steps.forEach(({ step, answer }, at) => {
      if (answer !== undefined) expect([step, plain(answers[at], answer)]).toEqual([step, answer]);
    });
    const layers = steps.filter(({ step }) => step["lab"] === "layer" || step["lab"] === "container").length;
    (["build", "create", "steps"] as const).forEach((phase, index) => {
      // Docker's builder commits what the oracle leaves where it was written, and btrfs cleans up behind it while the steps run.
      if (noted.built && (phase !== "steps" || ground.target === "btrfs")) return;
      const [before, after] = [figures[index] as Figures, figures[index + 1] as Figures];
      const ours = run.phases[phase];
      const near = (what: string, here: number, there: number, slack: number): void =>
        expect(Math.abs(here - there), `${phase}, ${what}: ${here} here, ${there} there`).toBeLessThanOrEqual(slack);
      // What a step costs is exact; a layer has Docker's own small files beside it.
      const space = ours.space_allocated;
      near(
        "space",
        space,
        after.used - before.used,
        phase === "steps" ? (SPACE_SLACK[ground.target] ?? 16_384) : layers * LAYER_SLACK,
      );
      const inodes = phase === "steps" ? (INODE_SLACK[ground.backing] ?? 2) : layers * 8;
      near("inodes", ours.inodes_allocated, after.inodes - before.inodes, inodes);
      // The last container's own folder holds what the steps took; on xfs a copy shares its blocks, and du counts them all the same.
      if (ground.target === "overlay2" && ground.backing === "ext4" && phase === "steps" && noted.started - noted.created === 1)
        near("own folder", space, after.own - before.own, 16_384);
      near("written", ours.device_bytes_written, after.written - before.written, WRITTEN_SLACK);
    });
  });
});
