/**
 * A host with Docker's folder on it, one storage driver, and the stores of layers and images: what a daemon has after its start.
 */
import { timeToNanoseconds } from "../../sim/core/clock.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { type NewHasher, portableHasher } from "../archive/digest.ts";
import { type Gzip, storedGzip } from "../archive/gzip.ts";
import { DOCKER_ROOT, prepareDockerRoot } from "../drivers/docker-root.ts";
import { DriverError, type GraphDriver, isDriverError } from "../drivers/driver.ts";
import { DRIVERS, startDriver, startFailure } from "../drivers/registry.ts";
import { LayerStore } from "../layers/layer-store.ts";
import { ImageStore } from "./image-store.ts";

export interface DaemonOptions {
  /** A driver's name. */
  readonly driver: string;
  /** Default: the first that the driver can stand on, else ext4. */
  readonly backing?: string;
  /** Bytes of the disk. */
  readonly size?: number;
  readonly seed?: number;
  readonly newHasher?: NewHasher;
  readonly gzip?: Gzip;
}

export interface Daemon {
  readonly host: Host;
  readonly driver: GraphDriver;
  readonly layers: LayerStore;
  readonly images: ImageStore;
}

/** The stores over a driver that has started. */
export function openStores(host: Host, driver: GraphDriver, parts: Pick<DaemonOptions, "newHasher" | "gzip"> = {}): Daemon {
  const { newHasher = portableHasher, gzip = storedGzip } = parts;
  const layers = new LayerStore({ host, driver, root: `${DOCKER_ROOT}/image/${driver.name}`, newHasher, gzip });
  return { host, driver, layers, images: new ImageStore(layers) };
}

/** Makes a host and starts a daemon on it. */
export function startDaemon(options: DaemonOptions): Daemon | DriverError {
  const kind = DRIVERS.get(options.driver);
  if (kind === undefined) return new DriverError(`unknown driver "${options.driver}"; known: ${[...DRIVERS.keys()].join(", ")}`);
  const host = createHost(options.seed === undefined ? {} : { seed: options.seed });
  const backing = options.backing ?? kind.backings?.[0] ?? "ext4";
  const disk = prepareDockerRoot(host, { backing, ...(options.size === undefined ? {} : { size: options.size }) });
  if (isDriverError(disk)) return disk;
  const driver = startDriver(host, { name: options.driver });
  if (isDriverError(driver)) return new DriverError(startFailure(driver));
  return openStores(host, driver, options);
}

/** The host's time as Docker writes it: RFC 3339 with nanoseconds, in UTC. */
export function hostTime(host: Host): string {
  const at = timeToNanoseconds(host.clock.realTime());
  const whole = new Date(Number(at / 1_000_000n)).toISOString().slice(0, 19);
  const fraction = String(at % 1_000_000_000n)
    .padStart(9, "0")
    .replace(/0+$/, "");
  return `${whole}${fraction === "" ? "" : `.${fraction}`}Z`;
}
