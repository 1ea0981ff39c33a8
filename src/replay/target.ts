/**
 * The lab that a trace's header asks for: a new host with the backing filesystem on a disk, and the driver on it.
 */
import { type KernelProfile, k6_18, kernelProfile } from "../../sim/core/kernel-profile.ts";
import { GIB } from "../../sim/core/units.ts";
import { FILESYSTEMS } from "../../sim/host/filesystems.ts";
import { createHost } from "../../sim/host.ts";
import { DOCKER_ROOT, prepareDockerRoot } from "../drivers/docker-root.ts";
import { type DriverKind, type DriverSettings, isDriverError } from "../drivers/driver.ts";
import { DRIVERS } from "../drivers/registry.ts";
import { Lab } from "../layers/lab.ts";
import type { VolumeOption } from "../layers/volume-option.ts";
import { BARE } from "./bare.ts";
import { NESTED } from "./nested.ts";
import type { TraceHeader } from "./trace.ts";

/** The recorder's disk: 2 GiB. */
const DISK_SIZE = GIB(2);

/** Why a trace cannot be run here. */
export interface CannotRun {
  readonly cannotRun: string;
}

/** Targets that are no driver of Docker's. */
const OTHERS: ReadonlyMap<string, DriverKind> = new Map([[NESTED.name, NESTED]]);

/** The driver of a target, with the settings that the recorder gave it. */
export function driverOf(
  header: Pick<TraceHeader, "target" | "backing" | "mountOptions">,
): { kind: DriverKind; settings: DriverSettings } | undefined {
  const isBare = header.target === header.backing && FILESYSTEMS.has(header.target);
  const kind = DRIVERS.get(header.target) ?? OTHERS.get(header.target) ?? (isBare ? BARE : undefined);
  if (kind === undefined) return undefined;
  // The recorder gives the union mounts' options itself, and copies trees with cp -a.
  return { kind, settings: { mountOptions: header.mountOptions, treeCopy: "all" } };
}

/** The kernel of the release that answered: what a trace tells of times depends on it. */
function kernelOf({ kernel = "" }: TraceHeader): KernelProfile {
  return kernelProfile(/^\d+\.\d+/.exec(kernel)?.[0] ?? "") ?? k6_18;
}

/** A new lab as a header wants it, or why there is none. @param binds - folders that were bind-mounted in every container */
export function labFor(header: TraceHeader, binds: readonly string[] = []): Lab | CannotRun {
  const what = `${header.target} on ${header.backing}`;
  const driver = driverOf(header);
  // What has no filesystem of that name below it (thin, zfs) keeps its files where the driver would.
  const backing = FILESYSTEMS.has(header.backing) ? header.backing : driver?.kind.backings?.[0];
  if (driver === undefined || backing === undefined) return { cannotRun: what };
  const host = createHost({ kernel: kernelOf(header) });
  const disk = prepareDockerRoot(host, { backing, size: DISK_SIZE });
  if (isDriverError(disk)) return { cannotRun: `${what} (${disk.message})` };
  const home = `${DOCKER_ROOT}/${driver.kind.name}`;
  const started = driver.kind.init({ host, home, options: driver.kind.recordedWith ?? [], settings: driver.settings });
  if (isDriverError(started)) return { cannotRun: `${what} (${started.message})` };
  const volumes = binds.map((path): VolumeOption => ({ source: path, path, readOnly: false, copies: false }));
  return new Lab(host, started, { keepsSeen: header.holdsSeen !== false, volumes });
}
