/** The driver zfs: datasets as layers, clones, quotas, what refuses to go, what docker info shows (spec/drivers.md 5.7). */
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { MIB } from "../../sim/core/units.ts";
import { findDataset, zfsCreate, zfsSet } from "../../sim/cow/zfs/commands.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import type { Host } from "../../sim/host.ts";
import { O_CREAT, O_RDONLY, O_WRONLY } from "../../sim/vfs/filesystem.ts";
import { type GraphDriver, isDriverError, PREREQUISITES } from "../../src/drivers/driver.ts";
import { startDriver } from "../../src/drivers/registry.ts";
import { dockerHost, driverOn, must } from "./docker-host.ts";

const HOME = "/var/lib/docker/zfs";

interface Started {
  readonly host: Host;
  readonly pool: Pool;
  readonly driver: GraphDriver;
}

function poolOf(host: Host): Pool {
  const pool = host.pools.get("zp");
  if (pool === undefined) throw new Error("there is no pool");
  return pool;
}

function start(options: readonly string[] = []): Started {
  const host = dockerHost("zfs");
  return { host, pool: poolOf(host), driver: driverOn(host, { name: "zfs", options }) };
}

const said = (result: unknown): string => (isDriverError(result) ? result.message : "no error");

/** The names below a dataset, snapshots included. */
function namesBelow(pool: Pool, path: string): string[] {
  const directory = findDataset(pool, path)?.directory;
  if (directory === undefined) throw new Error(`there is no ${path}`);
  const names: string[] = [];
  for (const { head, snapshots } of directory.below()) {
    names.push(head.path, ...[...snapshots].map(({ path: name }) => name));
  }
  return names.sort();
}

function put(host: Host, path: string, content: Content): void {
  const fd = must(host.task.open(path, O_WRONLY | O_CREAT, 0o644));
  must(host.task.write(fd, content));
  must(host.task.close(fd));
}

function read(host: Host, path: string): string {
  const fd = must(host.task.open(path, O_RDONLY));
  const content = must(host.task.read(fd, 100));
  host.task.close(fd);
  return content.toText();
}

test("it starts on zfs alone, and is what Docker chooses there", () => {
  expect(startDriver(dockerHost("ext4"), { name: "zfs" })).toBe(PREREQUISITES);
  expect(driverOn(dockerHost("zfs"), {}).name).toBe("zfs");
});

test("without zfs.fsname it stands on the dataset of Docker's folder, else on the one that is named, wherever the folder lies", () => {
  expect(start().driver.metadata("a")).toEqual({ Mountpoint: `${HOME}/graph/a`, Dataset: "zp/docker/a" });
  const host = dockerHost("zfs");
  expect(zfsCreate(poolOf(host), "zp/layers", {})).toBeUndefined();
  const named = driverOn(host, { name: "zfs", root: "/elsewhere", options: ["zfs.fsname=zp/layers"] });
  must(named.create("a", ""));
  expect(namesBelow(poolOf(host), "zp/layers")).toEqual(["zp/layers", "zp/layers/a"]);
  expect(named.get("a")).toBe("/elsewhere/zfs/graph/a");
  // No dataset is mounted where the folder would be.
  expect(startDriver(host, { name: "zfs", root: "/other" })).toBe(PREREQUISITES);
});

test("wrong options and datasets that are not there are told in Docker's words", () => {
  const host = dockerHost("zfs");
  const tried = (option: string): string => said(startDriver(host, { name: "zfs", options: [option] }));
  expect(tried("zfs.name=zp")).toBe("Unknown option zfs.name");
  expect(tried("zfs.fsname=zp/no")).toBe("Cannot find root filesystem zp/no: cannot open 'zp/no': dataset does not exist");
  expect(tried("zfs.fsname=no/where")).toBe(
    "Cannot find root filesystem no/where: cannot open 'no/where': dataset does not exist",
  );
});

test("a layer is a dataset with a legacy mountpoint, mounted at graph/<id> from Get to the last Put", () => {
  const { host, pool, driver } = start();
  must(driver.create("base", ""));
  const dataset = findDataset(pool, "zp/docker/base");
  expect([dataset?.path, driver.exists("base"), driver.exists("other")]).toEqual(["zp/docker/base", true, false]);
  const at = `${HOME}/graph/base`;
  expect(host.task.stat(at)).toMatchObject({ code: "ENOENT" });
  expect([must(driver.get("base")), must(driver.get("base"))]).toEqual([at, at]);
  expect(host.mountedBelow(`${HOME}/graph`)).toEqual([at]);
  expect(driver.put("base")).toBeUndefined();
  expect(host.mountedBelow(`${HOME}/graph`)).toEqual([at]);
  expect(driver.put("base")).toBeUndefined();
  expect(host.mountedBelow(`${HOME}/graph`)).toEqual([]);
  expect(host.task.stat(at)).toMatchObject({ code: "ENOENT" });
  expect(driver.put("base")).toBeUndefined();
});

test("Get of a layer that is not there tells of the mount, and leaves no folder behind", () => {
  const { host, driver } = start();
  expect(said(driver.get("no"))).toBe("error creating zfs mount: no such file or directory");
  expect(host.task.stat(`${HOME}/graph/no`)).toMatchObject({ code: "ENOENT" });
});

test("a child is a clone of a snapshot that goes with it: numbers below 10^9 name it, one a child", () => {
  const { host, pool, driver } = start();
  must(driver.create("base", ""));
  put(host, `${must(driver.get("base"))}/f`, Content.text("old"));
  must(driver.createReadWrite("one", "base"));
  must(driver.createReadWrite("two", "base"));
  const names = namesBelow(pool, "zp/docker/base");
  expect(names).toHaveLength(3);
  for (const name of names.slice(1)) expect(name).toMatch(/^zp\/docker\/base@\d{1,9}$/);
  put(host, `${must(driver.get("one"))}/f`, Content.text("newer"));
  expect([read(host, `${HOME}/graph/base/f`), read(host, `${must(driver.get("two"))}/f`)]).toEqual(["old", "old"]);
  expect(driver.changes("one", "base")).toEqual([{ kind: "C", path: "/f" }]);
  for (const id of ["one", "two"]) {
    driver.put(id);
    expect(driver.remove(id)).toBeUndefined();
  }
  expect(namesBelow(pool, "zp/docker/base")).toEqual(["zp/docker/base"]);
});

test("nothing can be linked or renamed from one layer into another", () => {
  const { host, driver } = start();
  must(driver.create("base", ""));
  must(driver.create("top", "base"));
  const [from, to] = [must(driver.get("base")), must(driver.get("top"))];
  put(host, `${from}/f`, Content.text("x"));
  expect(host.task.link(`${from}/f`, `${to}/g`)).toMatchObject({ code: "EXDEV" });
  expect(host.task.rename(`${from}/f`, `${to}/g`)).toMatchObject({ code: "EXDEV" });
  expect(must(host.task.stat(from)).device).not.toBe(must(host.task.stat(to)).device);
});

test("a layer with clones does not go, and says which datasets depend on it; in the other order all go", () => {
  const { pool, driver } = start();
  must(driver.create("base", ""));
  must(driver.create("middle", "base"));
  must(driver.create("top", "middle"));
  const failed = said(driver.remove("base"));
  expect(failed).toContain('exit status 1: "/usr/sbin/zfs zfs destroy -r zp/docker/base" => ');
  expect(failed).toContain("cannot destroy 'zp/docker/base': filesystem has dependent clones\n");
  expect(failed).toContain("use '-R' to destroy the following datasets:\n");
  expect(failed.split("\n").filter((line) => line.startsWith("zp/docker/"))).toEqual(
    expect.arrayContaining(["zp/docker/top", "zp/docker/middle"]),
  );
  expect(driver.exists("base")).toBe(true);
  for (const id of ["top", "middle", "base"]) expect(said(driver.remove(id))).toBe("no error");
  expect(namesBelow(pool, "zp/docker")).toEqual(["zp/docker"]);
  expect(driver.exists("base")).toBe(false);
});

test("a layer that is in use is busy, one that is only mounted is unmounted first, and one that is not there is removed already", () => {
  const { host, driver } = start();
  must(driver.create("base", ""));
  const place = must(driver.get("base"));
  const fd = must(host.task.open(place, O_RDONLY));
  expect(said(driver.remove("base"))).toBe(
    `exit status 1: "/usr/sbin/zfs zfs destroy -r zp/docker/base" => cannot unmount '${place}': pool or dataset is busy\n`,
  );
  expect(driver.exists("base")).toBe(true);
  must(host.task.close(fd));
  expect(driver.remove("base")).toBeUndefined();
  expect(driver.remove("base")).toBeUndefined();
});

test("what a broken-off build has left under a name is destroyed with its clones, and the layer made anew", () => {
  const { host, pool, driver } = start();
  must(driver.create("base", ""));
  put(host, `${must(driver.get("base"))}/f`, Content.text("x"));
  driver.put("base");
  must(driver.create("child", "base"));
  must(driver.create("base", ""));
  expect(namesBelow(pool, "zp/docker")).toEqual(["zp/docker", "zp/docker/base"]);
  expect(host.task.stat(`${must(driver.get("base"))}/f`)).toMatchObject({ code: "ENOENT" });
});

test("a layer over one that is not there fails at its snapshot", () => {
  const { driver } = start();
  const failed = said(driver.create("a", "no"));
  expect(failed).toMatch(
    /^exit status 2: "\/usr\/sbin\/zfs zfs snapshot zp\/docker\/no@\d{1,9}" => .*dataset does not exist\n$/s,
  );
  expect(driver.exists("a")).toBe(false);
});

test("size is a quota of what the layer itself adds: the image below is free of charge", () => {
  const { host, driver } = start();
  must(driver.create("base", ""));
  put(host, `${must(driver.get("base"))}/big`, Content.pattern(1, MIB(8)));
  poolOf(host).syncIfDirty();
  must(driver.createReadWrite("small", "base", { storage: { size: "4M" } }));
  const at = must(driver.get("small"));
  put(host, `${at}/fits`, Content.pattern(2, MIB(2)));
  const written = Array.from({ length: 40 }, (_, count) => {
    const fd = must(host.task.open(`${at}/more`, O_WRONLY | O_CREAT, 0o644));
    const done = host.task.pwrite(fd, Content.pattern(count, MIB(1)), count * MIB(1));
    host.task.close(fd);
    poolOf(host).syncIfDirty();
    return isErrno(done) ? done.code : done;
  });
  expect(written).toContain("EDQUOT");
  expect(written[0]).toBe(MIB(1));
  expect(written.filter((one) => one === MIB(1)).length).toBeLessThanOrEqual(3);
});

test("a size is handed to zfs as it was given: what zfs refuses leaves the dataset there", () => {
  const { pool, driver } = start();
  expect(said(driver.createReadWrite("a", "", { storage: { foo: "1" } }))).toBe("Unknown option foo");
  expect(namesBelow(pool, "zp/docker")).toEqual(["zp/docker"]);
  const failed = said(driver.createReadWrite("a", "", { storage: { SIZE: "much" } }));
  expect(failed).toContain('exit status 1: "/usr/sbin/zfs zfs set quota=much zp/docker/a" => ');
  expect(namesBelow(pool, "zp/docker")).toEqual(["zp/docker", "zp/docker/a"]);
  expect(said(driver.createReadWrite("b", "", { storage: { size: "0" } }))).toBe("no error");
});

test("docker info shows the dataset as it stood when the daemon began, and the pool as it stands", () => {
  const host = dockerHost("zfs");
  const pool = poolOf(host);
  expect(zfsSet(pool, "quota", "100M", "zp/docker")).toBeUndefined();
  expect(zfsSet(pool, "compression", "lz4", "zp/docker")).toBeUndefined();
  const driver = driverOn(host, { name: "zfs" });
  const rows = driver.status();
  expect(rows.map(([label]) => label)).toEqual([
    "Zpool",
    "Zpool Health",
    "Parent Dataset",
    "Space Used By Parent",
    "Space Available",
    "Parent Quota",
    "Compression",
  ]);
  const row = new Map(rows);
  expect([row.get("Zpool"), row.get("Zpool Health"), row.get("Parent Dataset")]).toEqual(["zp", "ONLINE", "zp/docker"]);
  expect([row.get("Parent Quota"), row.get("Compression")]).toEqual([String(MIB(100)), "lz4"]);
  expect(Number(row.get("Space Used By Parent")) + Number(row.get("Space Available"))).toBe(MIB(100));
  must(driver.create("base", ""));
  put(host, `${must(driver.get("base"))}/big`, Content.pattern(1, MIB(8)));
  poolOf(host).syncIfDirty();
  expect(driver.status()).toEqual(rows);
  const later = new Map(driverOn(host, { name: "zfs" }).status());
  expect(Number(later.get("Space Used By Parent")) - Number(row.get("Space Used By Parent"))).toBeGreaterThanOrEqual(MIB(8));
  expect(new Map(start().driver.status()).get("Parent Quota")).toBe("no");
});

test("a daemon that starts again knows the layers that are there", () => {
  const { host, driver } = start();
  must(driver.create("base", ""));
  must(driver.get("base"));
  expect(driver.cleanup()).toBeUndefined();
  const again = driverOn(host, { name: "zfs" });
  expect([again.exists("base"), again.exists("other")]).toEqual([true, false]);
  expect(again.remove("base")).toBeUndefined();
});
