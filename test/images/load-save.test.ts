/**
 * Images into a driver's stores and out again.
 */

import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { SYMLINK } from "../../src/archive/tar-header.ts";
import { readTar } from "../../src/archive/tar-read.ts";
import { isDriverError } from "../../src/drivers/driver.ts";
import { DRIVERS } from "../../src/drivers/registry.ts";
import { type Daemon, openStores } from "../../src/images/daemon.ts";
import { tarFiles } from "../../src/images/files.ts";
import { loadImages } from "../../src/images/load.ts";
import { readImages, type SourceArchive } from "../../src/images/read-images.ts";
import { type SaveFormat, savedTar, saveImages } from "../../src/images/save.ts";
import { nodeHasher } from "../../src/node/digest.ts";
import { nodeGzip } from "../../src/node/gzip.ts";
import { must } from "../drivers/docker-host.ts";
import { loaded, UPDATED } from "./daemons.ts";
import { allArchives, readContext, savedArchives, shortName } from "./material.ts";

interface Saving {
  readonly format: SaveFormat;
  readonly now?: number;
  readonly owner?: string;
}

function saved(daemon: Daemon, archive: SourceArchive, { format, now = 0, owner }: Saving): Content {
  const images = archive.images.map((source) => {
    const image = daemon.images.get(source.config.id);
    if (image === undefined) throw new Error(`${source.config.id} is not there`);
    return { image, tags: daemon.images.tagsOf(source.config.id) };
  });
  return savedTar(must(saveImages(daemon.images, images, { format, zone: archive.images[0]?.zone ?? "Z", now })), owner);
}

describe.each([...DRIVERS.keys()])("%s", (driver) => {
  test.each(allArchives())("%s: in and out again by each format, configurations byte for byte and every diffID", async (path) => {
    const { daemon, archive } = await loaded(path, driver);
    for (const format of ["docker", "docker-25", "oci"] as const) {
      const again = readImages(tarFiles(saved(daemon, archive, { format }), "strict"), readContext());
      expect(again.images.map((image) => image.config.id).sort()).toEqual(archive.images.map((image) => image.config.id).sort());
      const other = await loaded(path, driver);
      must(await loadImages(again, other.daemon.images, { ...readContext(), updated: UPDATED }));
    }
    daemon.host.check();
  });

  test("deleting the images removes every layer, the topmost first, and what the driver kept of them", async () => {
    const { daemon } = await loaded(savedArchives()[0] ?? "", driver);
    const ids = daemon.layers.layers.map((layer) => layer.cacheId);
    const removed = daemon.images.images.flatMap(({ config }) => must(daemon.images.delete(config.id)));
    expect(removed.map((layer) => layer.cacheId).sort()).toEqual([...ids].sort());
    for (const [index, layer] of removed.entries())
      expect(removed.slice(index + 1)).not.toContain(layer.parent === undefined ? layer : undefined);
    for (const id of ids) expect(daemon.driver.exists(id)).toBe(false);
    daemon.images.check();
  });

  test("a new daemon over the same files has the same images, layers and tags", async () => {
    const { daemon } = await loaded(savedArchives()[0] ?? "", driver);
    const again = openStores(daemon.host, daemon.driver, { newHasher: nodeHasher, gzip: nodeGzip });
    expect(again.layers.layers.map(({ chainId, cacheId, size }) => [chainId, cacheId, size]).sort()).toEqual(
      daemon.layers.layers.map(({ chainId, cacheId, size }) => [chainId, cacheId, size]).sort(),
    );
    expect(again.images.images.map(({ config }) => config.id).sort()).toEqual(
      daemon.images.images.map(({ config }) => config.id).sort(),
    );
    expect([...again.images.tags].sort()).toEqual([...daemon.images.tags].sort());
    again.images.check();
  });
});

test.each(savedArchives())("%s: what we save is the archive that Docker wrote, to the last byte", async (path) => {
  const original = gunzipSync(readFileSync(path));
  const { daemon, archive } = await loaded(path, "overlay2");
  // Linked layers' folders have the time of the saving.
  const outer = [...readTar(Content.literal(original), { mode: "strict" })];
  const linked = outer.find(({ header }) => header.typeflag === SYMLINK)?.header;
  const owner = outer[0]?.header.uname ?? "";
  const ours = saved(daemon, archive, { format: "docker", now: linked?.mtime.seconds ?? 0, owner });
  expect(Buffer.from(ours.toBytes()).equals(original), shortName(path)).toBe(true);
});

test("loading twice adds nothing, and says so of moved tags", async () => {
  const { daemon, archive, lines } = await loaded(savedArchives()[0] ?? "", "overlay2");
  expect(lines.every((line) => line.startsWith("Loaded image: "))).toBe(true);
  const before = daemon.layers.layers.length;
  must(await loadImages(archive, daemon.images, { ...readContext(), updated: UPDATED }));
  expect(daemon.layers.layers.length).toBe(before);
  expect(isDriverError(daemon.images.create(archive.images[0]?.config.raw ?? new Uint8Array(0)))).toBe(false);
});
