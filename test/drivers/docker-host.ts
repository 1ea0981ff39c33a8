/**
 * Hosts with Docker's folder, drivers and labs on them, for tests.
 */
import { Content } from "../../sim/core/content.ts";
import { type KernelProfile, k6_18 } from "../../sim/core/kernel-profile.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY } from "../../sim/vfs/filesystem.ts";
import { prepareDockerRoot } from "../../src/drivers/docker-root.ts";
import { DriverError, type GraphDriver } from "../../src/drivers/driver.ts";
import { DRIVERS, type DriverChoice, startDriver } from "../../src/drivers/registry.ts";
import { Lab } from "../../src/layers/lab.ts";
import { must } from "../../src/testing/expect.ts";

/** Throws a failure, gives all else on. */
export { must };

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

/** Writes a file on the host: what it held is gone. */
export function put(host: Host, path: string, data: string): void {
  const fd = must(host.task.open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644));
  must(host.task.write(fd, Content.text(data)));
  host.task.close(fd);
}

/** What a file on the host holds, up to 100,000 bytes of it. */
export function text(host: Host, path: string): string {
  const fd = must(host.task.open(path, O_RDONLY));
  const content = must(host.task.read(fd, 100_000));
  host.task.close(fd);
  return content.toText();
}

/** What Docker would log of an answer. */
export const said = (failed: unknown): string => (failed instanceof DriverError ? failed.message : "no error");

/** Permission bits. */
export const mode = (host: Host, path: string): number => must(host.task.stat(path)).mode & 0o7777;

/** What a directory holds, sorted. */
export const names = (host: Host, path: string): string[] =>
  must(host.task.readdir(path))
    .map(({ name }) => name)
    .sort();
