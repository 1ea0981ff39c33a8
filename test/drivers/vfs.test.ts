import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import type { SimEvent } from "../../sim/core/events.ts";
import { type KernelProfile, kernelProfile } from "../../sim/core/kernel-profile.ts";
import type { Host } from "../../sim/host.ts";
import { O_CREAT, O_RDONLY, O_WRONLY, S_IFSOCK } from "../../sim/vfs/filesystem.ts";
import { DriverError, type GraphDriver, NOT_SUPPORTED } from "../../src/drivers/driver.ts";
import { startDriver } from "../../src/drivers/registry.ts";
import { dockerHost, driverOn, must, said } from "./docker-host.ts";

const HOME = "/var/lib/docker/vfs";

function start(settings = {}, host: Host = dockerHost()): { host: Host; driver: GraphDriver } {
  return { host, driver: driverOn(host, { name: "vfs", settings }) };
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

const mode = (host: Host, path: string): number => must(host.task.stat(path)).mode & 0o7777;

test("a layer is dir/<id>: dir is 0710, a base layer's folder 0755", () => {
  const { host, driver } = start();
  must(driver.create("base", ""));
  expect(mode(host, HOME)).toBe(0o710);
  expect(mode(host, `${HOME}/dir`)).toBe(0o710);
  expect(mode(host, `${HOME}/dir/base`)).toBe(0o755);
  expect(driver.get("base")).toBe(`${HOME}/dir/base`);
  expect(driver.exists("base")).toBe(true);
  expect(driver.status()).toEqual([]);
  expect(driver.metadata("base")).toBeNull();
});

test("a child is a full copy that its parent does not see change", () => {
  const { host, driver } = start();
  must(driver.create("base", ""));
  put(host, `${HOME}/dir/base/f`, Content.text("old"));
  must(driver.createReadWrite("child", "base"));
  put(host, `${HOME}/dir/child/f`, Content.text("new"));
  expect(read(host, `${HOME}/dir/base/f`)).toBe("old");
  expect(driver.counters).toEqual({ treeCopyFiles: 1, treeCopyBytes: 3 });
  host.task.truncate(`${HOME}/dir/child/f`, 9);
  expect(driver.changes("child", "base")).toEqual([{ kind: "C", path: "/f" }]);
  expect(driver.diffSize("child", "base")).toBe(9);
});

test.each([
  ["6.12", []],
  ["6.13", [{ kind: "C", path: "/f" }]],
])("a file that is written within the tick of the image's, as long as before: Linux %s tells %j", (version, expected) => {
  const { host, driver } = start({}, dockerHost("ext4", kernelProfile(version) as KernelProfile));
  must(driver.create("base", ""));
  put(host, `${HOME}/dir/base/f`, Content.text("old"));
  must(driver.createReadWrite("child", "base"));
  must(host.task.stat(`${HOME}/dir/child/f`));
  put(host, `${HOME}/dir/child/f`, Content.text("new"));
  expect(driver.changes("child", "base")).toEqual(expected);
});

test("the copy has the root folder's own mode and owner, and hard links stay together", () => {
  const { host, driver } = start();
  must(driver.create("base", ""));
  must(host.task.chmod(`${HOME}/dir/base`, 0o1777));
  must(host.task.chown(`${HOME}/dir/base`, 5, 6));
  put(host, `${HOME}/dir/base/a`, Content.text("x"));
  must(host.task.link(`${HOME}/dir/base/a`, `${HOME}/dir/base/b`));
  must(driver.createReadWrite("child", "base"));
  expect(host.task.stat(`${HOME}/dir/child`)).toMatchObject({ mode: 0o41777, uid: 5, gid: 6 });
  expect(host.task.stat(`${HOME}/dir/child/b`)).toMatchObject({ nlink: 2 });
  expect(driver.counters["treeCopyBytes"]).toBe(1);
});

test("Docker's copy makes FIFOs of sockets and keeps no user xattr; cp -a keeps both", () => {
  for (const { treeCopy, type, xattr } of [
    { treeCopy: "docker", type: 0o010000, xattr: "ENODATA" },
    { treeCopy: "all", type: S_IFSOCK, xattr: undefined },
  ]) {
    const { host, driver } = start({ treeCopy });
    must(driver.create("base", ""));
    must(host.task.mknod(`${HOME}/dir/base/s`, S_IFSOCK | 0o600));
    put(host, `${HOME}/dir/base/f`, Content.text("x"));
    must(host.task.setxattr(`${HOME}/dir/base/f`, "user.k", Uint8Array.of(1)));
    must(driver.createReadWrite("child", "base"));
    expect(host.task.lstat(`${HOME}/dir/child/s`)).toMatchObject({ mode: type | 0o600 });
    const value = host.task.getxattr(`${HOME}/dir/child/f`, "user.k");
    expect("code" in value ? value.code : undefined).toBe(xattr);
  }
});

test("copying a large file moves runs, not bytes, and tells what it copied", () => {
  const { host, driver } = start();
  must(driver.create("base", ""));
  put(host, `${HOME}/dir/base/big`, Content.pattern(1, 200 * 2 ** 20));
  const heard: SimEvent[] = [];
  host.events.subscribe(({ event }) => void (event.op === "treeCopy" && heard.push(event)));
  must(driver.createReadWrite("child", "base"));
  const source = `${HOME}/dir/base`;
  expect(heard).toEqual([{ op: "treeCopy", source, target: `${HOME}/dir/child`, files: 1, bytes: 200 * 2 ** 20 }]);
});

test("wrong options are told in Docker's words", () => {
  const { host, driver } = start();
  const said = (failed: unknown): string => (failed instanceof DriverError ? failed.message : "no error");
  expect(said(driver.create("x", "", { storage: { size: "1G" } }))).toBe(
    "--storage-opt is not supported for vfs on read-only layers",
  );
  expect(said(driver.createReadWrite("x", "", { storage: { foo: "1" } }))).toBe("Storage opt foo not supported");
  expect(said(driver.createReadWrite("x", "", { storage: { size: "1G" } }))).toBe(
    "Filesystem does not support, or has not enabled quotas",
  );
  expect(said(driver.createReadWrite("y", "no"))).toBe(`no: stat ${HOME}/dir/no: no such file or directory`);
  expect(said(driver.get("no"))).toBe(`stat ${HOME}/dir/no: no such file or directory`);
  expect(said(startDriver(host, { name: "vfs", options: ["vfs.size=1G"] }))).toBe("unknown option vfs.size for vfs");
  expect(startDriver(host, { name: "devicemappr" })).toBe(NOT_SUPPORTED);
});

test("removing a layer removes its folder; one that is not there is removed already", () => {
  const { host, driver } = start();
  must(driver.create("base", ""));
  must(host.task.mkdir(`${HOME}/dir/base/d`));
  expect(driver.remove("base")).toBeUndefined();
  expect(driver.exists("base")).toBe(false);
  expect(driver.remove("base")).toBeUndefined();
});

test("options are taken as they are written, capitals and all, and a size is refused unread where there are no quotas", () => {
  const foo = startDriver(dockerHost(), { name: "vfs", options: ["Foo=1"] });
  expect(foo).toEqual(new DriverError("unknown option Foo for vfs"));
  const { driver } = start();
  const asked = (storage: Record<string, string>): string => said(driver.createReadWrite("x", "", { storage }));
  expect(asked({ Size: "1G" })).toBe("Storage opt Size not supported");
  expect(asked({ size: "much" })).toBe("Filesystem does not support, or has not enabled quotas");
  expect(asked({ size: "0" })).toBe("Filesystem does not support, or has not enabled quotas");
});
