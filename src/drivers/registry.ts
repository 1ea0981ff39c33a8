/**
 * Which driver a daemon uses (moby daemon/graphdriver/driver.go, New): the one asked for, else the one whose files are there, else the
 * first of the priority list that works.
 *
 * Interface: a driver lives in `<root>/<name>`. Its failure to start is told as Docker's daemon logs it.
 */
import type { Host } from "../../sim/host.ts";
import { AUFS } from "./aufs.ts";
import { BTRFS } from "./btrfs.ts";
import { DEVICEMAPPER } from "./devicemapper.ts";
import { dockerOf } from "./docker-profile.ts";
import { DOCKER_ROOT } from "./docker-root.ts";
import { DriverError, type DriverKind, type DriverSettings, type GraphDriver, isDriverError, NOT_SUPPORTED } from "./driver.ts";
import { isFilledDirectory } from "./files.ts";
import { OVERLAY } from "./overlay.ts";
import { OVERLAY2 } from "./overlay2.ts";
import { VFS } from "./vfs.ts";
import { ZFS } from "./zfs.ts";

/** Every driver there is, by its name. */
export const DRIVERS: ReadonlyMap<string, DriverKind> = new Map(
  [AUFS, BTRFS, DEVICEMAPPER, OVERLAY, OVERLAY2, VFS, ZFS].map((kind) => [kind.name, kind]),
);

export interface DriverChoice {
  /** The driver asked for; by default Docker's own choice. */
  readonly name?: string;
  /** Default /var/lib/docker. */
  readonly root?: string;
  /** `--storage-opt` of the daemon. */
  readonly options?: readonly string[];
  readonly settings?: DriverSettings;
}

interface Start {
  readonly host: Host;
  readonly root: string;
  readonly options: readonly string[];
  readonly settings: DriverSettings;
}

function begin(start: Start, kind: DriverKind): GraphDriver | DriverError {
  return kind.init({ ...start, home: `${start.root}/${kind.name}` });
}

/** A driver that this Docker has. */
function kindNamed(start: Start, name: string): DriverKind | undefined {
  return dockerOf(start.settings).gone.includes(name) ? undefined : DRIVERS.get(name);
}

/** The drivers that this Docker tries, in its order. */
function inOrder(start: Start): readonly DriverKind[] {
  return dockerOf(start.settings).priority.flatMap((name) => kindNamed(start, name) ?? []);
}

/** The drivers whose files are there already, in the order of priority; vfs never counts. */
function priorDrivers(start: Start): DriverKind[] {
  return inOrder(start).filter(({ name }) => name !== "vfs" && isFilledDirectory(start.host.task, `${start.root}/${name}`));
}

function choose(start: Start): GraphDriver | DriverError {
  const { choice } = dockerOf(start.settings);
  const [prior, ...others] = priorDrivers(start);
  if (prior !== undefined) {
    const driver = begin(start, prior);
    if (isDriverError(driver)) return driver;
    if (prior.deprecated && !choice.takesDeprecated) return deprecatedPrior(prior);
    if (others.length === 0) return driver;
    const names = [prior, ...others].map(({ name }) => name).join(", ");
    return new DriverError(`${start.root} contains several valid graphdrivers: ${names}; ${choice.several}`);
  }
  for (const kind of inOrder(start)) {
    if (kind.deprecated && !choice.takesDeprecated) continue;
    const driver = begin(start, kind);
    if (!isDriverError(driver) || driver.unsupported === undefined) return driver;
  }
  return new DriverError(choice.none);
}

/** The words of 23.0 and later, the second "the" among them. */
function deprecatedPrior({ name }: DriverKind): DriverError {
  const advice = "update the the daemon configuration and explicitly choose this storage driver to continue using it";
  return new DriverError(
    `prior storage driver ${name} is deprecated and will be removed in a future release; ${advice}; ` +
      "visit https://docs.docker.com/go/storage-driver/ for more information",
  );
}

/** Starts the driver that a daemon with these options would. */
export function startDriver(host: Host, choice: DriverChoice = {}): GraphDriver | DriverError {
  const root = choice.root ?? DOCKER_ROOT;
  const start: Start = { host, root, options: choice.options ?? [], settings: choice.settings ?? {} };
  if (choice.name === undefined) return choose(start);
  const kind = kindNamed(start, choice.name);
  return kind === undefined ? NOT_SUPPORTED : begin(start, kind);
}

/** What the daemon logs when its driver does not start. */
export function startFailure(error: DriverError): string {
  return `error initializing graphdriver: ${error.message}`;
}
