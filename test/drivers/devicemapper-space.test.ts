/**
 * One workload on devicemapper, step by step as Docker did it on a real kernel (test/data/docker/devicemapper-loop): how many blocks of the pool
 * each step takes and gives back, and what of a lower file each container finds in the page cache.
 */
import { expect, test } from "vitest";
import { isErrno } from "../../sim/core/errno.ts";
import { PoolMetadata } from "../../sim/thin/metadata.ts";
import { MetadataBlocks } from "../../sim/thin/metadata-blocks.ts";
import { dockerHost, driverOn } from "./docker-host.ts";
import { type CacheRow, type Docker, loadImage, readInTurn, recorded, STEPS } from "./docker-workload.ts";

const DATA = "devicemapper-loop";
const TOLERANCE = 3;

interface RecordedStep {
  readonly step: string;
  readonly dm: Readonly<Record<string, string>>;
}

interface Unequal {
  readonly step: string;
  readonly recorded: number;
  readonly ours: number;
  readonly reason: string;
}

function docker(): Docker {
  const host = dockerHost("ext4");
  const options = ["dm.fs=ext4", "dm.basesize=1G", "dm.loopdatasize=4G", "dm.loopmetadatasize=256M"];
  return { host, driver: driverOn(host, { name: "devicemapper", options }) };
}

interface Usage {
  readonly transaction: number;
  readonly dataBlocks: number;
}

/** What the pool's metadata tells: asking the driver for its status commits, and then it is read from the device. */
function usage({ host, driver }: Docker): Usage {
  driver.status();
  const loop = host.device("loop1");
  if (loop === undefined) throw new Error("no loop device");
  const metadata = PoolMetadata.open(new MetadataBlocks(loop.device), {
    dataBlockSectors: 128,
    format: false,
    reserve: "modern",
  });
  if (isErrno(metadata)) throw new Error(metadata.code);
  return { transaction: metadata.transaction, dataBlocks: metadata.dataBlocks - metadata.freeDataBlocks };
}

function recordedUsage({ dm }: RecordedStep): Usage {
  const line = Object.values(dm).find((text) => text.includes(" thin-pool ")) ?? "";
  const words = line.split(" ");
  return { transaction: Number(words[3]), dataBlocks: Number(words[5]?.split("/")[0]) };
}

/** The step from which on more transactions had happened than these steps make. */
const UNRECORDED_FROM = "all containers rm";

test("each step of the workload takes the pool's blocks that it took on a real kernel, or is named with a reason", () => {
  const on = docker();
  const named = new Map(recorded<Unequal>(DATA, "unequal.json").map((entry) => [entry.step, entry]));
  let ours = { transaction: 0, dataBlocks: 0 };
  let theirs = ours;
  let transactionsKnown = true;
  for (const row of recorded<RecordedStep>(DATA, "space.json")) {
    const { step } = row;
    STEPS[step]?.(on);
    const [now, then] = [usage(on), recordedUsage(row)];
    const [got, want] = [now.dataBlocks - ours.dataBlocks, then.dataBlocks - theirs.dataBlocks];
    const entry = named.get(step);
    if (entry === undefined) expect(Math.abs(got - want), `${step}: ${got}, recorded ${want}`).toBeLessThanOrEqual(TOLERANCE);
    else expect({ step, recorded: want, ours: got }).toEqual({ step, recorded: entry.recorded, ours: entry.ours });
    transactionsKnown &&= step !== UNRECORDED_FROM;
    if (transactionsKnown) expect([step, now.transaction]).toEqual([step, then.transaction]);
    [ours, theirs] = [now, then];
  }
  expect(ours.dataBlocks).toBe(theirs.dataBlocks);
  on.driver.cleanup();
  on.host.check();
});

test("no container finds another one's pages of a lower file, and the first also fills the loop file's", () => {
  const on = docker();
  loadImage(on);
  readInTurn(on, recorded<CacheRow>(DATA, "pagecache.json"), () => {});
});
