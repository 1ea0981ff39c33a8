/** What Docker's versions differ in (docker-profile.ts), where no trace shows it. */
import { describe, expect, test } from "vitest";
import { k6_18 } from "../../sim/core/kernel-profile.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { DOCKER_PROFILES, type DockerProfile } from "../../src/drivers/docker-profile.ts";
import { DOCKER_ROOT, prepareDockerRoot } from "../../src/drivers/docker-root.ts";
import { NOT_SUPPORTED } from "../../src/drivers/driver.ts";
import { startDriver } from "../../src/drivers/registry.ts";
import { dockerHost, driverOn, mode, must, names, said } from "./docker-host.ts";

function of(version: string): { readonly docker: DockerProfile } {
  const docker = DOCKER_PROFILES.get(version);
  if (docker === undefined) throw new TypeError(version);
  return { docker };
}

function fill(host: Host, name: string): void {
  must(host.task.mkdir(`${DOCKER_ROOT}/${name}`));
  must(host.task.mkdir(`${DOCKER_ROOT}/${name}/something`));
}

describe("the choice of a driver", () => {
  test.each(["aufs", "overlay"])("24.0 has no driver %s, and does not count what it has left", (name) => {
    const host = dockerHost();
    fill(host, name);
    expect(startDriver(host, { name, settings: of("24.0") })).toBe(NOT_SUPPORTED);
    expect(must(startDriver(host, { settings: of("24.0") })).name).toBe("overlay2");
  });

  test("24.0 takes devicemapper by its name alone: not for what it has kept, which ends the choice", () => {
    const host = dockerHost();
    fill(host, "devicemapper");
    expect(said(startDriver(host, { settings: of("24.0") }))).toBe(
      "prior storage driver devicemapper is deprecated and will be removed in a future release; update the the daemon configuration and " +
        "explicitly choose this storage driver to continue using it; visit https://docs.docker.com/go/storage-driver/ for more information",
    );
    expect(must(startDriver(host, { name: "devicemapper", settings: of("24.0") })).name).toBe("devicemapper");
    expect(must(startDriver(host, { settings: of("29") })).name).toBe("overlay2");
  });

  test("24.0 passes devicemapper over in the list, where 20.10 takes it", () => {
    const inside = (version: string): string => {
      const host = dockerHost("ext4", { ...k6_18, aufs: false });
      const outer = driverOn(host, { name: "overlay2" });
      must(outer.create("image", ""));
      must(outer.createReadWrite("container", "image"));
      return must(startDriver(host, { root: must(outer.get("container")), settings: of(version) })).name;
    };
    expect([inside("20.10"), inside("24.0")]).toEqual(["devicemapper", "vfs"]);
  });

  test("24.0 words several that have kept something in its own way", () => {
    const host = dockerHost();
    for (const name of ["overlay2", "fuse-overlayfs", "devicemapper"]) fill(host, name);
    expect(said(startDriver(host, { settings: of("24.0") }))).toBe(
      "/var/lib/docker contains several valid graphdrivers: overlay2, devicemapper; cleanup or explicitly choose storage driver (-s <DRIVER>)",
    );
  });
});

describe("folders", () => {
  test.each([
    ["overlay2", "ext4", ["", "/base"]],
    ["overlay", "ext4", ["", "/base"]],
    ["vfs", "ext4", ["", "/dir"]],
    ["aufs", "ext4", ["", "/diff", "/layers", "/mnt"]],
    ["btrfs", "btrfs", ["", "/subvolumes"]],
    ["zfs", "zfs", ["", "/graph"]],
  ])("of %s are open to no group before 20.10.9", (name, backing, folders) => {
    const modes = (version: string): number[] => {
      const host = dockerHost(backing);
      const driver = driverOn(host, { name, settings: of(version) });
      must(driver.create("base", ""));
      return folders.map((folder) => mode(host, driver.home + folder));
    };
    expect(new Set(modes("18.09"))).toEqual(new Set([0o700]));
    expect(new Set(modes("20.10"))).toEqual(new Set([0o710]));
  });
});

describe("overlay2", () => {
  test("of 18.09 marks no layer as a parent, and mounts it writable", () => {
    const upper = (version: string): boolean => {
      const host = dockerHost();
      const driver = driverOn(host, { name: "overlay2", settings: of(version) });
      for (const [id, parent] of [
        ["a", ""],
        ["b", "a"],
        ["c", "b"],
      ] as const)
        must(driver.create(id, parent));
      const failed = host.task.mkdir(`${must(driver.get("b"))}/d`);
      expect(names(host, `${driver.home}/b`).includes("committed")).toBe(failed !== undefined);
      return failed === undefined;
    };
    expect([upper("18.09"), upper("20.10")]).toEqual([true, false]);
  });

  test.each([
    ["18.09", ["Backing Filesystem", "Supports d_type", "Native Overlay Diff"]],
    ["20.10", ["Backing Filesystem", "Supports d_type", "Native Overlay Diff", "userxattr"]],
    ["24.0", ["Backing Filesystem", "Supports d_type", "Using metacopy", "Native Overlay Diff", "userxattr"]],
  ])("of %s tells its rows in docker info", (version, labels) => {
    const rows = driverOn(dockerHost(), { name: "overlay2", settings: of(version) }).status();
    expect(rows.map(([label]) => label)).toEqual(labels);
  });

  test.each(["on", "off"])("of 24.0 finds out by a trial that metacopy is %s, and leaves nothing of it", (metacopy) => {
    const host = dockerHost();
    const mountOptions = `redirect_dir=${metacopy},metacopy=${metacopy}`;
    const driver = driverOn(host, { name: "overlay2", settings: { ...of("24.0"), mountOptions } });
    expect(new Map(driver.status()).get("Using metacopy")).toBe(String(metacopy === "on"));
    expect([names(host, DOCKER_ROOT), host.mountedBelow(DOCKER_ROOT)]).toEqual([["lost+found", "overlay2"], [DOCKER_ROOT]]);
  });

  test.each(["overlay", "overlay2"])("17.06 starts %s where entries tell no type, and says so in docker info", (name) => {
    const host = createHost();
    must(prepareDockerRoot(host, { backing: "xfs", make: "-m crc=0 -n ftype=0" }));
    expect(said(startDriver(host, { name, settings: of("18.09") }))).toMatch(/formatted without d_type support/);
    expect(driverOn(host, { name, settings: of("17.06") }).status()).toContainEqual(["Supports d_type", "false"]);
  });
});

test("btrfs of 24.0 tells no versions", () => {
  const rows = (version: string) => driverOn(dockerHost("btrfs"), { name: "btrfs", settings: of(version) }).status();
  expect(rows("20.10").map(([label]) => label)).toEqual(["Build Version", "Library Version"]);
  expect(rows("24.0")).toEqual([["Btrfs", ""]]);
});

test("vfs of 17.06 takes no option of a layer, whatever it is for", () => {
  const driver = driverOn(dockerHost(), { name: "vfs", settings: of("17.06") });
  for (const make of [driver.create.bind(driver), driver.createReadWrite.bind(driver)])
    expect(said(make("c", "", { storage: { size: "1G" } }))).toBe("--storage-opt is not supported for vfs");
});
