/**
 * Unpacking layers: the whiteout tables, and there and back again on every driver.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Content } from "../../sim/core/content.ts";
import { createHost } from "../../sim/host.ts";
import type { Task } from "../../sim/vfs/task.ts";
import type { ReadMode } from "../../src/archive/fault.ts";
import { readTar } from "../../src/archive/tar-read.ts";
import { TarWriter, tarHeader } from "../../src/archive/tar-write.ts";
import { unpackLayer } from "../../src/archive/unpack.ts";
import { must } from "../drivers/docker-host.ts";

function tarOf(names: readonly string[]): Content {
  const writer = new TarWriter();
  for (const name of names) writer.add(tarHeader({ name }));
  return writer.end();
}

function unpack(task: Task, tar: Content, mode: ReadMode): void {
  const size = unpackLayer(task, { entries: readTar(tar, { mode }), mode }, "merge");
  if (typeof size !== "number") throw new Error(size.message);
}

function listed(task: Task, folder = ""): string[] {
  return must(task.readdir(folder === "" ? "/" : folder))
    .filter(({ name }) => folder !== "" || name !== "sys")
    .sort((one, other) => (one.name < other.name ? -1 : 1))
    .flatMap(({ name, type }) => {
      const path = `${folder}/${name}`;
      return type === 0o040000 ? [`${path.slice(1)}/`, ...listed(task, path)] : [path.slice(1)];
    });
}

function emptyRoot(): Task {
  const { task } = createHost({ seed: 1 });
  must(task.mkdir("/layer", 0o755));
  return must(task.chroot("/layer"));
}

/** The table of spec/drivers.md §14.3. */
const LAYERS = [
  ".baz bar/ bar/bax bar/bay/ baz foo/ foo/.abc foo/.bcd/ foo/.bcd/a foo/cde/ foo/cde/def foo/cde/efg foo/fgh foobar",
  ".bay .wh.baz foo/ foo/.bce foo/.wh..wh..opq foo/cde/ foo/cde/efg",
  ".bay .wh..baz .wh.foobar foo/ foo/.abc foo/.wh.cde bar/",
  ".abc .wh..wh..opq foobar",
];
const LISTINGS = [
  LAYERS[0] ?? "",
  ".bay .baz bar/ bar/bax bar/bay/ foo/ foo/.bce foo/cde/ foo/cde/efg foobar",
  ".bay bar/ bar/bax bar/bay/ foo/ foo/.abc foo/.bce",
  ".abc foobar",
];

test.each(["strict", "docker"] as const)("the whiteout table of Docker's own tests, mode %s", (mode) => {
  const task = emptyRoot();
  for (const [index, layer] of LAYERS.entries()) {
    unpack(task, tarOf(layer.split(" ")), mode);
    expect(listed(task)).toEqual(LISTINGS[index]?.split(" "));
  }
});

describe("one layer that has a name and its whiteout", () => {
  const orders = [
    ["x", ".wh.x"],
    [".wh.x", "x"],
  ];
  test.each(orders)("strict: %s before %s, the name stays (the OCI's rule)", (...names) => {
    const task = emptyRoot();
    unpack(task, tarOf(["x"]), "strict");
    unpack(task, tarOf(names), "strict");
    expect(listed(task)).toEqual(["x"]);
  });
  test("docker: the later one wins", () => {
    const task = emptyRoot();
    unpack(task, tarOf(["x", ".wh.x"]), "docker");
    expect(listed(task)).toEqual([]);
  });
  test("strict: a folder of both keeps what came with it, and nothing from below, in any order", () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([".wh.d", "d/", "d/new"], { minLength: 3 }), (names) => {
        const task = emptyRoot();
        unpack(task, tarOf(["d/", "d/old"]), "strict");
        unpack(task, tarOf(names), "strict");
        expect(listed(task)).toEqual(["d/", "d/new"]);
      }),
    );
  });
});

test("parents without an entry are made, with mode 0600 over a tree", () => {
  const task = emptyRoot();
  unpack(task, tarOf(["a/b/c"]), "docker");
  expect(must(task.lstat("/a/b")).mode & 0o7777).toBe(0o600);
});

test("names that lead out are held at the root in mode docker", () => {
  const task = emptyRoot();
  unpack(task, tarOf(["../../up", "/abs", "a/../../b"]), "docker");
  expect(listed(task)).toEqual(["abs", "b", "up"]);
});
