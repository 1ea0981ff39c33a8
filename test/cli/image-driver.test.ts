/** Which image of an archive is told of, and which are refused (docker load of 20.10.24). */
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { listImages } from "../../src/cli/image.ts";
import { importImages, inspect, tree } from "../../src/cli/image-driver.ts";
import { exportImages } from "../../src/cli/image-export.ts";
import { commitContainer, importRootfs } from "../../src/images/commit.ts";
import { savedTar, saveImages } from "../../src/images/save.ts";
import { must } from "../drivers/docker-host.ts";
import { daemonOn } from "../images/daemons.ts";
import { archiveOf, defaultConfig, layerOf } from "../images/hostile-archive.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "cowlab-image-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const idIn = (text: string): string => (JSON.parse(text) as { Id: string }[])[0]?.Id ?? "";

/** An archive of an image without a name and one with, on top of it. */
function twoImages(): { readonly path: string; readonly base: string; readonly child: string } {
  const daemon = daemonOn("vfs");
  const base = must(importRootfs(daemon, layerOf([{ name: "f", body: "x" }])));
  const container = must(daemon.layers.createWritable("c", base.top?.chainId ?? "", { init: true }));
  const child = must(commitContainer(daemon, container, { parent: base, config: { Cmd: ["x"] } }));
  const images = [
    { image: base, tags: [] },
    { image: child, tags: ["docker.io/library/app:1"] },
  ];
  const path = join(folder, "two.tar");
  writeFileSync(path, savedTar(must(saveImages(daemon.images, images, { format: "docker" }))).toBytes());
  return { path, base: base.config.id, child: child.config.id };
}

test("by default the first image with a name is told of, else the one that is asked for, by the beginning of its ID too", async () => {
  const { path, base, child } = twoImages();
  expect(idIn(await inspect(path, {}))).toBe(child);
  expect(idIn(await inspect(path, { image: "app:1" }))).toBe(child);
  expect(idIn(await inspect(path, { image: base.slice(7, 19) }))).toBe(base);
  expect(idIn(await inspect(path, { image: base.slice(0, 19) }))).toBe(base);
  await expect(inspect(path, { image: "sha256:" })).rejects.toThrow('no image of the archive is called "sha256:"');
});

test("images are named as Docker names them", async () => {
  const { path, base } = twoImages();
  expect(await importImages(path, {})).toBe(`Loaded image ID: ${base}\nLoaded image: app:1\n`);
});

test.each([
  ['"os":"windows"', "cannot load windows image on linux"],
  ['"os":"linux","created":"yesterday"', '"yesterday" is no time'],
])("an image with %s is refused", async (keys, words) => {
  const path = join(folder, "odd.tar");
  const config = (diffIds: readonly string[]): string =>
    JSON.stringify({ ...JSON.parse(defaultConfig(diffIds)), ...JSON.parse(`{${keys}}`) });
  writeFileSync(path, archiveOf({ layers: [layerOf([{ name: "f" }])], config }).toBytes());
  for (const mode of ["strict", "docker"] as const) await expect(importImages(path, { mode })).rejects.toThrow(words);
});

test("a name that docker load gives has no time, and one that docker import gives has", async () => {
  const timeIn = async (path: string, tag?: string): Promise<string | undefined> =>
    (JSON.parse(await inspect(path, tag === undefined ? {} : { tag })) as { Metadata: { LastTagTime: string } }[])[0]?.Metadata
      .LastTagTime;
  expect(await timeIn(twoImages().path)).toBe("0001-01-01T00:00:00Z");
  const rootfs = join(folder, "rootfs.tar");
  writeFileSync(rootfs, layerOf([{ name: "f", body: "x" }]).toBytes());
  expect(await timeIn(rootfs, "app:1")).toMatch(/^2\d{3}-/);
});

test("the tree is a list of layers as JSON, each with the one below it and the images that end there", async () => {
  const path = join(folder, "layers.tar");
  writeFileSync(path, archiveOf({ layers: [layerOf([{ name: "a" }]), layerOf([{ name: "b" }])] }).toBytes());
  const told = JSON.parse(await tree(path, { json: true })) as {
    layers: { chainId: string; parent: unknown; images: string[] }[];
  };
  expect(told.layers.map(({ images }) => images)).toEqual([[], ["hostile:1"]]);
  expect(told.layers.map(({ parent }) => parent)).toEqual([null, told.layers[0]?.chainId]);
});

test("an OCI layout goes into a folder where the path ends in / or is one, and holds what its archive holds", async () => {
  const { path } = twoImages();
  const at = (name: string): string => join(folder, name);
  mkdirSync(at("there"));
  for (const output of [`${at("new")}/`, at("there"), at("layout.tar")]) await exportImages(path, { output, format: "oci" });
  const listed = await listImages(at("layout.tar"), { json: true });
  for (const name of ["new", "there"]) expect(await listImages(at(name), { json: true })).toBe(listed);
  await expect(exportImages(path, { output: `${at("docker")}/`, format: "docker" })).rejects.toThrow("no such file or directory");
});

test.skipIf(process.platform === "win32")("an archive comes through a pipe as it comes from a file", async () => {
  const { path } = twoImages();
  const pipe = join(folder, "pipe");
  execFileSync("mkfifo", [pipe]);
  const writer = spawn("cp", [path, pipe]);
  expect(await listImages(pipe, {})).toBe(await listImages(path, {}));
  writer.kill();
});

test("an image without layers has no list of them", async () => {
  const path = join(folder, "none.tar");
  writeFileSync(path, archiveOf({ layers: [] }).toBytes());
  expect((JSON.parse(await inspect(path, { mode: "docker" })) as { RootFS: unknown }[])[0]?.RootFS).toEqual({ Type: "layers" });
});
