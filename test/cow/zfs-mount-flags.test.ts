/** What a filesystem of zfs says of itself where it is mounted: readonly, atime and relatime, from the moment that they are set (zfs_vfsops.c, *_changed_cb). */
import { expect, test } from "vitest";
import { Disk } from "../../sim/block/disk.ts";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { GIB, MIB, seconds } from "../../sim/core/units.ts";
import { createPool } from "../../sim/cow/zfs/assemble.ts";
import { zfsCreate, zfsSet, zfsSnapshot } from "../../sim/cow/zfs/commands.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { credentialsOf } from "../../sim/vfs/credentials.ts";
import { O_CREAT, O_RDONLY, O_RDWR } from "../../sim/vfs/filesystem.ts";
import { must } from "./zfs-lab.ts";

/** A host with zp/a on /a, where a file of root lies. */
function hostWith(options = ""): { host: Host; pool: Pool; set(property: string, value: string): void } {
  const host = createHost();
  const pool = must(createPool({ clock: host.clock, memory: GIB(1) }, { name: "zp", tops: [[new Disk({ size: MIB(256) })]] }));
  host.pools.set("zp", pool);
  expect(zfsCreate(pool, "zp/a", { mountpoint: "legacy" })).toBeUndefined();
  must(host.task.mkdir("/a", 0o755));
  expect(host.mount({ type: "zfs", source: "zp/a", target: "/a", options })).toBeUndefined();
  const fd = must(host.task.open("/a/f", O_RDWR | O_CREAT, 0o600));
  must(host.task.write(fd, Content.text("x")));
  must(host.task.close(fd));
  return { host, pool, set: (property, value) => expect(zfsSet(pool, property, value, "zp/a")).toBeUndefined() };
}

const codeOf = (answer: unknown): unknown => (isErrno(answer) ? answer.code : answer);

test("a filesystem that becomes read-only says so before who may, and to open files", () => {
  const { host, set } = hostWith();
  const { task } = host;
  const other = task.withCredentials(credentialsOf(1000, 1000));
  const fd = must(task.open("/a/f", O_RDWR));
  const calls = (): unknown[] => [
    codeOf(other.chmod("/a/f", 0o666)),
    codeOf(other.unlink("/a/f")),
    codeOf(other.open("/a/f", O_RDWR)),
    codeOf(task.pwrite(fd, Content.text("y"), 0)),
  ];
  expect(calls()).toEqual(["EPERM", "EACCES", "EACCES", 1]);
  set("readonly", "on");
  expect(calls()).toEqual(["EROFS", "EROFS", "EROFS", "EROFS"]);
  set("readonly", "off");
  expect(calls()).toEqual(["EPERM", "EACCES", "EACCES", 1]);
});

test("a snapshot says of itself that it is read-only before who may", () => {
  const { host, pool } = hostWith();
  expect(zfsSnapshot(pool, "zp/a@s")).toBeUndefined();
  must(host.task.mkdir("/s", 0o755));
  expect(host.mount({ type: "zfs", source: "zp/a@s", target: "/s" })).toBeUndefined();
  expect(codeOf(host.task.withCredentials(credentialsOf(1000, 1000)).chmod("/s/f", 0o666))).toBe("EROFS");
});

test.each([
  ["", "", [true, false]],
  ["strictatime", "", [true, true]],
  ["strictatime", "relatime=on", [true, false]],
  ["strictatime", "atime=off", [false, false]],
  ["noatime", "", [false, false]],
])("mounted with %j and with %j set, two reads set atime: %j", (options, property, expected) => {
  const { host, set } = hostWith(options);
  const [name = "", value = ""] = property.split("=");
  if (property !== "") set(name, value);
  const { task, clock } = host;
  const fd = must(task.open("/a/f", O_RDONLY));
  const atime = (): number => must(task.stat("/a/f")).atime.seconds;
  const found = expected.map(() => {
    const before = atime();
    clock.advance(seconds(2));
    must(task.pread(fd, 1, 0));
    return atime() > before;
  });
  expect(found).toEqual(expected);
});
