/**
 * Machines that are run under a plan: their disk has faults, is small, has few inodes; their memory is short; their plug is pulled.
 *
 * Interface: `FaultyMachine.on` makes one; `rebooted` makes one from what a power cut left on its disk.
 */
import type { Disk } from "../../../sim/block/disk.ts";
import { type Fault, FaultyDevice } from "../../../sim/block/faulty.ts";
import { deviceNumber, GIB } from "../../../sim/core/units.ts";
import { FILESYSTEMS } from "../../../sim/host/filesystems.ts";
import { createHost, type Host } from "../../../sim/host.ts";
import { DOCKER_ROOT } from "../../drivers/docker-root.ts";
import { isDriverError } from "../../drivers/driver.ts";
import { makeDirectories } from "../../drivers/files.ts";
import { Lab } from "../../layers/lab.ts";
import { driverOf } from "../../replay/target.ts";
import type { Ground } from "../ground.ts";

/** What a run is made under. */
export interface FaultPlan {
  /** Commands of the disk that fail, counted from when the driver has started. */
  readonly faults?: readonly Fault[];
  /** Bytes of the disk; default 2 GiB. */
  readonly size?: number;
  /**
   * 512 (the default) or 4096. btrfs has one superblock of 4 KiB that a mount looks at, which its makers trust to be written whole: on sectors of
   * 512 bytes a cut within it leaves no filesystem, there as here.
   */
  readonly sectorSize?: 512 | 4096;
  /** Bytes of memory for cached pages; default 1 GiB. */
  readonly memory?: number;
  /** As given to mkfs: "-N 64" leaves few inodes. */
  readonly make?: string;
}

const DISK = "vda";
const FAULTY_NUMBER = deviceNumber(253, 200);
const FAULTY = "faulty";

export interface FaultyMachine {
  readonly host: Host;
  readonly disk: Disk;
  /** Around the disk: what the filesystem stands on. */
  readonly device: FaultyDevice;
  readonly lab: Lab;
}

interface Booting {
  readonly host: Host;
  readonly disk: Disk;
  readonly device: FaultyDevice;
  readonly ground: Ground;
}

function backingOf(ground: Ground): string {
  return FILESYSTEMS.has(ground.backing) ? ground.backing : (driverOf(ground)?.kind.backings?.[0] ?? ground.backing);
}

/** Mounts the backing filesystem and starts the driver. @returns why it cannot. */
function boot({ host, disk, device, ground }: Booting): FaultyMachine | string {
  makeDirectories(host.task, DOCKER_ROOT, 0o755);
  const failed = host.mount({ type: backingOf(ground), source: FAULTY, target: DOCKER_ROOT });
  if (failed !== undefined) return `mount ${backingOf(ground)}: ${failed.errno.code} ${failed.message}`;
  const driver = driverOf(ground);
  if (driver === undefined) return `there is no driver ${ground.target}`;
  const home = `${DOCKER_ROOT}/${driver.kind.name}`;
  const started = driver.kind.init({ host, home, options: driver.kind.recordedWith ?? [], settings: driver.settings });
  if (isDriverError(started)) return `${ground.target}: ${started.message}`;
  return { host, disk, device, lab: new Lab(host, started) };
}

/** A fresh machine; its faults begin to count when it has started. @returns why there is none. */
export function faultyMachine(ground: Ground, plan: FaultPlan = {}): FaultyMachine | string {
  const host = createHost(plan.memory === undefined ? {} : { memory: plan.memory });
  const disk = host.addDisk({ name: DISK, size: plan.size ?? GIB(2), sectorSize: plan.sectorSize ?? 512 });
  const device = new FaultyDevice(disk);
  host.addDevice(FAULTY, device, FAULTY_NUMBER);
  const formatted = host.mkfs(backingOf(ground), FAULTY, plan.make);
  if (formatted !== undefined) return `mkfs.${backingOf(ground)}: ${formatted.code}`;
  const machine = boot({ host, disk, device, ground });
  if (typeof machine !== "string") for (const fault of plan.faults ?? []) device.inject(fault);
  return machine;
}

/** A machine that starts again with a disk that was used before; what fails on it is `faults`. @returns why it does not start. */
export function rebooted(ground: Ground, disk: Disk, faults: readonly Fault[] = []): FaultyMachine | string {
  const host = createHost();
  host.attachDisk(disk);
  const device = new FaultyDevice(disk, faults);
  host.addDevice(FAULTY, device, FAULTY_NUMBER);
  return boot({ host, disk, device, ground });
}
