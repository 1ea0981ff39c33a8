import { expect, test } from "vitest";
import { k6_18 } from "../../sim/core/kernel-profile.ts";
import type { Host } from "../../sim/host.ts";
import { DriverError, INCOMPATIBLE, isDriverError, NOT_SUPPORTED, PREREQUISITES } from "../../src/drivers/driver.ts";
import { startDriver, startFailure } from "../../src/drivers/registry.ts";
import { dockerHost, driverOn, must } from "./docker-host.ts";

function chosen(host: Host): string {
  const driver = startDriver(host);
  return isDriverError(driver) ? driver.message : driver.name;
}

function fill(host: Host, name: string): void {
  must(host.task.mkdir(`/var/lib/docker/${name}`));
  must(host.task.mkdir(`/var/lib/docker/${name}/something`));
}

test("without a name the first of the priority list that works is chosen", () => {
  expect(chosen(dockerHost())).toBe("overlay2");
});

test("a driver whose files are there is chosen before others, but never vfs", () => {
  const host = dockerHost();
  fill(host, "vfs");
  expect(chosen(host)).toBe("overlay2");
});

test("an empty folder is no prior state", () => {
  const host = dockerHost();
  must(host.task.mkdir("/var/lib/docker/overlay2"));
  expect(chosen(host)).toBe("overlay2");
});

test("devicemapper is chosen before vfs where overlay cannot be mounted and the kernel has no aufs", () => {
  const host = dockerHost("ext4", { ...k6_18, aufs: false });
  // An upper folder on an overlay is refused: Docker's folder inside a container's own tree.
  const outer = driverOn(host, { name: "overlay2" });
  must(outer.create("image", ""));
  must(outer.createReadWrite("container", "image"));
  const inner = startDriver(host, { root: must(outer.get("container")) });
  expect(isDriverError(inner) ? inner.message : inner.name).toBe("devicemapper");
  expect(startDriver(host, { name: "overlay2", root: must(outer.get("container")) })).toBe(NOT_SUPPORTED);
});

test("the three reasons to go on to the next driver have Docker's texts, and the daemon's log its prefix", () => {
  expect(NOT_SUPPORTED.message).toBe("driver not supported");
  expect(PREREQUISITES.message).toBe("prerequisites for driver not satisfied (wrong filesystem?)");
  expect(INCOMPATIBLE.message).toBe("backing file system is unsupported for this graph driver");
  expect(startFailure(NOT_SUPPORTED)).toBe("error initializing graphdriver: driver not supported");
  expect(new DriverError("x").unsupported).toBeUndefined();
});
