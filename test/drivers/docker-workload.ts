/**
 * The workload that Docker 20.10.24 ran on every driver on a real kernel (test/data/docker), as steps on a simulated one: an image of three layers, containers
 * over it, a byte appended to its big file, a thousand small files made and removed, a change of mode only.
 *
 * The image itself was not kept: its files are known by kind and number, the sizes of its programs from what the drivers stored.
 */
import { readFileSync } from "node:fs";
import { expect } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { MIB, nanoseconds } from "../../sim/core/units.ts";
import type { Host } from "../../sim/host.ts";
import { O_APPEND, O_CREAT, O_RDONLY, O_WRONLY } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import type { GraphDriver } from "../../src/drivers/driver.ts";
import { setUpInitLayer } from "../../src/layers/init-layer.ts";
import { must } from "./docker-host.ts";

/** Bytes of the lower file that containers read and append to. */
const BIG = MIB(64);
/** Bytes of the image's programs, as btrfs stored them in whole sectors. */
const PROGRAMS = [2_891_776, 503_808, 4096];

/** What a file's calls took there, about: files that are made one after the other have stamps that differ, and those compress less. */
const CALL_NANOSECONDS = nanoseconds(1_000_000);

export interface Docker {
  readonly host: Host;
  readonly driver: GraphDriver;
}

/** A recorded row of reading the big file in one container after the other. */
export interface CacheRow {
  readonly mincore_before: number;
  readonly mincore_after: number;
  readonly cached_delta_kB: number;
}

/** A recorded file of a driver, from test/data/docker. */
export function recorded<T>(driver: string, name: string): readonly T[] {
  return JSON.parse(readFileSync(new URL(`../data/docker/${driver}/${name}`, import.meta.url), "utf8")) as T[];
}

interface Place {
  readonly task: Task;
  readonly host: Host;
}

/** Works in a mounted layer, and writes everything out, as the recording did before it looked. */
function work({ host, driver }: Docker, id: string, act: (at: Place) => void): void {
  const task = must(host.task.chroot(must(driver.get(id))));
  act({ task, host });
  must(task.syncfs());
  task.exit();
  must(driver.put(id));
}

function write({ task, host }: Place, path: string, size: number, flags = O_WRONLY | O_CREAT): void {
  const fd = must(task.open(path, flags, 0o644));
  expect(task.write(fd, Content.pattern(size, size))).toBe(size);
  task.close(fd);
  host.clock.advance(CALL_NANOSECONDS);
}

function unlink({ task, host }: Place, path: string): void {
  must(task.unlink(path));
  host.clock.advance(CALL_NANOSECONDS);
}

function files(folder: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${folder}/file-${index}`);
}

/** Three layers: small files, a big one and programs; another file; a deletion. */
export function loadImage(on: Docker): void {
  must(on.driver.create("layer1", ""));
  work(on, "layer1", (at) => {
    for (const folder of ["/data", "/bin", "/small"]) must(at.task.mkdir(folder, 0o755));
    for (const path of files("/small", 100)) write(at, path, 1024);
    write(at, "/data/big", BIG);
    for (const size of PROGRAMS) write(at, `/bin/program-${size}`, size);
  });
  must(on.driver.create("layer2", "layer1"));
  work(on, "layer2", (at) => {
    must(at.task.mkdir("/etc", 0o755));
    write(at, "/etc/motd", 10);
  });
  must(on.driver.create("layer3", "layer2"));
  work(on, "layer3", (at) => unlink(at, "/small/file-1"));
}

function createContainer({ host, driver }: Docker, id: string): void {
  must(driver.createReadWrite(`${id}-init`, "layer3"));
  must(setUpInitLayer(host.task, must(driver.get(`${id}-init`))));
  must(driver.put(`${id}-init`));
  must(driver.createReadWrite(id, `${id}-init`));
  // Creating mounts a container for a moment (daemon/create_unix.go: createContainerOSSpecificSettings).
  work({ host, driver }, id, () => {});
}

/** A started container is mounted. */
function startContainer({ driver }: Docker, id: string): void {
  must(driver.get(id));
}

function removeContainer({ driver }: Docker, id: string): void {
  must(driver.remove(id));
  must(driver.remove(`${id}-init`));
}

/** What each recorded step does; a step that is not here was not recorded well enough to be made again. */
export const STEPS: Readonly<Record<string, (on: Docker) => void>> = {
  "image load": loadImage,
  // An image without files was made meanwhile: its layer is one over nothing.
  "container create": (on) => {
    must(on.driver.create("nothing", ""));
    work(on, "nothing", () => {});
    createContainer(on, "c1");
  },
  "container start": (on) => startContainer(on, "c1"),
  "append 1 byte to 64MB file": (on) => work(on, "c1", (at) => write(at, "/data/big", 1, O_WRONLY | O_APPEND)),
  "1000 files of 1KB": (on) =>
    work(on, "c1", (at) => {
      must(at.task.mkdir("/many", 0o755));
      for (const path of files("/many", 1000)) write(at, path, 1024);
    }),
  "delete 1000 files": (on) =>
    work(on, "c1", (at) => {
      for (const path of files("/many", 1000)) unlink(at, path);
      must(at.task.rmdir("/many"));
    }),
  "delete 64MB file": (on) => work(on, "c1", (at) => unlink(at, "/data/big")),
  "container stop": ({ driver }) => must(driver.put("c1")),
  "container rm": (on) => removeContainer(on, "c1"),
  "c2 start": (on) => {
    createContainer(on, "c2");
    startContainer(on, "c2");
  },
  "chmod of 64MB file": (on) => work(on, "c2", ({ task }) => must(task.chmod("/data/big", 0o600))),
  "c2 rm": (on) => {
    must(on.driver.put("c2"));
    removeContainer(on, "c2");
  },
  "derived images rm": ({ driver }) => must(driver.remove("nothing")),
  "base image rm": ({ driver }) => {
    for (const layer of ["layer3", "layer2", "layer1"]) must(driver.remove(layer));
  },
};

/** Of Cached, beside the file's own pages: other programs of the recorded machine. */
const CACHED_TOLERANCE_KB = 2048;

/** Four containers over one image read its big file in turn. @param read - told before and after each. */
export function readInTurn(on: Docker, rows: readonly CacheRow[], read: (index: number, when: "before" | "after") => void): void {
  const { host, driver } = on;
  for (const index of rows.keys()) {
    createContainer(on, `c${index}`);
    startContainer(on, `c${index}`);
  }
  host.cache.flushAll();
  host.cache.dropAll();
  for (const [index, row] of rows.entries()) {
    const task = must(host.task.chroot(must(driver.get(`c${index}`))));
    const before = { pages: must(task.cachedPages("/data/big")), all: host.cache.cachedPages };
    read(index, "before");
    const fd = must(task.open("/data/big", O_RDONLY));
    for (let offset = 0; offset < BIG; offset += MIB(1)) must(task.pread(fd, MIB(1), offset));
    task.close(fd);
    read(index, "after");
    expect([before.pages, must(task.cachedPages("/data/big"))]).toEqual([row.mincore_before, row.mincore_after]);
    const grown = (host.cache.cachedPages - before.all) * 4;
    expect(Math.abs(grown - row.cached_delta_kB), `container ${index}: ${grown} kB`).toBeLessThanOrEqual(CACHED_TOLERANCE_KB);
    task.exit();
    must(driver.put(`c${index}`));
  }
}
