import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { FILESYSTEMS } from "../../sim/host/filesystems.ts";
import { loadScenario } from "../../src/scenario/load.ts";
import { makeWorld } from "../../src/scenario/machine.ts";
import { runScenario } from "../../src/scenario/run.ts";

const folder = new URL("../../scenarios/", import.meta.url);
const listed = (under: string): string[] =>
  readdirSync(new URL(under, folder))
    .filter((name) => name.endsWith(".yaml"))
    .map((name) => under + name);
/** Those of `npm start`, and those that take longer. */
const read = [...listed("./"), ...listed("large/")].map((name) => name.replace("./", ""));
/** Two take long, and are only read here: one minutes, and one, of 280 layers a driver, as long as all the others of a filesystem (.ci/run has it). */
const names = read.filter((name) => !["large/storage-benchmark-full.yaml", "large/max-depth.yaml"].includes(name));

/** What these tell is the filesystem's own: its page cache, its blocks, its inodes, its way of copying. */
const ABOUT_THE_DISK = [
  "shared-library-cache.yaml",
  "readahead.yaml",
  "df-vs-du.yaml",
  "inodes-before-bytes.yaml",
  "btrfs-enospc-with-free-space.yaml",
  "two-ways-btrfs.yaml",
  // tmpfs counts an inode for every link.
  "native-diff.yaml",
  // Nothing of a tmpfs is left when the power goes.
  "power-cut.yaml",
  "storage-benchmark.yaml",
  "large/docker-workload.yaml",
];

/** What of a scenario's expectations does not hold, on the backing filesystem that `change` puts in the file. */
function unmet(name: string, change: (text: string) => string): readonly unknown[] {
  const scenario = loadScenario(change(readFileSync(new URL(name, folder), "utf8")), name);
  const { drivers } = runScenario(scenario, { makeWorld });
  expect(drivers.length).toBeGreaterThan(1);
  return drivers.flatMap((run) => [
    ...(run.stopped === undefined ? [] : [[run.id, run.stopped.where, run.stopped.why]]),
    ...run.verdicts
      .filter((verdict) => !verdict.ok)
      .map(({ step, what, expected, found }) => [run.id, step, what, expected, found]),
  ]);
}

describe("a scenario of the project", () => {
  test.each(read)("%s has sources, and names itself as its file", (name) => {
    const scenario = loadScenario(readFileSync(new URL(name, folder), "utf8"), name);
    expect([scenario.name, scenario.sources.length > 0]).toEqual([name.replace(/^.*\/|\.yaml$/g, ""), true]);
  });

  test.runIf(FILESYSTEMS.has("ext4")).each(names)("%s holds on ext4", (name) => {
    expect(unmet(name, (text) => text)).toEqual([]);
  });

  test("runs on all seven drivers", () => {
    const of = (name: string): string[] =>
      loadScenario(readFileSync(new URL(name, folder), "utf8"), name).drivers.map(({ driver }) => driver);
    // Sizes of containers are what some drivers have; kernels change overlay2; datasets are zfs's own.
    expect(read.filter((name) => new Set(of(name)).size < 7)).toEqual([
      "btrfs-size-limit.yaml",
      "kernel-upgrades.yaml",
      "zfs-datasets.yaml",
    ]);
  });

  test.each(names.filter((name) => !ABOUT_THE_DISK.includes(name)))(
    "%s holds on tmpfs too: what copies does not hang on the filesystem below",
    (name) => {
      expect(unmet(name, (text) => text.replace("backing: ext4", "backing: tmpfs"))).toEqual([]);
    },
  );
});
