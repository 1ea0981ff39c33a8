/**
 * A lab in one call: a host, Docker's folder on a disk, a storage driver, and layers by name over it.
 */
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { createHost, type HostOptions } from "../../sim/host.ts";
import { prepareDockerRoot } from "../drivers/docker-root.ts";
import { type DriverError, isDriverError } from "../drivers/driver.ts";
import { DRIVERS, startDriver, startFailure } from "../drivers/registry.ts";
import { Lab, LabError } from "./lab.ts";

export interface LabRequest extends HostOptions {
  /** "overlay2" (default), "overlay", "aufs", "btrfs", "zfs", "devicemapper" or "vfs". */
  readonly driver?: string;
  /** The backing filesystem; the driver's usual one where it cannot stand on this. Default "ext4". */
  readonly backing?: string;
  /** Bytes of the disk. Default 8 GiB; only what is written takes memory. */
  readonly device?: number;
  /** `--storage-opt` of the daemon. */
  readonly storageOptions?: readonly string[];
  /** Options of the union mount in the place of Docker's own, such as "redirect_dir=on". */
  readonly mountOptions?: string;
}

const DEVICE = 8 * 2 ** 30;

/** Makes it. @throws LabError for a driver that is not known or does not start */
export function openLab(request: LabRequest = {}): Lab {
  const { driver: name = "overlay2", backing = "ext4", device = DEVICE, storageOptions = [], mountOptions } = request;
  const kind = DRIVERS.get(name);
  if (kind === undefined) throw new LabError(`there is no driver ${name}: there are ${[...DRIVERS.keys()].sort().join(", ")}`);
  const host = createHost(request);
  const ground = kind.backings === undefined || kind.backings.includes(backing) ? backing : (kind.backings[0] ?? backing);
  const disk = prepareDockerRoot(host, { backing: ground, size: device });
  if (isDriverError(disk)) throw new LabError(disk.message);
  const settings = mountOptions === undefined ? {} : { mountOptions };
  const driver = startDriver(host, { name, options: storageOptions, settings });
  if (isDriverError(driver)) throw new LabError(startFailure(driver));
  return new Lab(host, driver);
}

/** What a call gave. @throws LabError with Docker's or the kernel's words where it failed */
export function must<T>(result: T | DriverError | Errno): T {
  if (isDriverError(result)) throw new LabError(result.message);
  if (isErrno(result)) throw new LabError(`${result.code}: ${result.text}`);
  return result;
}
