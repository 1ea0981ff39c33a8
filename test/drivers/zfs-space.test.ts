/**
 * One workload on zfs, step by step as Docker did it on a real kernel (test/data/docker/zfs): what each step adds to each layer's dataset, what is left of the
 * pool's space, and what each container that reads a lower file finds in the page cache and in the ARC.
 *
 * The daemon's own files lie in the parent dataset, and are not made here: only the layers' datasets are compared.
 */
import { expect, test } from "vitest";
import { GIB, KIB, seconds } from "../../sim/core/units.ts";
import { checkPool } from "../../sim/cow/zfs/assemble.ts";
import { findDataset } from "../../sim/cow/zfs/commands.ts";
import { columnOf } from "../../sim/cow/zfs/listing.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import { createHost } from "../../sim/host.ts";
import { prepareDockerRoot } from "../../src/drivers/docker-root.ts";
import { driverOn, must } from "./docker-host.ts";
import { type CacheRow, type Docker, loadImage, readInTurn, recorded, STEPS } from "./docker-workload.ts";

const DATA = "zfs";
const PARENT = "zp/docker";
/** Bytes by which a step's change of a dataset may differ: metadata compresses by names and attributes that were not kept. */
const BYTES_MAX = 3072;
/** The same where a step makes or removes many files: of what it changed. */
const SHARE_MAX = 0.01;
const COLUMNS = ["used", "referenced"] as const;

/** The recorded datasets by the beginning of their names, and whose they were. */
const ROLES: ReadonlyMap<string, string> = new Map([
  ["16f2efca", "layer1"],
  ["1e901dfe", "layer2"],
  ["d2258120", "layer3"],
  ["63eba878", "nothing"],
  ["0cd67f6b", "c1"],
  ["09d0526f", "c2"],
]);

type Row = readonly [name: string, used: string, referenced: string, ...rest: string[]];

interface RecordedStep {
  readonly step: string;
  /** Name, size, allocated, free. */
  readonly zpool: readonly string[];
  readonly zfs: readonly Row[];
}

interface Unequal {
  readonly step: string;
  readonly dataset: string;
  readonly reason: string;
}

interface RecordedCache extends CacheRow {
  readonly arc_before: { readonly demand_data_misses: number };
  readonly arc_after: { readonly demand_data_misses: number };
}

/** Used and referenced bytes of each layer's dataset. */
type Figures = ReadonlyMap<string, readonly [number, number]>;

function docker(): Docker & { readonly pool: Pool } {
  const host = createHost({ seed: 7 });
  must(prepareDockerRoot(host, { backing: "zfs", size: GIB(12) }));
  const pool = host.pools.get("zp");
  if (pool === undefined) throw new Error("there is no pool");
  return { host, pool, driver: driverOn(host, { name: "zfs" }) };
}

function roleOf(name: string): string | undefined {
  const [, id = "", init = ""] = /^zp\/docker\/([0-9a-f]{8})[0-9a-f]+(-init)?$/.exec(name) ?? [];
  const role = ROLES.get(id);
  return role === undefined ? undefined : role + init;
}

function recordedFigures({ zfs }: RecordedStep): Figures {
  const rows = zfs.flatMap(([name, used, referenced]) => {
    const role = roleOf(name);
    return role === undefined ? [] : [[role, [Number(used), Number(referenced)]] as const];
  });
  return new Map(rows);
}

function ourFigures(pool: Pool, roles: Iterable<string>): Figures {
  const figures = new Map<string, readonly [number, number]>();
  for (const role of roles) {
    const dataset = findDataset(pool, `${PARENT}/${role}`);
    if (dataset === undefined) continue;
    const [used = 0, referenced = 0] = COLUMNS.map((column) => Number(columnOf(pool, dataset, column)));
    figures.set(role, [used, referenced]);
  }
  return figures;
}

/** Sizes of an intent log's next block. */
const LOG_BLOCKS = [4, 12, 36, 68, 128].map((size) => KIB(size));

test("each step changes each layer's dataset by what it did on a real kernel, or is named with a reason", () => {
  const on = docker();
  const named = new Set(recorded<Unequal>(DATA, "unequal.json").map(({ step, dataset }) => `${step}: ${dataset}`));
  const differing = new Set<string>();
  let ours: Figures = new Map();
  let theirs: Figures = new Map();
  for (const row of recorded<RecordedStep>(DATA, "space.json")) {
    const { step } = row;
    STEPS[step]?.(on);
    // The recording looked when all groups were written and all that they freed was free.
    for (let group = 0; group < 4; group++) on.host.clock.advance(seconds(5));
    must(on.pool.syncGroup());
    checkPool(on.pool);
    // Docker's own files have a log too; what was built while the containers of that step went is not made here.
    const logs = Number(row.zpool[2]) - Number(row.zfs[0]?.[1]);
    if (step !== "all containers rm") expect(LOG_BLOCKS, `${step}: logs`).toContain(logs - on.pool.store.logBytes);
    const then = recordedFigures(row);
    const now = ourFigures(on.pool, then.keys());
    expect([...now.keys()], `${step}: the layers that there are`).toEqual([...then.keys()]);
    for (const [role, figures] of then) {
      for (const column of COLUMNS.keys()) {
        const change = (figures[column] ?? 0) - (theirs.get(role)?.[column] ?? 0);
        const got = (now.get(role)?.[column] ?? 0) - (ours.get(role)?.[column] ?? 0);
        if (Math.abs(got - change) > Math.max(BYTES_MAX, Math.abs(change) * SHARE_MAX)) differing.add(`${step}: ${role}`);
      }
    }
    [ours, theirs] = [now, then];
  }
  expect(differing).toEqual(named);
});

test("containers share a lower file's blocks in the ARC, and none of them has pages of it", () => {
  const on = docker();
  loadImage(on);
  const rows = recorded<RecordedCache>(DATA, "pagecache.json");
  let missed = 0;
  readInTurn(on, rows, (index, when) => {
    const { demandDataMisses } = on.pool.arc.counters;
    const row = rows[index] as RecordedCache;
    if (when === "before") missed = demandDataMisses;
    else expect(demandDataMisses - missed).toBe(row.arc_after.demand_data_misses - row.arc_before.demand_data_misses);
  });
});
