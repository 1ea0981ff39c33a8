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

/** A host whose /var/lib/docker is on `backing`. */
export function dockerHost(backing = "ext4", kernel: KernelProfile = k6_18): Host {
  const host = createHost({ seed: 7, kernel });
  must(prepareDockerRoot(host, { backing }));
  return host;
}

/** A driver that must start. */
export function driverOn(host: Host, choice: DriverChoice): GraphDriver {
  return must(startDriver(host, choice));
}

/** A lab on a new host; on another backing filesystem where the driver cannot stand on the one asked for. */
export function labOn(name: string, asked = "ext4"): Lab {
  const backings = DRIVERS.get(name)?.backings ?? [asked];
  const host = dockerHost(backings.includes(asked) ? asked : backings[0]);
  return new Lab(host, driverOn(host, { name }));
}
