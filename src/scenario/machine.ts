/**
 * The world of a scenario on the simulator: a host, a disk, the backing filesystem at /var/lib/docker, one storage driver, and a lab.
 */

import { isErrno } from "../../sim/core/errno.ts";
import { k6_18 } from "../../sim/core/kernel-profile.ts";
import { bytes, nanoseconds } from "../../sim/core/units.ts";
import { FILESYSTEMS } from "../../sim/host/filesystems.ts";
import { createHost, type Host } from "../../sim/host.ts";
import type { NewHasher } from "../archive/digest.ts";
import { DOCKER_20_10 } from "../drivers/docker-profile.ts";
import { DOCKER_ROOT, prepareDockerRoot } from "../drivers/docker-root.ts";
import { DriverError, type DriverKind, isDriverError } from "../drivers/driver.ts";
import { DRIVERS, startDriver, startFailure } from "../drivers/registry.ts";
import { runZfs } from "../drivers/zfs-tool.ts";
import { Lab } from "../layers/lab.ts";
import { diskUsage } from "./disk-usage.ts";
import { optionWords, startOf } from "./driver-options.ts";
import { COSTS, DOCKERS, KERNELS } from "./host-options.ts";
import type { DriverChoice, HostChoice } from "./scenario.ts";
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

/** The backing filesystem that a driver gets: the one asked for where it can stand on it, else its usual one. */
function backingFor(kind: DriverKind, asked: string): string {
  const { backings } = kind;
  return backings === undefined || backings.includes(asked) ? asked : (backings[0] ?? asked);
}

/** Makes fresh machines, each with one driver; layers are hashed by `newHasher`, by default the one that works everywhere. */
export function worldMaker(newHasher?: NewHasher): MakeWorld {
  return (choice, choices, seed) => makeMachine({ choice, choices, seed, ...(newHasher === undefined ? {} : { newHasher }) });
}

/** Makes a fresh machine with one driver. */
export const makeWorld: MakeWorld = worldMaker();

interface MachineOrder {
  readonly choice: DriverChoice;
  readonly choices: HostChoice;
  readonly seed: number;
  readonly newHasher?: NewHasher;
}

function makeMachine({ choice, choices, seed, newHasher }: MachineOrder): World | Missing | WorldFailure {
  const kind = DRIVERS.get(choice.driver);
  if (kind === undefined) return new Missing("not there yet");
  const backing = backingFor(kind, choice.backing ?? choices.backing);
  if (!FILESYSTEMS.has(backing)) return new Missing(`the backing filesystem ${backing} is not there yet`);
  const docker = DOCKERS.get(choice.docker ?? choices.docker) ?? DOCKER_20_10;
  if (docker.gone.includes(choice.driver)) return new Missing(`Docker ${docker.version} has no driver ${choice.driver}`);
  const kernel = KERNELS.get(choice.kernel ?? choices.kernel) ?? k6_18;
  const host = createHost({ seed, memory: choices.memory, kernel });
  const profile = choices.cost === undefined ? undefined : COSTS.get(choices.cost);
  const disk = prepareDockerRoot(host, {
    backing,
    size: bytes(choices.device),
    ...(profile === undefined ? {} : { profile }),
    // Options are those of the filesystem that was asked for; another in its place has its own.
    ...(choices.mount === undefined || backing !== choices.backing ? {} : { mount: choices.mount }),
    ...(choices.mkfs === undefined || backing !== choices.backing ? {} : { make: choices.mkfs }),
  });
  if (isDriverError(disk)) return new WorldFailure(disk.message);
  const { options, settings } = startOf(choice.driver, choice.options);
  const driver = startDriver(host, { name: choice.driver, options, settings: { ...settings, docker } });
  if (isDriverError(driver)) return new WorldFailure(startFailure(driver));
  return worldOf({ host, disk, backing, lab: new Lab(host, driver), ...(newHasher === undefined ? {} : { newHasher }) });
}

/** What a scenario names is there until a step removes it. */
function removedAlready(name: string): WorldFailure {
  return new WorldFailure(`${name} has been removed`);
}

interface Machine {
  readonly host: Host;
  readonly disk: string;
  readonly backing: string;
  readonly lab: Lab;
  readonly newHasher?: NewHasher;
}

function worldOf(machine: Machine): World {
  const { host, disk, lab } = machine;
  const stores = storesOf(machine);
  /** The image layer of each container. */
  const parents = new Map<string, string>();
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
    seal: (name) => failed(lab.seal(name)),
    diff: (container) => {
      if (!lab.has(container)) return removedAlready(container);
      const changes = lab.changes(container);
      if (isDriverError(changes)) return new WorldFailure(changes.message);
      return changes.map(({ kind, path }) => `${kind} ${path}`).sort();
    },
    containerSizes: (name) => {
      if (!lab.has(name)) return removedAlready(name);
      const own = lab.diffSize(name);
      const below = stores.imageSize(parents.get(name) ?? "");
      if (isDriverError(own)) return new WorldFailure(own.message);
      return below instanceof WorldFailure ? below : { size: own, virtual: own + below };
    },
    diskUsage: (acrossMounts) => diskUsage(host.task, lab.driver.home, acrossMounts),
    zfs: (words) => zfsOn(machine, words),
    remove: (name) => (lab.has(name) ? failed(lab.remove(name)) : removedAlready(name)),
    sync: () => syncAll(host),
    dropCaches: () => {
      syncAll(host);
      host.cache.dropAll();
      return undefined;
    },
    tick: (span) => host.clock.advance(nanoseconds(span)),
    figures: () => figuresOf(host, disk, lab),
    check: () => host.check(),
  };
}

/** The dataset that a container or a layer lies in, as docker inspect tells it. */
function datasetOf(lab: Lab, name: string): string | undefined {
  if (!lab.has(name)) return undefined;
  const metadata = lab.driver.metadata(lab.idOf(name));
  return metadata === null || isDriverError(metadata) ? undefined : metadata["Dataset"];
}

function zfsOn({ host, lab }: Machine, words: readonly string[]): string | WorldFailure {
  const named = words.map((word) => {
    const [name = "", snapshot] = word.split("@", 2);
    const dataset = datasetOf(lab, name);
    return dataset === undefined ? word : snapshot === undefined ? dataset : `${dataset}@${snapshot}`;
  });
  const answer = runZfs(host, named);
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
 * What the datasets of a host's pools take: statfs tells of one dataset alone. Space changes when a transaction group is written, so that one
 * is, as `zpool sync` does. Undefined on a host without pools.
 */
function poolBytes(host: Host): number | undefined {
  if (host.pools.size === 0) return undefined;
  let sum = 0;
  for (const pool of host.pools.values()) {
    pool.syncIfDirty();
    sum += pool.root.used;
  }
  return sum;
}

function figuresOf(host: Host, disk: string, lab: Lab): ReturnType<World["figures"]> {
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
    space_allocated: poolBytes(host) ?? (known.blocks - known.blocksFree) * known.blockSize,
    inodes_allocated: known.files - known.filesFree,
    device_bytes_written: device.writtenBytes ?? 0,
    device_bytes_read: device.readBytes ?? 0,
    device_flushes: device.flushes ?? 0,
    cached_pages: host.cache.cachedPages,
    arc_bytes: [...host.pools.values()].reduce((sum, pool) => sum + pool.arc.dataSize, 0),
    modelled_time: host.clock.now,
  };
}
