/**
 * `docker import`: images made of root filesystems, from archives and from folders.
 */
import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { digestOf } from "../../src/archive/digest.ts";
import { history, importImages, inspect } from "../../src/cli/image-driver.ts";
import { DRIVERS } from "../../src/drivers/registry.ts";
import { nodeHasher } from "../../src/node/digest.ts";
import { material } from "./material.ts";

const folder = mkdtempSync(join(tmpdir(), "cowlab-import-test-"));
afterAll(() => rmSync(folder, { recursive: true }));

const BASE = fileURLToPath(new URL("../data/base.tar.gz", import.meta.url));

interface Imported {
  readonly images: readonly {
    readonly id: string;
    readonly layers: readonly { readonly diffId: string; readonly size: number }[];
  }[];
}

test.each([...DRIVERS.keys()])(
  "%s: the layer has the diffID and, where it is recorded, the size that Docker gave it",
  async (driver) => {
    const { images } = JSON.parse(await importImages(BASE, { driver, json: true })) as Imported;
    const runs = ["vfs", "overlay", "overlay2", "btrfs"];
    const run = runs.includes(driver) ? driver : "vfs";
    const [real] = JSON.parse(readFileSync(material(`run-${run}/image-1.json`), "utf8")) as {
      Size: number;
      RootFS: { Layers: string[] };
    }[];
    expect(images[0]?.layers.map(({ diffId }) => diffId)).toEqual(real?.RootFS.Layers);
    if (runs.includes(driver)) expect(images[0]?.layers[0]?.size).toBe(real?.Size);
  },
);

test("the configuration has an empty container.Config, one step of history, and the comment that Docker gives", async () => {
  const [shown] = JSON.parse(await inspect(BASE, { tag: "lab/base:1" })) as Record<string, unknown>[];
  const [real] = JSON.parse(readFileSync(material("run-overlay2/image-1.json"), "utf8")) as Record<string, unknown>[];
  expect(Object.keys(shown ?? {})).toEqual(Object.keys(real ?? {}));
  expect(shown?.["Comment"]).toBe("Imported from -");
  expect(shown?.["ContainerConfig"]).toEqual(real?.["ContainerConfig"]);
  expect(shown?.["Config"]).toEqual({ ...(real?.["Config"] as object), Cmd: null });
  const [named] = JSON.parse(await inspect(BASE, { tag: "lab/base:1", message: "base" })) as Record<string, unknown>[];
  expect([named?.["Comment"], named?.["RepoTags"]]).toEqual(["base", ["lab/base:1"]]);
  const config = `{"architecture":"amd64","comment":"base","config":CONFIG,"container_config":CONFIG,"created":"2020-09-13T12:26:40Z","docker_version":"20.10.27","history":[{"created":"2020-09-13T12:26:40Z","comment":"base"}],"os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:eabe237754cf9aad571d2cb88d791e1f33079283d05e27ca5cfca4c8df2186be"]}}`;
  const zero = `{"Hostname":"","Domainname":"","User":"","AttachStdin":false,"AttachStdout":false,"AttachStderr":false,"Tty":false,"OpenStdin":false,"StdinOnce":false,"Env":null,"Cmd":null,"Image":"","Volumes":null,"WorkingDir":"","Entrypoint":null,"OnBuild":null,"Labels":null}`;
  expect(named?.["Id"]).toBe(digestOf(new TextEncoder().encode(config.replaceAll("CONFIG", zero)), nodeHasher));
});

test("what is printed is the image's ID alone", async () => {
  expect(await importImages(BASE, {})).toMatch(/^sha256:[0-9a-f]{64}\n$/);
});

describe("a folder", () => {
  test("becomes one layer of its files: types, modes, links, times", async () => {
    const root = join(folder, "root");
    mkdirSync(join(root, "etc"), { recursive: true });
    writeFileSync(join(root, "etc/motd"), "hello");
    linkSync(join(root, "etc/motd"), join(root, "etc/other"));
    symlinkSync("motd", join(root, "etc/link"));
    chmodSync(join(root, "etc/motd"), 0o4711);
    utimesSync(join(root, "etc/motd"), 5, 7);
    const first = JSON.parse(await importImages(root, { json: true, driver: "vfs" })) as Imported;
    expect(first.images[0]?.layers[0]?.size).toBe(5);
    const again = JSON.parse(await importImages(root, { json: true, driver: "zfs" })) as Imported;
    expect(again.images[0]?.layers[0]?.diffId).toBe(first.images[0]?.layers[0]?.diffId);
  });

  test("with a manifest.json of something else is no root filesystem, and is refused", async () => {
    const root = join(folder, "other");
    mkdirSync(root);
    writeFileSync(join(root, "manifest.json"), "{}");
    await expect(importImages(root, {})).rejects.toThrow(/schema version 2/);
  });
});

test("the history shows the comment that docker import gives, in a column of its own", async () => {
  const shown = (await history(BASE, { driver: "vfs" })).split("\n");
  const at = shown.map((line) => line.indexOf("comment")).find((column) => column >= 0);
  expect(shown.filter((line) => line.includes("Imported")).map((line) => line.slice(at))).toEqual(["Imported from -"]);
});

test.each([
  ["hello", "this is no tar archive: the archive ends within a header"],
  ["0".repeat(512), "this is no tar archive: a header's checksum is wrong"],
  ["", "this is empty, and no tar archive"],
])("what is no tar is told as that: case %#", async (text, words) => {
  const file = join(folder, "no-tar");
  writeFileSync(file, text);
  await expect(importImages(file, { driver: "vfs" })).rejects.toThrow(words);
});
