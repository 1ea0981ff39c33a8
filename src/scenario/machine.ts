/**
 * The world of a scenario on the simulator: what the runner asks of a machine.
 */

import { isErrno } from "../../sim/core/errno.ts";
import { nanoseconds } from "../../sim/core/units.ts";
import type { Host } from "../../sim/host.ts";
import type { NewHasher } from "../archive/digest.ts";
import { poolNeedsCheck } from "../drivers/devicemapper/needs-check.ts";
import { DOCKER_ROOT } from "../drivers/docker-root.ts";
import { DriverError, isDriverError } from "../drivers/driver.ts";
import { DRIVERS } from "../drivers/registry.ts";
import { runZfs } from "../drivers/zfs-tool.ts";
import { runZpool } from "../drivers/zpool-tool.ts";
import { execUser } from "../images/user.ts";
import type { Lab } from "../layers/lab.ts";
import type { ZfsTool } from "./action.ts";
import { type Machine, makeMachine, restartMachine } from "./boot.ts";
import { diskUsage } from "./disk-usage.ts";
import { optionWords } from "./driver-options.ts";
import { metricOf } from "./metrics.ts";
import type { Credentials } from "./scenario.ts";
import { DRIVER_NAMES } from "./schema.ts";
import { storesOf } from "./stores.ts";
import { type MakeWorld, Missing, type World, WorldFailure } from "./world.ts";

/** A driver of Docker's, and whether it can run. */
export interface DriverState {
  readonly name: string;
  readonly state: "ready" | "not there yet";
  readonly options: readonly string[];
}

/** Docker's seven drivers. */
export function driverStates(): readonly DriverState[] {
  return DRIVER_NAMES.map((name) => ({ name, state: DRIVERS.has(name) ? "ready" : "not there yet", options: optionWords(name) }));
}

function failed(error: DriverError | undefined): WorldFailure | undefined {
  return error === undefined ? undefined : new WorldFailure(error.message);
}

/** Makes fresh machines, each with one driver; layers are hashed by `newHasher`, by default the one that works everywhere. */
export function worldMaker(newHasher?: NewHasher): MakeWorld {
  return (choice, choices, seed) => {
    const machine = makeMachine({ choice, choices, seed, ...(newHasher === undefined ? {} : { newHasher }) });
    return machine instanceof Missing || machine instanceof WorldFailure ? machine : worldOf(machine);
  };
}

/** Makes a fresh machine with one driver. */
export const makeWorld: MakeWorld = worldMaker();

/** What a scenario names is there until a step removes it. */
function removedAlready(name: string): WorldFailure {
  return new WorldFailure(`${name} has been removed`);
}

/** @param earlier - what machines counted that stood in this one's place before a power cut */
function worldOf(machine: Machine, earlier?: MachineFigures): World {
  const { host, lab, parents } = machine;
  const disk = host.disks.get(machine.disk);
  const stores = storesOf(machine);
  const figures = (looksOnly = false): MachineFigures => together(earlier, figuresOf(machine, looksOnly));
  return {
    addLayer: (name, parent) => failed(lab.addLayer(name, parent)),
    addContainer: (name, parent, options) => {
      parents.set(name, parent);
      return failed(lab.addContainer(name, parent, options));
    },
    events: host.events,
    allocations: host.allocations,
    now: () => host.clock.now,
    session: (name) => {
      if (!lab.has(name)) return removedAlready(name);
      const session = lab.session(name);
      return session instanceof DriverError ? new WorldFailure(session.message) : session;
    },
    ...stores,
    backing: machine.backing,
    execUser: (name, user) => userIn(lab, name, user),
    seal: (name) => failed(lab.seal(name)),
    diff: (container) => {
      if (!lab.has(container)) return removedAlready(container);
      const changes = lab.changes(container);
      if (isDriverError(changes)) return new WorldFailure(changes.message);
      return changes.map(({ kind, path }) => `${kind} ${path}`).sort();
    },
    containerSizes: (name) => sizesOf(machine, name, stores.imageSize(parents.get(name) ?? "")),
    diskUsage: (acrossMounts) => diskUsage(host.task, lab.driver.home, acrossMounts),
    zfs: (tool, words) => zfsOn(machine, tool, words),
    remove: (name) => (lab.has(name) ? failed(lab.remove(name)) : removedAlready(name)),
    sync: () => syncAll(host),
    dropCaches: () => {
      syncAll(host);
      host.cache.dropAll();
      return undefined;
    },
    tick: (span) => host.clock.advance(nanoseconds(span)),
    figures,
    check: () => host.check(),
    disk,
    device: machine.device,
    get lostAtUnmount() {
      return host.lostAtUnmount;
    },
    needsRepair: () => poolNeedsCheck(host.task),
    restart: (choice, image = disk) => {
      const counted = figures(true);
      const again = restartMachine(machine, image, choice);
      return again instanceof WorldFailure ? again : worldOf(again, counted);
    },
  };
}

function userIn(lab: Lab, name: string, user: string): Credentials | WorldFailure {
  const task = lab.task(name);
  const found = isDriverError(task) ? task : execUser(task, user);
  return isDriverError(found) ? new WorldFailure(found.message) : found;
}

function sizesOf({ lab }: Machine, name: string, below: number | WorldFailure): ReturnType<World["containerSizes"]> {
  if (!lab.has(name)) return removedAlready(name);
  const own = lab.diffSize(name);
  if (isDriverError(own)) return new WorldFailure(own.message);
  return below instanceof WorldFailure ? below : { size: own, virtual: own + below };
}

/** The dataset that a container or a layer lies in, as docker inspect tells it. */
function datasetOf(lab: Lab, name: string): string | undefined {
  if (!lab.has(name)) return undefined;
  const metadata = lab.driver.metadata(lab.idOf(name));
  return metadata === null || isDriverError(metadata) ? undefined : metadata["Dataset"];
}

const ZFS_TOOLS: Readonly<Record<ZfsTool, typeof runZfs>> = { zfs: runZfs, zpool: runZpool };

function zfsOn({ host, lab }: Machine, tool: ZfsTool, words: readonly string[]): string | WorldFailure {
  const named = words.map((word) => {
    const [name = "", snapshot] = word.split("@", 2);
    const dataset = datasetOf(lab, name);
    return dataset === undefined ? word : snapshot === undefined ? dataset : `${dataset}@${snapshot}`;
  });
  const answer = ZFS_TOOLS[tool](host, named);
  const told = (text: string): string =>
    lab.names.reduce((shown, name) => shown.replaceAll(datasetOf(lab, name) ?? "\0", name), text);
  return "err" in answer ? new WorldFailure(told(answer.err)) : told(answer.out);
}

/** sync(2): every mounted filesystem, those on top first, since theirs is written to those below. It tells nobody what failed. */
export function syncAll(host: Host): undefined {
  // Of two of one depth the later one may lie on a device that is a file of the earlier one.
  const newest = [...new Set(host.vfs.mounts.map((mount) => mount.fs))].reverse();
  for (const fs of newest.sort((one, other) => other.stackDepth - one.stackDepth)) fs.sync();
}

/** The union filesystems, as counters name them; those of overlay and aufs have the same names. */
const UNIONS: readonly string[] = ["overlay", "aufs"];

/**
 * What the datasets of a host's pools and their intent logs take: statfs tells of one dataset alone. Space changes when a transaction group is written, so that one
 * is, as `zpool sync` does, unless only a look is asked for. Undefined on a host without pools.
 */
function poolBytes(host: Host, looksOnly: boolean): number | undefined {
  if (host.pools.size === 0) return undefined;
  let sum = 0;
  for (const pool of host.pools.values()) {
    if (!looksOnly) pool.syncIfDirty();
    sum += pool.root.used + pool.store.logBytes;
  }
  return sum;
}

/** What a filesystem's statfs tells, and what is taken of which it does not tell yet. */
function bytesAt(host: Host, path: string, told: Readonly<Record<"blocks" | "blocksFree" | "blockSize", number>>): number {
  const { blocks, blocksFree, blockSize } = told;
  const place = host.task.resolve(path);
  const unsettled = isErrno(place) ? 0 : (place.mount.fs.unsettledBytes ?? 0);
  return (blocks - blocksFree) * blockSize + unsettled;
}

type MachineFigures = ReturnType<World["figures"]>;

/** Space is told as it stands, and no machine forgets what is on its disk. */
const AS_IT_STANDS: readonly string[] = ["space_allocated", "inodes_allocated"];

/** Amounts of a machine and of those that it goes on for; what stands is this one's. */
function together(earlier: MachineFigures | undefined, own: MachineFigures): MachineFigures {
  if (earlier === undefined) return own;
  const entries = Object.entries(own).map(([name, value]) => {
    const stands = AS_IT_STANDS.includes(name) || metricOf(name as keyof MachineFigures).kind === "level";
    return [name, stands ? value : value + earlier[name as keyof MachineFigures]];
  });
  return Object.fromEntries(entries) as MachineFigures;
}

function figuresOf({ host, disk, lab }: Machine, looksOnly: boolean): MachineFigures {
  // As they stand before the pools' group is written, which the look at their space does.
  const device = { ...host.disks.get(disk)?.counters };
  const driver = lab.driver.counters;
  const space = host.task.statfs(DOCKER_ROOT);
  const known = isErrno(space) ? { blocks: 0, blocksFree: 0, blockSize: 0, files: 0, filesFree: 0 } : space;
  return {
    data_copied:
      host.counted(UNIONS, "copiedBytes") +
      (driver["treeCopyBytes"] ?? 0) +
      (driver["copiedBytes"] ?? 0) +
      lab.volumes.treeCopyBytes,
    copy_ups: host.counted(UNIONS, "copyUps"),
    files_copied: (driver["treeCopyFiles"] ?? 0) + lab.volumes.treeCopyFiles,
    space_allocated: poolBytes(host, looksOnly) ?? bytesAt(host, DOCKER_ROOT, known),
    inodes_allocated: known.files - known.filesFree,
    device_bytes_written: device.writtenBytes ?? 0,
    device_bytes_read: device.readBytes ?? 0,
    device_flushes: device.flushes ?? 0,
    cached_pages: host.cache.cachedPages,
    arc_bytes: [...host.pools.values()].reduce((sum, pool) => sum + pool.arc.dataSize, 0),
    modelled_time: host.clock.now,
  };
}
