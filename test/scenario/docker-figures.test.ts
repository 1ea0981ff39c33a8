/**
 * The workload that a real Docker did on each driver (scenarios/large/docker-workload.yaml), step by step beside what its disk lost
 * (test/data/docker/workload.json, recorded with Docker 20.10.24 on Linux 6.18.44 and 6.1.176). COWLAB_FIGURES=1 prints both.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { nodeHasher } from "../../src/node/digest.ts";
import { loadScenario } from "../../src/scenario/load.ts";
import { worldMaker } from "../../src/scenario/machine.ts";
import { type DriverRun, runScenario } from "../../src/scenario/run.ts";

interface Recorded {
  /** Bytes in use on the driver's disk, or in the pool of zfs, after each step. */
  readonly used: Readonly<Record<string, number>>;
  /** Pages of the file in the cache before and after each of four containers reads it, and by how many kB Cached grew. */
  readonly pageCache: readonly (readonly [before: number, after: number, cachedKb: number])[];
}

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8");
const recorded = JSON.parse(read("../data/docker/workload.json")) as Readonly<Record<string, Recorded>>;
const makeWorld = worldMaker(nodeHasher);

/** Steps of the recording with the steps of the scenario that they are, and which step they follow. */
const STEPS = [
  { step: "append 1 byte to 64MB file", after: "container start", ids: ["append"] },
  { step: "1000 files of 1KB", after: "append 1 byte to 64MB file", ids: ["files"] },
  { step: "delete 1000 files", after: "1000 files of 1KB", ids: ["delete-files", "delete-folder", "delete-sync"] },
  { step: "delete 64MB file", after: "delete 1000 files", ids: ["delete-big", "delete-big-sync"] },
  { step: "chmod of 64MB file", after: "c2 start", ids: ["chmod", "chmod-sync"] },
] as const;

/**
 * By how many bytes a step may differ. Over ext4 a folder's blocks depend on where its names' hashes fall, which is another key each time;
 * what btrfs, zfs and devicemapper write beside the data depends on what they wrote before, and btrfs's leaves hold the names, whose lengths were not
 * recorded: for names of five letters more the kernel takes two nodes more.
 */
const SLACK: Readonly<Record<string, number>> = {
  overlay2: 4096,
  "overlay2-xfs": 0,
  overlay: 4096,
  aufs: 0,
  vfs: 4096,
  btrfs: 245_760,
  zfs: 45_000,
  devicemapper: 3 * 65_536,
};

function spaceOf(run: DriverRun, ids: readonly string[]): number {
  return run.steps.filter(({ id }) => ids.includes(id)).reduce((sum, { figures }) => sum + figures.space_allocated, 0);
}

describe("the workload of a real Docker", () => {
  const file = "../../scenarios/large/docker-workload.yaml";
  const { drivers } = runScenario(loadScenario(read(file), "docker-workload.yaml"), { makeWorld });

  test.each(drivers.map((run) => [run.id, run] as const))("%s takes and gives back what its disk did then", (id, run) => {
    const { used } = recorded[id] as Recorded;
    const rows = STEPS.map(({ step, after, ids }) => [step, spaceOf(run, ids), (used[step] ?? 0) - (used[after] ?? 0)] as const);
    if (process.env["COWLAB_FIGURES"] === "1")
      for (const [step, ours, theirs] of rows)
        process.stdout.write(
          `${id.padEnd(13)} ${step.padEnd(28)} here ${String(ours).padStart(11)}  Docker ${String(theirs).padStart(11)}\n`,
        );
    for (const [step, ours, theirs] of rows)
      expect(Math.abs(ours - theirs), `${step}: ${ours} here, ${theirs} with Docker`).toBeLessThanOrEqual(SLACK[id] as number);
  });

  test("every expectation of the file holds", () => {
    expect(drivers.flatMap((run) => run.verdicts.filter(({ ok }) => !ok).map((verdict) => [run.id, verdict]))).toEqual([]);
  });
});

/** Of Cached, beside the file's own pages: other programs. Four drivers were recorded on a busy machine. */
const BUSY = ["overlay2", "overlay", "vfs", "btrfs"];
const cachedSlackKb = (id: string): number => (BUSY.includes(id) ? 12_288 : 1024);

const NAMES = ["a", "b", "c", "d"];
const FOUR_READERS = `
version: 1
name: four-readers
about: Four containers read one file of 64 MiB.
drivers: [DRIVER]
host: { device: 12GiB, memory: 1GiB }
images: { image: { layers: [{ write: /big, size: 64MiB, content: zeros }] } }
containers: { ${NAMES.map((name) => `${name}: { image: image }`).join(", ")} }
steps:
  - { id: cold, do: { drop_caches: 1 } }
${NAMES.map(
  (name) => `
  - { id: ${name}-before, in: ${name}, do: { cached: /big } }
  - { id: ${name}-read, in: ${name}, do: { walk: /, do: read } }
  - { id: ${name}-after, in: ${name}, do: { cached: /big } }`,
).join("")}
`;

describe("four containers that read one file of the image find it cached as with Docker", () => {
  test.each(Object.keys(recorded).filter((id) => id !== "overlay2-xfs"))("%s", (id) => {
    const [run] = runScenario(loadScenario(FOUR_READERS.replace("DRIVER", id), "four-readers.yaml"), { makeWorld }).drivers;
    const steps = new Map(run?.steps.map((step) => [step.id, step]));
    let cached = steps.get("cold")?.figures.cached_pages ?? 0;
    for (const [index, [before, after, grownKb]] of (recorded[id]?.pageCache ?? []).entries()) {
      const name = NAMES[index] as string;
      expect(steps.get(`${name}-before`)?.answer).toEqual({ value: before });
      // One page was lost to something else on the busy machine.
      expect([after, after + 1].map((value) => ({ value }))).toContainEqual(steps.get(`${name}-after`)?.answer);
      const now = steps.get(`${name}-read`)?.figures.cached_pages ?? 0;
      expect(Math.abs((now - cached) * 4 - grownKb), `container ${name}`).toBeLessThanOrEqual(cachedSlackKb(id));
      cached = now;
    }
  });
});
