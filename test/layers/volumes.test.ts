/** What docker run -v does (src/layers/volumes.ts), in words and by system calls. */
import { describe, expect, test } from "vitest";
import { newAttributes } from "../../sim/vfs/filesystem.ts";
import { perform } from "../../src/calls/perform.ts";
import type { Lab } from "../../src/layers/lab.ts";
import { parseVolume, type VolumeOption } from "../../src/layers/volume-option.ts";
import { labOn, must } from "../drivers/docker-host.ts";

const DRIVERS = ["aufs", "btrfs", "devicemapper", "overlay", "overlay2", "vfs", "zfs"];

function option(text: string): VolumeOption {
  const parsed = parseVolume(text);
  if (typeof parsed === "string") throw new Error(parsed);
  return parsed;
}

/** A lab with an image that has /data/f, 0640 and of user 7, and a second name of it. */
function labWithData(driver: string): Lab {
  const lab = labOn(driver);
  must(lab.addLayer("image"));
  const { task } = must(lab.session("image"));
  must(task.mkdir("/data", 0o700));
  const fd = must(task.open("/data/f", 0o101, 0o640));
  must(task.close(fd));
  must(task.chown("/data/f", 7, 7));
  must(task.link("/data/f", "/data/again"));
  must(task.symlink("/data", "/to-data"));
  return lab;
}

function container(lab: Lab, name: string, ...volumes: string[]): Lab {
  must(lab.addContainer(name, "image", { volumes: volumes.map(option) }));
  return lab;
}

const UNFIT = 'invalid mount config for type "volume"';

describe("the text of a volume", () => {
  test.each([
    ["/data", { source: undefined, path: "/data", readOnly: false, copies: true }],
    ["/data//./x/../y/", { source: undefined, path: "/data/y", readOnly: false, copies: true }],
    ["db:/data", { source: "db", path: "/data", readOnly: false, copies: true }],
    ["db:/data:nocopy,ro", { source: "db", path: "/data", readOnly: true, copies: false }],
    ["/srv/:/data:rw", { source: "/srv", path: "/data", readOnly: false, copies: false }],
    ["db:/data:z,cached", { source: "db", path: "/data", readOnly: false, copies: true }],
    ["/srv:/data:ro,Z,rslave", { source: "/srv", path: "/data", readOnly: true, copies: false }],
  ])("%s is read", (text, read) => {
    expect(parseVolume(text)).toEqual(read);
  });

  test.each([
    ["data", `invalid volume specification: 'data': ${UNFIT}: invalid mount path: 'data' mount path must be absolute`],
    ["/", `invalid volume specification: '/': ${UNFIT}: invalid specification: destination can't be '/'`],
    ["db:data", `invalid volume specification: 'db:data': ${UNFIT}: invalid mount path: 'data' mount path must be absolute`],
    [
      "/srv:/a/..",
      `invalid volume specification: '/srv:/a/..': invalid mount config for type "bind": invalid specification: destination can't be '/'`,
    ],
    ["/data:ro", "invalid volume specification: '/data:ro'"],
    ["a:/b:ro:rw", "invalid volume specification: 'a:/b:ro:rw'"],
    ["a::ro", "invalid volume specification: 'a::ro'"],
    ["", "invalid volume specification: ''"],
    ["db:/b:rx", "invalid mode: rx"],
    ["db:/b:ro,rw", "invalid mode: ro,rw"],
    ["db:/b:ro,ro", "invalid mode: ro,ro"],
    [
      "/srv:/b:nocopy",
      `invalid volume specification: '/srv:/b:nocopy': invalid mount config for type "bind": field VolumeOptions must not be specified`,
    ],
    ["db:/b:rslave", `invalid volume specification: 'db:/b:rslave': ${UNFIT}: field BindOptions must not be specified`],
    ["d:/b", "create d: volume name is too short, names should be at least two alphanumeric characters"],
    [
      "-x:/data",
      'create -x: "-x" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path',
    ],
  ])("%s is refused in the words of Docker 20.10.24", (text, words) => {
    expect(parseVolume(text)).toBe(words);
  });
});

describe.each(DRIVERS)("on %s", (driver) => {
  test("a new volume gets what the image has there, and the layer gets nothing that is written to it", () => {
    const lab = container(labWithData(driver), "c", "db:/data");
    const session = must(lab.session("c"));
    const { task } = session;
    expect(must(task.stat("/data", newAttributes())).mode & 0o777).toBe(0o700);
    expect(must(task.stat("/data/f", newAttributes()))).toMatchObject({ mode: 0o100640, uid: 7, gid: 7, nlink: 2 });
    must(task.mkdir("/data/new"));
    must(task.unlink("/data/f"));
    expect(must(lab.changes("c"))).toEqual([]);
    expect(lab.host.task.lstat("/var/lib/docker/volumes/db/_data/new", newAttributes())).toMatchObject({
      nlink: expect.any(Number),
    });
    lab.host.check();
  });

  test("two containers share a volume, which is filled once", () => {
    const lab = container(labWithData(driver), "c", "db:/data");
    must(must(lab.session("c")).task.unlink("/data/f"));
    container(lab, "d", "db:/data");
    expect(perform(must(lab.session("d")), { call: "stat", path: "/data/f" })).toEqual({ errno: "ENOENT" });
    must(must(lab.session("d")).task.mkdir("/data/of-d"));
    expect(perform(must(lab.session("c")), { call: "stat", path: "/data/of-d" })).toMatchObject({ value: { type: "dir" } });
  });

  test("a mount point that the image lacks is an addition of the container, and renames stop at it", () => {
    const lab = container(labWithData(driver), "c", "/srv/conf:/etc/conf");
    const session = must(lab.session("c"));
    expect(
      must(lab.changes("c"))
        .map(({ kind, path }) => `${kind} ${path}`)
        .sort(),
    ).toEqual(["A /etc", "A /etc/conf"]);
    must(session.task.mkdir("/etc/conf/x"));
    expect(perform(session, { call: "rename", path: "/etc/conf/x", to: "/x" })).toEqual({ errno: "EXDEV" });
    expect(perform(session, { call: "rmdir", path: "/etc/conf" })).toEqual({ errno: "EBUSY" });
  });

  test("a container that goes takes its mounts with it and leaves the volume", () => {
    const lab = labWithData(driver);
    container(lab, "before");
    must(lab.session("before"));
    const mounts = lab.host.vfs.mounts.length;
    container(lab, "c", "db:/data", "/data/inner");
    must(must(lab.session("c")).task.open("/data/f", 0));
    must(lab.remove("c"));
    expect(lab.host.vfs.mounts).toHaveLength(mounts);
    expect(must(lab.host.task.readdir("/var/lib/docker/volumes/db/_data")).map(({ name }) => name)).toContain("f");
    lab.host.check();
  });
});

test("a read-only volume refuses writes, and nocopy leaves it empty", () => {
  const lab = container(labWithData("overlay2"), "c", "db:/data:ro,nocopy");
  const session = must(lab.session("c"));
  expect(must(session.task.readdir("/data"))).toEqual([]);
  expect(perform(session, { call: "mkdir", path: "/data/x" })).toEqual({ errno: "EROFS" });
});

test("a symbolic link at the mount point is followed within the container", () => {
  const lab = container(labWithData("overlay2"), "c", "db:/to-data");
  const session = must(lab.session("c"));
  must(session.task.mkdir("/data/x"));
  expect(
    must(lab.host.task.readdir("/var/lib/docker/volumes/db/_data"))
      .map(({ name }) => name)
      .sort(),
  ).toEqual(["again", "f", "x"]);
});

test("a volume over a file is refused in Docker's words, a file of the host is mounted on a file", () => {
  const lab = labWithData("overlay2");
  expect(lab.addContainer("c", "image", { volumes: [option("/data/f")] })?.message).toMatch(
    /^cannot mount volume over existing file, file exists .*\/data\/f$/,
  );
  const fd = must(lab.host.task.open("/hosts", 0o101));
  must(lab.host.task.close(fd));
  container(lab, "d", "/hosts:/etc/hosts");
  expect(perform(must(lab.session("d")), { call: "stat", path: "/etc/hosts" })).toMatchObject({ value: { type: "file" } });
  expect(must(lab.changes("d"))).toContainEqual({ kind: "A", path: "/etc/hosts" });
  expect(lab.addContainer("e", "image", { volumes: [option("/hosts:/data")] })?.message).toMatch(/not a directory/);
});
