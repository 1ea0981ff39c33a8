/**
 * Other programs as judges of what we write from each driver's stores: skopeo and umoci (skipped, and said so, where they are not), and tar.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { Content } from "../../sim/core/content.ts";
import { DIRECTORY } from "../../src/archive/tar-header.ts";
import { readTar } from "../../src/archive/tar-read.ts";
import { DRIVERS } from "../../src/drivers/registry.ts";
import { savedTar, saveImages } from "../../src/images/save.ts";
import { must } from "../drivers/docker-host.ts";
import { loaded } from "./daemons.ts";
import { material } from "./material.ts";

function has(program: string): boolean {
  return spawnSync(program, ["--version"], { encoding: "utf8" }).status === 0;
}

const drivers = [...DRIVERS.keys()];
const folder = mkdtempSync(join(tmpdir(), "cowlab-tools-"));
afterAll(() => rmSync(folder, { recursive: true }));

interface Layout {
  readonly path: string;
  readonly id: string;
  readonly tar: Content;
}

/** An OCI layout of lab/app:2, laid out as a folder. */
async function laidOut(driver: string): Promise<Layout> {
  const { daemon } = await loaded(material("save-overlay2.tar.gz"), driver);
  const image = daemon.images.get("lab/app:2");
  if (image === undefined) throw new Error("no image");
  const tar = savedTar(must(saveImages(daemon.images, [{ image, tags: ["lab/app:2"] }], { format: "oci" })));
  const path = mkdtempSync(join(folder, "layout-"));
  for (const { header, content } of readTar(tar, { mode: "strict" })) {
    if (header.typeflag === DIRECTORY) continue;
    mkdirSync(dirname(join(path, header.name)), { recursive: true });
    writeFileSync(join(path, header.name), content.toBytes());
  }
  return { path, id: image.config.id, tar };
}

const layouts = new Map<string, Promise<Layout>>();

/** The same, made once for each driver: no program changes it. */
function layout(driver: string): Promise<Layout> {
  const made = layouts.get(driver) ?? laidOut(driver);
  layouts.set(driver, made);
  return made;
}

describe.skipIf(!has("skopeo"))("skopeo (skipped where it is not installed)", () => {
  test.each(drivers)("inspects our layout, and finds the image's own layers: %s", async (driver) => {
    const { path, id } = await layout(driver);
    const raw = execFileSync("skopeo", ["inspect", "--raw", `oci:${path}:2`], { encoding: "utf8" });
    expect((JSON.parse(raw) as { config: { digest: string } }).config.digest).toBe(id);
    const shown = JSON.parse(execFileSync("skopeo", ["inspect", `oci:${path}:2`], { encoding: "utf8" })) as { Layers: string[] };
    expect(shown.Layers.length).toBe(2);
  });
});

describe.skipIf(!has("umoci") || process.getuid?.() !== 0)("umoci (skipped where it is not installed)", () => {
  test.each(drivers)("unpacks our layout: %s", async (driver) => {
    const { path } = await layout(driver);
    const bundle = join(folder, `bundle-${driver}`);
    execFileSync("umoci", ["unpack", "--image", `${path}:2`, bundle]);
    expect(readdirSync(join(bundle, "rootfs", "app")).sort()).toEqual(["lib", "liba", "pipe", "run", "run2"]);
  });
});

describe.skipIf(!has("tar"))("tar (skipped where it is not installed)", () => {
  test.each(drivers)("lists every name of an archive that we saved, and complains of nothing: %s", async (driver) => {
    const { tar } = await layout(driver);
    const { stdout, stderr, status } = spawnSync("tar", ["-tvf", "-"], { input: tar.toBytes(), encoding: "utf8" });
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout.trimEnd().split("\n").length).toBe([...readTar(tar, { mode: "strict" })].length);
  });
});
