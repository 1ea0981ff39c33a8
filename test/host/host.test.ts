import { beforeEach, describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import type { SimEvent } from "../../sim/core/events.ts";
import { k4_0 } from "../../sim/core/kernel-profile.ts";
import { KIB } from "../../sim/core/units.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { O_CREAT, O_RDONLY, O_WRONLY } from "../../sim/vfs/filesystem.ts";
import { must } from "../drivers/docker-host.ts";

let host: Host;

beforeEach(() => {
  host = createHost({ seed: 1 });
  for (const path of ["/mnt", "/l", "/u", "/w"]) must(host.task.mkdir(path, 0o755));
});

const OVERLAY = "lowerdir=/l,upperdir=/u,workdir=/w";

/** What a mount failed with, and what the kernel logged. */
function refused(type: string, options = "", target = "/mnt"): readonly [string | undefined, string | undefined] {
  const failed = host.mount({ type, source: "none", target, options });
  return [failed?.errno.code, failed?.message];
}

describe("a host's mounts", () => {
  test("show one filesystem over another until they are ended", () => {
    must(host.task.mkdir("/mnt/below"));
    expect(host.mount({ type: "tmpfs", source: "tmpfs", target: "/mnt" })).toBeUndefined();
    expect(host.task.readdir("/mnt")).toEqual([]);
    expect(host.mountedBelow("/mnt")).toEqual(["/mnt"]);
    expect(host.unmount("/mnt")).toBeUndefined();
    expect(must(host.task.readdir("/mnt"))).toHaveLength(1);
    expect(host.unmount("/mnt")).toMatchObject({ code: "EINVAL" });
    host.check();
  });

  test("cannot be ended while a file is open in them, except lazily: then the file lives on", () => {
    host.mount({ type: "tmpfs", source: "tmpfs", target: "/mnt" });
    const fd = must(host.task.open("/mnt/f", O_WRONLY | O_CREAT));
    expect(host.unmount("/mnt")).toMatchObject({ code: "EBUSY" });
    expect(host.unmount("/mnt", true)).toBeUndefined();
    expect(host.task.write(fd, Content.text("x"))).toBe(1);
    expect(host.mountedBelow("/")).toEqual([]);
    must(host.task.close(fd));
    host.endUnused();
    host.check();
  });

  test("take the general options for the mount, the rest for the filesystem", () => {
    host.mount({ type: "tmpfs", source: "tmpfs", target: "/mnt", options: "ro,size=1M,mode=700" });
    expect(host.task.mkdir("/mnt/d")).toMatchObject({ code: "EROFS" });
    expect(must(host.task.statfs("/mnt")).blocks).toBe(256);
    expect(must(host.task.stat("/mnt")).mode & 0o777).toBe(0o700);
  });

  test("are refused with mount(2)'s error and the kernel's line", () => {
    expect(refused("ext9")).toEqual(["ENODEV", "unknown filesystem type 'ext9'"]);
    expect(refused("tmpfs", "", "/no")[0]).toBe("ENOENT");
    expect(refused("tmpfs", "foo=1")).toEqual(["EINVAL", "tmpfs: Unknown parameter 'foo'"]);
    expect(refused("tmpfs", "size=big")).toEqual(["EINVAL", "tmpfs: Bad value for 'size'"]);
    expect(refused("overlay", "lowerdir=/no,upperdir=/u,workdir=/w")[0]).toBe("ENOENT");
    expect(refused("overlay", `${OVERLAY},foo=on`)[0]).toBe("EINVAL");
  });

  test("of overlays take relative paths from the folder that is given", () => {
    must(host.task.mkdir("/l/only-lower"));
    const options = "lowerdir=l,upperdir=u,workdir=w";
    expect(host.mount({ type: "overlay", source: "overlay", target: "/mnt", options, directory: "/" })).toBeUndefined();
    expect(must(host.task.readdir("/mnt")).map(({ name }) => name)).toEqual(["only-lower"]);
  });

  test("are told with their whole option text", () => {
    const heard: SimEvent[] = [];
    host.events.subscribe(({ event }) => void heard.push(event));
    host.mount({ type: "overlay", source: "overlay", target: "/mnt", options: `ro,${OVERLAY}` });
    expect(heard).toEqual([{ op: "mount", filesystem: "overlay", path: "/mnt", options: `ro,${OVERLAY}` }]);
  });
});

describe("a host", () => {
  test("counts by engine, sorted, and forgets nothing when a filesystem is unmounted", () => {
    const fd = must(host.task.open("/l/f", O_WRONLY | O_CREAT));
    must(host.task.write(fd, Content.text("12345")));
    must(host.task.close(fd));
    host.addDisk({ size: 2 ** 20 });
    host.mount({ type: "overlay", source: "overlay", target: "/mnt", options: OVERLAY });
    must(host.task.close(must(host.task.open("/mnt/f", O_WRONLY))));
    const mounted = host.counters();
    expect(mounted).toMatchObject({ "overlay.copyUps": 1, "overlay.copiedBytes": 5, "disk.vda.writes": 0 });
    expect(Object.keys(mounted)).toEqual(Object.keys(mounted).sort());
    expect(host.unmount("/mnt")).toBeUndefined();
    expect(host.counters()["overlay.copyUps"]).toBe(1);
    host.mount({ type: "overlay", source: "overlay", target: "/mnt", options: OVERLAY });
    must(host.task.close(must(host.task.open("/mnt/f", O_WRONLY))));
    expect(host.counted(["overlay", "aufs"], "copyUps")).toBe(host.counters()["overlay.copyUps"]);
  });

  test("checks its pools of zfs, mounted or not", () => {
    host.addDisk({ size: 2 ** 30 });
    expect(host.mkfs("zfs", "vda")).toBeUndefined();
    must(host.task.mkdir("/z", 0o755));
    expect(host.mount({ type: "zfs", source: "vda", target: "/z" })).toBeUndefined();
    expect(host.unmount("/z")).toBeUndefined();
    host.check();
    const pool = host.pools.get("zp") as Pool;
    pool.store.space.allocated += 4096;
    expect(() => host.check()).toThrow(/pool zp: \d+ bytes are allocated, \d+ are reachable/);
  });

  test("has a file in /sys for each option that its kernel's overlay knows", () => {
    const parameters = (of: Host): unknown => of.task.stat("/sys/module/overlay/parameters/index");
    expect(parameters(host)).toMatchObject({ size: 2 });
    expect(parameters(createHost({ kernel: k4_0 }))).toMatchObject({ code: "ENOENT" });
  });

  test("has the same ids, times and counters again for the same seed and calls", () => {
    const one = createHost({ seed: 5 });
    const other = createHost({ seed: 5 });
    expect(one.random.bytes(8)).toEqual(other.random.bytes(8));
    expect(one.task.stat("/")).toEqual(other.task.stat("/"));
    expect(one.counters()).toEqual(other.counters());
  });

  test("makes filesystems only on disks that it has, of types that need one", () => {
    expect(host.mkfs("tmpfs", "vda")).toMatchObject({ code: "ENODEV" });
    expect(host.mkfs("ext9", "vda")).toMatchObject({ code: "ENODEV" });
  });
});

test.each([4, 16, 64, 100])("a host with memory for pages of %i KiB has its own files and room for mount points", (kib) => {
  const small = createHost({ memory: KIB(kib) });
  const fd = must(small.task.open("/proc/filesystems", O_RDONLY, 0));
  expect(must(small.task.read(fd, 4096)).length).toBeGreaterThan(0);
  for (let n = 0; n < 50; n++) must(small.task.mkdir(`/m${n}`));
  small.cache.check();
});
