/**
 * One workload on btrfs, step by step as Docker did it on a real kernel (test/data/docker/btrfs): what data each step takes and gives back, what each layer's
 * quota group counts, and what of a lower file each container finds in the page cache.
 *
 * The daemon's own files lie on the same filesystem, in the top subvolume, and are not made here: what they took is told apart by the top's quota group.
 */
import { expect, test } from "vitest";
import { k6_18 } from "../../sim/core/kernel-profile.ts";
import { GIB } from "../../sim/core/units.ts";
import { Btrfs } from "../../sim/cow/btrfs/btrfs.ts";
import { syncAll } from "../../sim/cow/btrfs/ioctl.ts";
import { enableQuota } from "../../sim/cow/btrfs/quota-ioctl.ts";
import { usage } from "../../sim/cow/btrfs/usage.ts";
import { createHost } from "../../sim/host.ts";
import { DOCKER_ROOT, prepareDockerRoot } from "../../src/drivers/docker-root.ts";
import { driverOn, must } from "./docker-host.ts";
import { type CacheRow, type Docker, loadImage, readInTurn, recorded, STEPS } from "./docker-workload.ts";

const DATA = "btrfs";
const NODE = 16_384;
/** Nodes by which a group may differ after a step: how full leaves are hangs on names that were not kept. */
const NODES_MAX = 2;
/** The same where a step makes or removes many files: of what it changed. */
const SHARE_MAX = 0.1;
const TOP = 5;

interface RecordedStep {
  readonly step: string;
  /** As btrfs filesystem df -b prints it: data first. */
  readonly df: readonly string[];
  /** As btrfs qgroup show --raw prints it, below two lines of heading. */
  readonly qgroup: readonly string[];
}

interface Unequal {
  readonly step: string;
  readonly what: "data" | "total" | "groups";
  readonly reason: string;
}

interface Figures {
  readonly data: number;
  readonly total: number;
  /** Of each subvolume by id: referenced and exclusive bytes. */
  readonly groups: ReadonlyMap<number, readonly [number, number]>;
}

function docker(): Docker & { readonly fs: Btrfs } {
  const host = createHost({ seed: 7, kernel: k6_18 });
  must(prepareDockerRoot(host, { backing: "btrfs", size: GIB(12) }));
  const { fs } = must(host.task.resolve(DOCKER_ROOT)).mount;
  if (!(fs instanceof Btrfs)) throw new Error(`${DOCKER_ROOT} is on ${fs.type}`);
  return { host, fs, driver: driverOn(host, { name: "btrfs" }) };
}

function ourFigures(fs: Btrfs): Figures {
  must(syncAll(fs));
  fs.check();
  const { data } = usage(fs.state);
  const groups = [...(fs.state.quotas?.groups.values() ?? [])];
  return {
    data: data.used,
    total: data.total,
    groups: new Map(groups.map(({ id, referenced, exclusive }) => [id, [referenced, exclusive]])),
  };
}

function recordedFigures({ df, qgroup }: RecordedStep): Figures {
  const [, total = "", used = ""] = /total=(\d+), used=(\d+)/.exec(df[0] ?? "") ?? [];
  const rows = qgroup.slice(2).map((line): readonly [number, readonly [number, number]] => {
    const [group = "", referenced = "", exclusive = ""] = line.trim().split(/\s+/);
    return [Number(group.split("/")[1]), [Number(referenced), Number(exclusive)]];
  });
  return { data: Number(used), total: Number(total), groups: new Map(rows) };
}

const remainder = (bytes: number): number => ((bytes % NODE) + NODE) % NODE;

/** By how many nodes a layer's group may be off, and that its data is not. */
function expectGroups(step: string, ours: [Figures, Figures], theirs: [Figures, Figures]): void {
  for (const [id, now] of theirs[1].groups) {
    const got = ours[1].groups.get(id);
    if (id === TOP || got === undefined) continue;
    for (const kind of [0, 1] as const) {
      const what = `${step}: ${kind === 0 ? "referenced" : "exclusive"} of 0/${id}`;
      expect(remainder(got[kind] - now[kind]), `${what} in data`).toBe(0);
      const change = now[kind] - (theirs[0].groups.get(id)?.[kind] ?? now[kind]);
      const gotChange = got[kind] - (ours[0].groups.get(id)?.[kind] ?? got[kind]);
      expect(Math.abs(gotChange - change), what).toBeLessThanOrEqual(Math.max(NODES_MAX * NODE, Math.abs(change) * SHARE_MAX));
    }
  }
}

test("each step takes the data that it took on a real kernel to the byte, and each layer's quota group counts it, or is named with a reason", () => {
  const on = docker();
  must(enableQuota(on.fs));
  const named = new Set(recorded<Unequal>(DATA, "unequal.json").map(({ step, what }) => `${step}: ${what}`));
  const used = new Set<string>();
  const isNamed = (step: string, what: Unequal["what"]): boolean => {
    const name = `${step}: ${what}`;
    if (named.has(name)) used.add(name);
    return named.has(name);
  };
  const empty: Figures = { data: 0, total: 0, groups: new Map() };
  let ours = empty;
  let theirs = empty;
  for (const row of recorded<RecordedStep>(DATA, "space.json")) {
    const { step } = row;
    STEPS[step]?.(on);
    const [now, then] = [ourFigures(on.fs), recordedFigures(row)];
    const top = (then.groups.get(TOP)?.[0] ?? 0) - (theirs.groups.get(TOP)?.[0] ?? 0);
    const rest = then.data - theirs.data - (now.data - ours.data) - top;
    if (!isNamed(step, "data")) expect(remainder(rest), `${step}: bytes beside the daemon's own`).toBe(0);
    if (!isNamed(step, "total")) expect([step, now.total]).toEqual([step, then.total]);
    if (!isNamed(step, "groups")) expectGroups(step, [ours, now], [theirs, then]);
    [ours, theirs] = [now, then];
  }
  expect(used, "what is named differs").toEqual(named);
  expect(ours.data).toBe(0);
});

test("every container reads its own copy of a lower file into the page cache", () => {
  const on = docker();
  loadImage(on);
  readInTurn(on, recorded<CacheRow>(DATA, "pagecache.json"), () => {});
});
