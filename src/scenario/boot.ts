/**
 * The machines of scenarios: a host, a disk, the backing filesystem at /var/lib/docker, one storage driver; made afresh, or started again on what a
 * power cut left on the disk.
 */
import type { CutChoice, Disk } from "../../sim/block/disk.ts";
import { FaultyDevice } from "../../sim/block/faulty.ts";
import { k6_18, kernelProfile } from "../../sim/core/kernel-profile.ts";
import { bytes } from "../../sim/core/units.ts";
import { FILESYSTEMS } from "../../sim/host/filesystems.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { noteLeaks } from "../../sim/thin/check.ts";
import type { NewHasher } from "../archive/digest.ts";
import { DOCKER_20_10 } from "../drivers/docker-profile.ts";
import { mountDockerRoot, prepareDockerRoot } from "../drivers/docker-root.ts";
import { type DriverKind, type GraphDriver, isDriverError } from "../drivers/driver.ts";
import { DRIVERS, startDriver, startFailure } from "../drivers/registry.ts";
import { Lab } from "../layers/lab.ts";
import { startOf } from "./driver-options.ts";
import { COSTS, DOCKERS } from "./host-options.ts";
import type { DriverChoice, HostChoice } from "./scenario.ts";
import { MadeImages } from "./stores.ts";
import { Missing, WorldFailure } from "./world.ts";

export interface MachineOrder {
  readonly choice: DriverChoice;
  readonly choices: HostChoice;
  readonly seed: number;
  readonly newHasher?: NewHasher;
}

export interface Machine extends MachineOrder {
  readonly host: Host;
  /** The disk's name; "" where the backing filesystem is in memory. */
  readonly disk: string;
  /** Around the disk: what the filesystem stands on, whose commands may be made to fail. */
  readonly device: FaultyDevice | undefined;
  readonly backing: string;
  readonly lab: Lab;
  /** The images of Docker's own stores, by the names that the scenario gives them. */
  readonly images: MadeImages;
  /** The image layer of each container. */
  readonly parents: Map<string, string>;
}

/** The backing filesystem that a driver gets: the one asked for where it can stand on it, else its usual one. */
function backingFor(kind: DriverKind, asked: string): string {
  const { backings } = kind;
  return backings === undefined || backings.includes(asked) ? asked : (backings[0] ?? asked);
}

function hostFor({ choice, choices }: MachineOrder, since: { readonly seed: number; readonly epochSeconds?: number }): Host {
  const kernel = kernelProfile(choice.kernel ?? choices.kernel) ?? k6_18;
  const { memory, readahead } = choices;
  return createHost({ ...since, memory, kernel, ...(readahead === undefined ? {} : { readahead: { window: readahead } }) });
}

interface BackingOptions {
  /** Behind mount's -o. */
  readonly mount?: string;
  /** Of mkfs. */
  readonly make?: string;
}

/** How a backing filesystem is told how many inodes it may have; one without fixed tables or a limit has no such option. */
const INODES: Readonly<Record<string, (count: number) => BackingOptions>> = {
  ext4: (count) => ({ make: `-N ${count}` }),
  tmpfs: (count) => ({ mount: `nr_inodes=${count}` }),
};

/** Options are those of the filesystem that was asked for; another in its place has its own. */
function optionsFor({ choices }: MachineOrder, backing: string): BackingOptions {
  const { inodes } = choices;
  const limit = inodes === undefined ? {} : (INODES[backing]?.(inodes) ?? {});
  const own = backing === choices.backing ? { mount: choices.mount, make: choices.mkfs } : {};
  const [mount, make] = (["mount", "make"] as const).map((key) => [own[key], limit[key]].filter((words) => words !== undefined));
  return {
    ...(mount?.length ? { mount: mount.join(",") } : {}),
    ...(make?.length ? { make: make.join(" ") } : {}),
  };
}

function driverFor({ choice, choices }: MachineOrder, host: Host): GraphDriver | WorldFailure {
  const { options, settings } = startOf(choice.driver, choice.options);
  const docker = DOCKERS.get(choice.docker ?? choices.docker) ?? DOCKER_20_10;
  const driver = startDriver(host, { name: choice.driver, options, settings: { ...settings, docker } });
  return isDriverError(driver) ? new WorldFailure(startFailure(driver)) : driver;
}

/** Puts a device that can fail in the place of a disk, under its name. */
function wrapped(host: Host, disk: string): FaultyDevice | undefined {
  const plain = host.device(disk);
  if (plain === undefined) return undefined;
  const device = new FaultyDevice(plain.device);
  host.removeDevice(disk);
  host.addDevice(disk, device, plain.number);
  return device;
}

/**
 * Makes a fresh machine with one driver. Under btrfs its disk has sectors of 4 KiB: btrfs trusts its superblock of that size to be written whole, and
 * on smaller sectors a power cut within it leaves no filesystem, there as here.
 */
export function makeMachine(order: MachineOrder): Machine | Missing | WorldFailure {
  const { choice, choices, seed } = order;
  const kind = DRIVERS.get(choice.driver);
  if (kind === undefined) return new Missing("not there yet");
  const backing = backingFor(kind, choice.backing ?? choices.backing);
  if (!FILESYSTEMS.has(backing)) return new Missing(`the backing filesystem ${backing} is not there yet`);
  if (choices.inodes !== undefined && INODES[backing] === undefined) return new Missing(`${backing} has no limit of inodes`);
  const docker = DOCKERS.get(choice.docker ?? choices.docker) ?? DOCKER_20_10;
  if (docker.gone.includes(choice.driver)) return new Missing(`Docker ${docker.version} has no driver ${choice.driver}`);
  const host = hostFor(order, { seed });
  const profile = choices.cost === undefined ? undefined : COSTS.get(choices.cost);
  let device: FaultyDevice | undefined;
  const disk = prepareDockerRoot(host, {
    backing,
    size: bytes(choices.device),
    sectorSize: backing === "btrfs" ? 4096 : 512,
    ...(profile === undefined ? {} : { profile }),
    ...optionsFor(order, backing),
    onDisk: (name) => {
      device = wrapped(host, name);
    },
  });
  if (isDriverError(disk)) return new WorldFailure(disk.message);
  const driver = driverFor(order, host);
  if (driver instanceof WorldFailure) return driver;
  const lab = new Lab(host, driver);
  return { ...order, host, disk, device, backing, lab, images: new MadeImages(), parents: new Map() };
}

/**
 * Starts a machine again on a disk, after a power cut that keeps of its unflushed writes what `choice` says: the backing filesystem is mounted as it
 * was, and recovers; the driver starts; no container is running, and nobody has a file open. Its time goes on from the next second.
 * @param disk - a copy of it is taken
 * @returns why it does not start
 */
export function restartMachine(machine: Machine, disk: Disk | undefined, choice: CutChoice): Machine | WorldFailure {
  const { host: before, backing, disk: name } = machine;
  if (disk === undefined) return new WorldFailure(`nothing is left of /var/lib/docker: ${backing} is in memory`);
  const epochSeconds = before.clock.realTime().seconds + 1;
  const host = hostFor(machine, { seed: before.random.uint32(), epochSeconds });
  const { profile } = before.disks.get(name) ?? disk;
  const image = disk.clone({ host: { clock: host.clock, events: host.events, profile } });
  image.powerCut(choice);
  host.attachDisk(image);
  const device = wrapped(host, name);
  const failed = mountDockerRoot(host, name, { backing, ...optionsFor(machine, backing) });
  if (failed !== undefined) return new WorldFailure(failed.message);
  const driver = driverFor(machine, host);
  if (driver instanceof WorldFailure) return driver;
  for (const pool of host.thinPools) noteLeaks(pool);
  return { ...machine, host, device, lab: machine.lab.again(host, driver) };
}
