/**
 * Images into a driver's stores and out again.
 */

import { readFileSync } from "node:fs";
import { gunzipSync, gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { SYMLINK } from "../../src/archive/tar-header.ts";
import { readTar } from "../../src/archive/tar-read.ts";
import { isDriverError } from "../../src/drivers/driver.ts";
import { DRIVERS } from "../../src/drivers/registry.ts";
import { commitContainer, importRootfs } from "../../src/images/commit.ts";
import { type Daemon, openStores } from "../../src/images/daemon.ts";
import { tarFiles } from "../../src/images/files.ts";
import { loadImages } from "../../src/images/load.ts";
import { readImages } from "../../src/images/read-images.ts";
import { type SaveFormat, savedTar, saveImages } from "../../src/images/save.ts";
import type { SourceArchive } from "../../src/images/source-image.ts";
import { nodeHasher } from "../../src/node/digest.ts";
import { nodeGzip } from "../../src/node/gzip.ts";
import { must } from "../drivers/docker-host.ts";
import { daemonOn, loaded } from "./daemons.ts";
import { layerOf } from "./hostile-archive.ts";
import { allArchives, openFiles, readContext, savedArchives, shortName } from "./material.ts";

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

/** An archive's form does not hang on the driver: each is written from one of them, and one of them from each. */
function formatsOn(driver: string): readonly SaveFormat[] {
  return driver === "overlay2" ? ["docker", "docker-25", "oci"] : ["oci"];
}

describe.each([...DRIVERS.keys()])("%s", (driver) => {
  test.each(allArchives())("%s: in and out again by each format, configurations byte for byte and every diffID", async (path) => {
    const { daemon, archive } = await loaded(path, driver);
    for (const format of formatsOn(driver)) {
      const again = await readImages(tarFiles(saved(daemon, archive, { format }), "strict"), readContext());
      expect(again.images.map((image) => image.config.id).sort()).toEqual(archive.images.map((image) => image.config.id).sort());
      const other = daemonOn(driver);
      must(await loadImages(again, other.images, readContext()));
      expect(other.images.images.map(({ config }) => config.id).sort()).toEqual(
        daemon.images.images.map(({ config }) => config.id).sort(),
      );
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
  must(await loadImages(archive, daemon.images, readContext()));
  expect(daemon.layers.layers.length).toBe(before);
  expect(isDriverError(daemon.images.create(archive.images[0]?.config.raw ?? new Uint8Array(0)))).toBe(false);
});

describe("images of one archive that stand on each other", () => {
  async function saveTwo(): Promise<{ readonly tar: Content; readonly base: string; readonly child: string }> {
    const daemon = daemonOn("vfs");
    const base = must(importRootfs(daemon, layerOf([{ name: "f", body: "x" }])));
    const container = must(daemon.layers.createWritable("c", base.top?.chainId ?? "", { init: true }));
    const child = must(commitContainer(daemon, container, { parent: base, config: { Cmd: ["x"] } }));
    const images = [child, base].map((image) => ({ image, tags: [] }));
    const tar = savedTar(must(saveImages(daemon.images, images, { format: "docker" })));
    return { tar, base: base.config.id, child: child.config.id };
  }

  test("keep their link through an archive", async () => {
    const { tar, base, child } = await saveTwo();
    const files = tarFiles(tar, "strict");
    expect(files.get("manifest.json")?.toText()).toContain(`"Parent":"${base}"`);
    const daemon = daemonOn("overlay2");
    const archive = await readImages(files, readContext());
    const { lines } = must(await loadImages(archive, daemon.images, readContext()));
    expect(lines).toEqual([`Loaded image ID: ${child}`, `Loaded image ID: ${base}`]);
    expect(daemon.images.parentOf(child)).toBe(base);
    expect(daemon.images.parentOf(base)).toBe(undefined);
    daemon.images.check();
  });

  test("are refused where one's history is not the other's and a step more, and nothing stays", async () => {
    const { tar, base, child } = await saveTwo();
    const files = tarFiles(tar, "strict");
    const manifest = JSON.parse(files.get("manifest.json")?.toText() ?? "") as { Config: string; Parent?: string }[];
    const turned = manifest.map((item) =>
      item.Config.startsWith(base.slice(7)) ? { ...item, Parent: child } : { ...item, Parent: undefined },
    );
    const text = Content.text(JSON.stringify(turned));
    const archive = await readImages(
      { names: files.names, get: (name) => (name === "manifest.json" ? text : files.get(name)) },
      readContext(),
    );
    const daemon = daemonOn("overlay2");
    await expect(loadImages(archive, daemon.images, readContext())).rejects.toThrow(
      `image ${child} is not a valid parent for ${base}`,
    );
    expect([daemon.images.images, daemon.layers.layers]).toEqual([[], []]);
  });
});

test("two archives that are loaded at once give what they give one after the other", async () => {
  const [one = "", , other = ""] = savedArchives();
  const layersOf = (daemon: Daemon): string[] => daemon.layers.layers.map(({ chainId, size }) => `${chainId} ${size}`).sort();
  const packed = async (path: string): Promise<SourceArchive> => {
    const archive = await readImages(await openFiles(path), readContext());
    // Packed, so that each layer is waited for.
    const pack = (layer: Content): Content => Content.literal(gzipSync(layer.toBytes()));
    return { ...archive, images: archive.images.map((image) => ({ ...image, layers: image.layers.map(pack) })) };
  };
  const archives = await Promise.all([one, other].map(packed));
  const context = readContext();
  const [together, apart] = [daemonOn("overlay2"), daemonOn("overlay2")];
  for (const archive of archives) must(await loadImages(archive, apart.images, context));
  for (const outcome of await Promise.all(archives.map((archive) => loadImages(archive, together.images, context))))
    must(outcome);
  expect(layersOf(together)).toEqual(layersOf(apart));
  expect(together.images.images.map(({ config }) => config.id).sort()).toEqual(
    apart.images.images.map(({ config }) => config.id).sort(),
  );
  for (const daemon of [together, apart]) {
    daemon.images.check();
    for (const layer of daemon.layers.layers) must(daemon.layers.tarStream(layer));
    for (const { config } of daemon.images.images) must(daemon.images.delete(config.id));
    expect(daemon.layers.layers).toEqual([]);
  }
});
