/**
 * One workload on devicemapper, step by step as Docker did it on a real kernel (test/data/docker/devicemapper-loop): how many blocks of the pool
 * each step takes and gives back, and what of a lower file each container finds in the page cache.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { MIB } from "../../sim/core/units.ts";
import type { Host } from "../../sim/host.ts";
import { PoolMetadata } from "../../sim/thin/metadata.ts";
import { MetadataBlocks } from "../../sim/thin/metadata-blocks.ts";
import { O_APPEND, O_CREAT, O_RDONLY, O_WRONLY } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import type { GraphDriver } from "../../src/drivers/driver.ts";
import { setUpInitLayer } from "../../src/layers/init-layer.ts";
import { dockerHost, driverOn, must } from "./docker-host.ts";

const TOLERANCE = 3;
const BIG = MIB(64);
/** Bytes of the image's programs, as btrfs and overlay2 stored the same image. */
const PROGRAMS = [2_891_776, 503_808];

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

interface CacheRow {
  readonly mincore_before: number;
  readonly mincore_after: number;
  readonly cached_delta_kB: number;
}

function data<T>(name: string): readonly T[] {
  return JSON.parse(readFileSync(new URL(`../data/docker/devicemapper-loop/${name}`, import.meta.url), "utf8")) as T[];
}

interface Docker {
  readonly host: Host;
  readonly driver: GraphDriver;
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

/** Works in a mounted layer, and writes everything out, as the recording did before it looked. */
function work({ host, driver }: Docker, id: string, act: (task: Task) => void): void {
  const task = must(host.task.chroot(must(driver.get(id))));
  act(task);
  must(task.syncfs());
  task.exit();
  must(driver.put(id));
}

function write(task: Task, path: string, size: number, flags = O_WRONLY | O_CREAT): void {
  const fd = must(task.open(path, flags, 0o644));
  expect(task.write(fd, Content.pattern(size, size))).toBe(size);
  task.close(fd);
}

function files(folder: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${folder}/file-${index}`);
}

/** Three layers: small files, a big one and programs; another file; a deletion. */
function loadImage(on: Docker): void {
  must(on.driver.create("layer1", ""));
  work(on, "layer1", (task) => {
    for (const folder of ["/data", "/bin", "/small"]) must(task.mkdir(folder, 0o755));
    for (const path of files("/small", 100)) write(task, path, 1024);
    write(task, "/data/big", BIG);
    for (const size of PROGRAMS) write(task, `/bin/program-${size}`, size);
  });
  must(on.driver.create("layer2", "layer1"));
  work(on, "layer2", (task) => {
    must(task.mkdir("/etc", 0o755));
    write(task, "/etc/motd", 10);
  });
  must(on.driver.create("layer3", "layer2"));
  work(on, "layer3", (task) => must(task.unlink("/small/file-1")));
}

function createContainer({ host, driver }: Docker, id: string): void {
  must(driver.createReadWrite(`${id}-init`, "layer3"));
  must(setUpInitLayer(host.task, must(driver.get(`${id}-init`))));
  must(driver.put(`${id}-init`));
  must(driver.createReadWrite(id, `${id}-init`));
}

function startContainer({ driver }: Docker, id: string): void {
  must(driver.get(id));
}

function removeContainer({ driver }: Docker, id: string): void {
  must(driver.remove(id));
  must(driver.remove(`${id}-init`));
}

const STEPS: Readonly<Record<string, (on: Docker) => void>> = {
  empty: () => {},
  "image load": loadImage,
  // An image without files was made meanwhile: its layer is one over nothing.
  "container create": (on) => {
    must(on.driver.create("nothing", ""));
    work(on, "nothing", () => {});
    createContainer(on, "c1");
  },
  "container start": (on) => startContainer(on, "c1"),
  "append 1 byte to 64MB file": (on) => work(on, "c1", (task) => write(task, "/data/big", 1, O_WRONLY | O_APPEND)),
  "1000 files of 1KB": (on) =>
    work(on, "c1", (task) => {
      must(task.mkdir("/many", 0o755));
      for (const path of files("/many", 1000)) write(task, path, 1024);
    }),
  "delete 1000 files": (on) =>
    work(on, "c1", (task) => {
      for (const path of files("/many", 1000)) must(task.unlink(path));
      must(task.rmdir("/many"));
    }),
  "delete 64MB file": (on) => work(on, "c1", (task) => must(task.unlink("/data/big"))),
  "container stop": ({ driver }) => must(driver.put("c1")),
  "container rm": (on) => removeContainer(on, "c1"),
  "c2 start": (on) => {
    createContainer(on, "c2");
    startContainer(on, "c2");
  },
  "chmod of 64MB file": (on) => work(on, "c2", (task) => must(task.chmod("/data/big", 0o600))),
  "c2 rm": (on) => {
    must(on.driver.put("c2"));
    removeContainer(on, "c2");
  },
  "all containers rm": () => {},
  "derived images rm": ({ driver }) => must(driver.remove("nothing")),
  "base image rm": ({ driver }) => {
    for (const layer of ["layer3", "layer2", "layer1"]) must(driver.remove(layer));
  },
};

/** The step from which on more transactions had happened than these steps make. */
const UNRECORDED_FROM = "all containers rm";

test("each step of the workload takes the pool's blocks that it took on a real kernel, or is named with a reason", () => {
  const on = docker();
  const named = new Map(data<Unequal>("unequal.json").map((entry) => [entry.step, entry]));
  let ours = { transaction: 0, dataBlocks: 0 };
  let theirs = ours;
  let transactionsKnown = true;
  for (const recorded of data<RecordedStep>("space.json")) {
    const { step } = recorded;
    STEPS[step]?.(on);
    const [now, then] = [usage(on), recordedUsage(recorded)];
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

/** Of Cached, beside the file's own pages: other programs of the recorded machine. */
const CACHED_TOLERANCE_KB = 1024;

test("no container finds another one's pages of a lower file, and the first also fills the loop file's", () => {
  const on = docker();
  loadImage(on);
  const rows = data<CacheRow>("pagecache.json");
  for (const index of rows.keys()) {
    createContainer(on, `c${index}`);
    startContainer(on, `c${index}`);
  }
  on.host.cache.flushAll();
  on.host.cache.dropAll();
  for (const [index, row] of rows.entries()) {
    const task = must(on.host.task.chroot(must(on.driver.get(`c${index}`))));
    const before = { pages: must(task.cachedPages("/data/big")), all: on.host.cache.cachedPages };
    const fd = must(task.open("/data/big", O_RDONLY));
    for (let offset = 0; offset < BIG; offset += MIB(1)) must(task.pread(fd, MIB(1), offset));
    task.close(fd);
    expect([before.pages, must(task.cachedPages("/data/big"))]).toEqual([row.mincore_before, row.mincore_after]);
    const grown = (on.host.cache.cachedPages - before.all) * 4;
    expect(Math.abs(grown - row.cached_delta_kB), `container ${index}: ${grown} kB`).toBeLessThanOrEqual(CACHED_TOLERANCE_KB);
    task.exit();
    must(on.driver.put(`c${index}`));
  }
});
