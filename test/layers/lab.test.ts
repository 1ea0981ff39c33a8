import { expect, test } from "vitest";
import { perform } from "../../src/calls/perform.ts";
import { LabError } from "../../src/layers/lab.ts";
import { labOn, must } from "../drivers/docker-host.ts";

test("a layer is sealed when something is put over it: its process ends, its union is unmounted", () => {
  const lab = labOn("overlay2");
  must(lab.addLayer("base"));
  must(lab.addLayer("layer", "base"));
  const session = must(lab.session("layer"));
  expect(must(lab.session("layer"))).toBe(session);
  expect(lab.host.mountedBelow(lab.driver.home)).toHaveLength(1);
  must(lab.addContainer("container", "layer"));
  expect(lab.host.mountedBelow(lab.driver.home)).toEqual([must(lab.pathOf("container"))]);
  expect(lab.driver.metadata(lab.idOf("container"))).toMatchObject({ MergedDir: must(lab.pathOf("container")) });
});

test("a sealed layer can be read again, and not written", () => {
  const lab = labOn("overlay2");
  must(lab.addLayer("base"));
  must(lab.addLayer("layer", "base"));
  must(lab.addContainer("container", "layer"));
  expect(perform(must(lab.session("layer")), { call: "mkdir", path: "/d" })).toEqual({ errno: "EROFS" });
});

test("a process sees its tree as the root: an absolute link and .. stay in it", () => {
  const lab = labOn("vfs");
  must(lab.addLayer("base"));
  const session = must(lab.session("base"));
  perform(session, { call: "mkdir", path: "/d" });
  perform(session, { call: "symlink", target: "/d", path: "/l" });
  expect(perform(session, { call: "stat", path: "/l/../../../d" })).toMatchObject({ value: { type: "dir" } });
  expect(perform(session, { call: "stat", path: "/var/lib/docker" })).toEqual({ errno: "ENOENT" });
});

test("the upper folder shows whiteouts and marks; a driver without one shows nothing", () => {
  const lab = labOn("overlay2");
  must(lab.addLayer("base"));
  const base = must(lab.session("base"));
  for (const path of ["/gone", "/again"]) perform(base, { call: "mkdir", path });
  must(lab.addContainer("c", "base"));
  const session = must(lab.session("c"));
  for (const path of ["/gone", "/again"]) perform(session, { call: "rmdir", path });
  perform(session, { call: "mkdir", path: "/again" });
  expect(lab.upper("c")).toEqual([
    ["/again", "dir", { opaque: "y" }],
    ["/gone", "whiteout"],
  ]);
  const copies = labOn("vfs");
  must(copies.addLayer("base"));
  expect(copies.upper("base")).toBeUndefined();
});

test("a raw layer is written in its own folder: what is laid there by hand acts in the union above", () => {
  const lab = labOn("overlay2");
  must(lab.addLayer("base"));
  perform(must(lab.session("base")), { call: "mkdir", path: "/d" });
  must(lab.addLayer("raw", "base", { raw: true }));
  const raw = must(lab.session("raw"));
  expect(perform(raw, { call: "stat", path: "/d" })).toEqual({ errno: "ENOENT" });
  expect(perform(raw, { call: "mknod", path: "/d", type: "char", mode: "0000", rdev: [0, 0] })).toEqual({ ok: true });
  must(lab.addContainer("c", "raw"));
  expect(perform(must(lab.session("c")), { call: "stat", path: "/d" })).toEqual({ errno: "ENOENT" });
});

test("a removed container leaves nothing on disk, and its name can be used again", () => {
  const lab = labOn("overlay2");
  must(lab.addLayer("base"));
  must(lab.addContainer("c", "base"));
  must(lab.session("c"));
  const id = lab.idOf("c");
  must(lab.remove("c"));
  expect(lab.driver.exists(id)).toBe(false);
  must(lab.addContainer("c", "base"));
  expect(lab.names).toEqual(["base", "c"]);
  lab.end();
  lab.host.check();
});

test("names that are not there or are taken are a mistake of the scenario", () => {
  const lab = labOn("vfs");
  must(lab.addLayer("base"));
  expect(() => lab.addLayer("base")).toThrow(new LabError("there is a layer or container base already"));
  expect(() => lab.addContainer("c", "no")).toThrow(new LabError("there is no layer or container no"));
  expect(() => lab.session("no")).toThrow(new LabError("there is no layer or container no"));
  expect(() => lab.addLayer("raw", "base", { raw: true })).toThrow(new LabError("vfs has no raw layers"));
});

test("ids are 64 hexadecimal digits that come from the host's seed", () => {
  const ids = [labOn("vfs"), labOn("vfs")].map((lab) => {
    must(lab.addLayer("base"));
    return lab.idOf("base");
  });
  expect(ids[0]).toMatch(/^[0-9a-f]{64}$/);
  expect(ids[0]).toBe(ids[1]);
});
