/**
 * Hosts with Docker's folder, drivers and labs on them, for tests.
 */
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { type KernelProfile, k6_18 } from "../../sim/core/kernel-profile.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { prepareDockerRoot } from "../../src/drivers/docker-root.ts";
import { type DriverError, type GraphDriver, isDriverError } from "../../src/drivers/driver.ts";
import { DRIVERS, type DriverChoice, startDriver } from "../../src/drivers/registry.ts";
import { Lab } from "../../src/layers/lab.ts";

/** Throws a failure, gives all else on. */
export function must<T>(result: T | DriverError | Errno): T {
  if (isDriverError(result) || isErrno(result)) throw new Error(String(result));
  return result;
}

/** A host whose /var/lib/docker is on `backing`. @param mount - as behind mount's -o. */
export function dockerHost(backing = "ext4", kernel: KernelProfile = k6_18, mount?: string): Host {
  const host = createHost({ seed: 7, kernel });
  must(prepareDockerRoot(host, mount === undefined ? { backing } : { backing, mount }));
  return host;
}

/** A driver that must start. */
export function driverOn(host: Host, choice: DriverChoice): GraphDriver {
  return must(startDriver(host, choice));
}

/** A lab on a new host; on another backing filesystem, mounted as usual, where the driver cannot stand on the one asked for. */
export function labOn(name: string, asked = "ext4", mount?: string): Lab {
  const backings = DRIVERS.get(name)?.backings ?? [asked];
  const host = backings.includes(asked) ? dockerHost(asked, k6_18, mount) : dockerHost(backings[0]);
  return new Lab(host, driverOn(host, { name }));
}
