/**
 * Bundled scenarios on the simulator and on this machine's kernel: the answers, the pages in the cache, the space and inodes that the disk lost,
 * the size of the container's own folder and the bytes written to the disk.
 */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CallResult, Step } from "../../src/calls/step.ts";
import { canMake, KernelOracle, kernelObstacle } from "../../src/node/kernel-oracle.ts";
import { loadScenario } from "../../src/scenario/load.ts";
import { makeWorld } from "../../src/scenario/machine.ts";
import { type DriverRun, runScenario } from "../../src/scenario/run.ts";
import type { Scenario } from "../../src/scenario/scenario.ts";
import { callsOfSteps, containersOf, GROUND, layersOf } from "./scenario-script.ts";

const why = kernelObstacle();
const NAMES = ["copy-up-large-file", "rename-dir-lower", "vfs-explosion", "shared-library-cache"];
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

function simulated(scenario: Scenario, ground: (typeof GROUNDS)[number]): DriverRun | undefined {
  const choices = scenario.drivers.filter(({ id }) => id === ground.id);
  const drivers = choices.map((choice) => ({ ...choice, backing: ground.backing }));
  return runScenario({ ...scenario, drivers }, { makeWorld }).drivers[0];
}

interface Told {
  readonly answers: ReadonlyMap<string, CallResult>;
  /** At the start, after building, after starting, at the end. */
  readonly figures: readonly Figures[];
}

async function onKernel(oracle: KernelOracle, scenario: Scenario, ground: (typeof GROUNDS)[number]): Promise<Told> {
  const figures = (name: string): Step => ({ lab: "figures", name });
  const container = scenario.containers.at(-1)?.name ?? GROUND;
  const calls = callsOfSteps(scenario);
  const [first, ...layers] = layersOf(scenario) ?? [];
  const before = [first as Step, figures(GROUND), ...layers, figures(GROUND), ...containersOf(scenario), figures(container)];
  const { target, backing, mountOptions } = ground;
  const steps = [...before, ...calls.map(({ step }) => step), figures(container)];
  const answers = await oracle.ask({ ground: { target, backing, mountOptions }, steps });
  const told = new Map<string, CallResult>();
  calls.forEach(({ ends }, index) => {
    if (ends !== undefined) told.set(ends, answers[before.length + index] as unknown as CallResult);
  });
  const sheets = steps.flatMap((step, index) =>
    step["lab"] === "figures" ? [(answers[index] as unknown as { value: Figures }).value] : [],
  );
  return { answers: told, figures: sheets };
}

/** An answer without what is named by the order in which inodes were seen, and without content, which differs. */
function plain(answer: CallResult | undefined): unknown {
  if (answer === undefined || !("value" in answer) || typeof answer.value !== "object" || answer.value === null) return answer;
  const { ino: _, dev: __, sha256: ___, data: ____, ...rest } = answer.value as Record<string, unknown>;
  return { value: rest };
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
    const run = simulated(scenario, ground);
    const { answers, figures } = await onKernel(oracle as KernelOracle, scenario, ground);
    for (const { id, answer } of run?.steps ?? []) {
      const real = answers.get(id);
      if (real !== undefined) expect([id, plain(answer)]).toEqual([id, plain(real)]);
    }
    const layers = 1 + scenario.images.reduce((sum, image) => sum + image.layers.length, 0) + scenario.containers.length;
    (["build", "create", "steps"] as const).forEach((phase, index) => {
      const [before, after] = [figures[index] as Figures, figures[index + 1] as Figures];
      const ours = run?.phases[phase];
      const near = (what: string, here: number, there: number, slack: number): void =>
        expect(Math.abs(here - there), `${phase}, ${what}: ${here} here, ${there} there`).toBeLessThanOrEqual(slack);
      // What a step costs is exact; a layer has Docker's own small files beside it.
      const space = ours?.space_allocated ?? 0;
      near("space", space, after.used - before.used, phase === "steps" ? 16_384 : layers * LAYER_SLACK);
      const inodes = phase === "steps" ? (INODE_SLACK[ground.backing] ?? 2) : layers * 8;
      near("inodes", ours?.inodes_allocated ?? 0, after.inodes - before.inodes, inodes);
      // The last container's own folder holds what the steps took; on xfs a copy shares its blocks, and du counts them all the same.
      if (ground.target === "overlay2" && ground.backing === "ext4" && phase === "steps")
        near("own folder", space, after.own - before.own, 16_384);
      near("written", ours?.device_bytes_written ?? 0, after.written - before.written, WRITTEN_SLACK);
    });
  });
});
