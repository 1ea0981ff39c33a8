/**
 * Identifiers, recomputed from the bytes of archives that the real Docker and skopeo wrote.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { digestOfText, portableHasher } from "../../src/archive/digest.ts";
import { DIRECTORY, SYMLINK } from "../../src/archive/tar-header.ts";
import { readTar } from "../../src/archive/tar-read.ts";
import { TarWriter, tarHeader } from "../../src/archive/tar-write.ts";
import { listImages } from "../../src/cli/image.ts";
import { tarFiles } from "../../src/images/files.ts";
import { chainIds, EMPTY_DIFF_ID, v1Layers } from "../../src/images/ids.ts";
import { readImages } from "../../src/images/read-images.ts";
import { verifyLayers } from "../../src/images/source-image.ts";
import { nodeHasher } from "../../src/node/digest.ts";
import { allArchives, openFiles, readContext, SKOPEO_LAYOUT, savedArchives, shortName } from "./material.ts";

describe("archives of docker save", () => {
  test.each(savedArchives())("%s: every v1 ID is the name of its folder, and its file json is what we write", async (path) => {
    const files = await openFiles(path);
    const archive = await readImages(files, readContext());
    const manifest = JSON.parse(files.get("manifest.json")?.toText() ?? "") as { Config: string; Layers: string[] }[];
    for (const [index, image] of archive.images.entries()) {
      const diffIds = (await verifyLayers(image, readContext())).map((layer) => layer.diffId);
      expect(diffIds).toEqual(image.config.diffIds);
      expect(manifest[index]?.Config).toBe(`${image.config.id.slice(7)}.json`);
      const layers = v1Layers(image.config.record, chainIds(diffIds, nodeHasher), image.zone, nodeHasher);
      expect(layers.map(({ id }) => `${id}/layer.tar`)).toEqual(manifest[index]?.Layers);
      for (const { id, json } of layers) expect(json).toBe(files.get(`${id}/json`)?.toText());
    }
  });
});

test.each(allArchives())("image ls --json lists %s with identifiers in Docker's spelling", async (path) => {
  const { images } = JSON.parse(await listImages(path, { json: true })) as { images: Record<string, unknown>[] };
  expect(images.length).toBeGreaterThan(0);
  for (const image of images) {
    expect(Object.keys(image)).toEqual(["id", "tags", "diffIds", "chainIds", "v1Ids"]);
    expect(image["id"]).toMatch(/^sha256:[0-9a-f]{64}$/);
    for (const key of ["diffIds", "chainIds"])
      for (const id of image[key] as string[]) expect(id).toMatch(/^sha256:[0-9a-f]{64}$/);
    for (const id of image["v1Ids"] as string[]) expect(id).toMatch(/^[0-9a-f]{64}$/);
    expect((image["chainIds"] as string[])[0]).toBe((image["diffIds"] as string[])[0]);
  }
});

describe("a folder that an archive was unpacked into", () => {
  const folder = mkdtempSync(join(tmpdir(), "cowlab-unpacked-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  /** Unpacks an archive, its links as links. */
  function unpacked(path: string, name: string): string {
    const root = join(folder, name);
    mkdirSync(root);
    for (const { header, content } of readTar(Content.literal(gunzipSync(readFileSync(path))), { mode: "strict" })) {
      const target = join(root, header.name);
      if (header.typeflag === DIRECTORY) continue;
      mkdirSync(dirname(target), { recursive: true });
      if (header.typeflag === SYMLINK) symlinkSync(header.linkname, target);
      else writeFileSync(target, content.toBytes());
    }
    return root;
  }

  test("has the archive's images; layers that are links to others' are found", async () => {
    const path = savedArchives()[0] ?? "";
    expect(await listImages(unpacked(path, "whole"), { json: true })).toBe(await listImages(path, { json: true }));
  });

  test.each(["/etc/passwd", "../../../../../../etc/passwd"])("gives nothing of what a link to %s leads to", async (target) => {
    const root = unpacked(savedArchives()[0] ?? "", `link-${target.length}`);
    const [{ Layers }] = JSON.parse(readFileSync(join(root, "manifest.json"), "utf8")) as [{ Layers: string[] }];
    const layer = join(root, Layers[0] ?? "");
    rmSync(layer);
    symlinkSync(target, layer);
    await expect(listImages(root, { json: true })).rejects.toThrow(/leads nowhere|is not in the archive/);
  });
});

test("an absolute link leads from the archive's top in mode docker, as the daemon follows it, and nowhere in mode strict", () => {
  const writer = new TarWriter();
  writer.add(tarHeader({ name: "0/layer.tar", size: 1 }), Content.text("x"));
  writer.add(tarHeader({ name: "1/layer.tar", typeflag: SYMLINK, linkname: "/0/layer.tar" }));
  const tar = writer.end();
  expect(tarFiles(tar, "docker").get("1/layer.tar")?.toText()).toBe("x");
  expect(() => tarFiles(tar, "strict").get("1/layer.tar")).toThrow("is a link that leads nowhere");
});

test("skopeo's layout keeps the diffIDs of the archive that it was made of, under another image ID", async () => {
  const layout = await readImages(await openFiles(SKOPEO_LAYOUT), readContext());
  const saved = savedArchives().find((path) => shortName(path) === "save-overlay2.tar.gz") ?? "";
  const archive = await readImages(await openFiles(saved), readContext());
  const built = archive.images.find((image) => image.tags.includes("lab/built:4"));
  expect(layout.images.map((image) => image.config.diffIds.slice(0, 3))).toEqual([built?.config.diffIds.slice(0, 3)]);
  expect(layout.images[0]?.tags).toEqual(["built-4"]);
});

describe("golden vectors (spec/drivers.md §14.1)", () => {
  test.each([portableHasher, nodeHasher])("chains of empty layers", (newHasher) => {
    expect(digestOfText("\0".repeat(1024), newHasher)).toBe(EMPTY_DIFF_ID);
    expect(chainIds([EMPTY_DIFF_ID, EMPTY_DIFF_ID, EMPTY_DIFF_ID], newHasher)).toEqual([
      EMPTY_DIFF_ID,
      "sha256:170b376f64fb30995c140276be3d71dfb256b308d86183ca3b22aa93a79ad548",
      "sha256:7800f80a93336d416612f372faa5f69eb67b353ce6ae9535fa0848f8784c74b1",
    ]);
  });
  test("the OCI's identity vectors", () => {
    expect(chainIds(["sha256:a", "sha256:b", "sha256:c"], nodeHasher).slice(1)).toEqual([
      "sha256:970a948bffa8de94d6e22d747ba8c95030e6e546909f98f54e99a13005e173a8",
      "sha256:dee159b33409cefa3f6eda71539f006014283e9d9130c18a1dea7bd8a33c9b1b",
    ]);
  });
  test("the v1 ID of a base layer depends on the time zone of the daemon", () => {
    const idIn = (zone: string): string | undefined =>
      v1Layers({ created: "2020-01-01T00:00:00Z" }, [EMPTY_DIFF_ID, EMPTY_DIFF_ID], zone, nodeHasher)[0]?.id;
    expect(idIn("Z")).toBe("3bf9dc6ca1042e8f1e9ce7b6a62bbe1ea0c224323b6fbc34e5e5e35905cd4206");
    expect(idIn("-05:00")).not.toBe(idIn("Z"));
  });
});
