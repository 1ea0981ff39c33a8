/**
 * The golden vectors of spec/drivers.md §14.2: identifiers and layers of archives that the real Docker wrote. §14.1 is in ids.test.ts, the table
 * of §14.3 in test/archive/unpack.test.ts.
 */
import { describe, expect, test } from "vitest";
import type { Content } from "../../sim/core/content.ts";
import { digestOfContent } from "../../src/archive/digest.ts";
import { DIRECTORY, REGULAR, REGULAR_OLD, type TarHeader } from "../../src/archive/tar-header.ts";
import { readTar } from "../../src/archive/tar-read.ts";
import { TarWriter } from "../../src/archive/tar-write.ts";
import { chainIds, v1Layers } from "../../src/images/ids.ts";
import { readImages } from "../../src/images/read-images.ts";
import { type SourceImage, verifyLayers } from "../../src/images/source-image.ts";
import { nodeHasher } from "../../src/node/digest.ts";
import { openFiles, readContext, savedArchives, shortName } from "./material.ts";

const BASE = "sha256:23bc2b70b2014dec0ac22f27bb93e9babd08cdd6f1115d0c955b9ff22b382f5a";
const SECOND = "sha256:a65b7d7ac139a0e4337bc3c73ce511f937d6140ef61a0108f7d4b8aab8d67274";

test("v1 IDs of layers below the top need the chain and the daemon's zone alone", () => {
  const chains = chainIds([BASE, SECOND, SECOND], nodeHasher);
  expect(chains[1]).toBe("sha256:feff741eb35964a11ee9328c739beb64f43d0fd1590f0c7e44f69283bd1888ce");
  const idsIn = (zone: string): string[] => v1Layers({}, chains, zone, nodeHasher).map(({ id }) => id);
  expect(idsIn("-05:00").slice(0, 2)).toEqual([
    "28cfe03618aa2e914e81fdd90345245c15f4478e35252c06ca52d238fd3cc694",
    "1871059774abe6914075e4a919b778fa1561f577d620ae52438a9635e6241936",
  ]);
  expect(idsIn("Z").slice(0, 2)).not.toContain("28cfe03618aa2e914e81fdd90345245c15f4478e35252c06ca52d238fd3cc694");
});

async function imagesOf(path: string): Promise<readonly SourceImage[]> {
  return (await readImages(await openFiles(path), readContext())).images;
}

/** A layer written again from what was read of it. */
function rewritten(layer: Content): string {
  const writer = new TarWriter();
  for (const { header, content } of readTar(layer, { mode: "strict" })) writer.add(header, content);
  return digestOfContent(writer.end(), nodeHasher);
}

describe("layers that Docker wrote, written again from their headers, have the same diffIDs", () => {
  test.each(savedArchives())("%s", async (path) => {
    let layers = 0;
    for (const image of await imagesOf(path)) {
      const steps = image.config.history.filter((entry) => !entry.emptyLayer);
      for (const [index, { content, diffId }] of (await verifyLayers(image, readContext())).entries()) {
        // What was imported is a tar of GNU tar, which pads and names owners in its own way.
        if (steps[index]?.createdBy === "") continue;
        expect(rewritten(content)).toBe(diffId);
        layers += 1;
      }
    }
    expect(layers).toBeGreaterThan(0);
  });
});

const old = savedArchives().find((path) => shortName(path).startsWith("docker-18.09"));

describe.skipIf(old === undefined)("the archive of Docker 18.09 (skipped where it does not lie beside the project)", () => {
  const image = async (): Promise<SourceImage> => (await imagesOf(old ?? ""))[0] as SourceImage;

  /** The layer that a step of the history made. */
  async function layerOfStep(command: string): Promise<Content> {
    const { config, layers } = await image();
    const steps = config.history.filter((entry) => !entry.emptyLayer);
    const layer = layers[steps.findIndex(({ createdBy }) => createdBy.includes(command))];
    if (layer === undefined) throw new Error(command);
    return layer;
  }

  const headers = (layer: Content): TarHeader[] => [...readTar(layer, { mode: "strict" })].map(({ header }) => header);
  const shown = (layer: Content): unknown[] => headers(layer).map(({ name, mode, typeflag }) => [name, mode, typeflag]);

  test("its image, layers and v1 IDs are the recorded ones", async () => {
    const { config, zone } = await image();
    expect(config.id).toBe("sha256:75ae28b8ebf89b203319069ddcbecdf5c3838503bbebc0d0d85e4b8589c5de3a");
    expect(config.diffIds.slice(0, 2)).toEqual([BASE, SECOND]);
    expect([config.diffIds.length, zone]).toEqual([14, "-05:00"]);
    const ids = v1Layers(config.record, chainIds(config.diffIds, nodeHasher), zone, nodeHasher).map(({ id }) => id);
    expect(ids.at(-1)).toBe("cfb35bb5c127d848739be5ca726057e6e2c77b2849f588e7aebb642c0d3d4b7b");
  });

  test("a file that was moved is a whiteout and the whole file", async () => {
    const layer = await layerOfStep("mv /root/example/somefile3.txt");
    expect(layer.length).toBe(9728);
    expect(shown(layer)).toEqual([
      ["root/", 0o40700, DIRECTORY],
      ["root/example/", 0o40755, DIRECTORY],
      ["root/example/.wh.somefile3.txt", 0, REGULAR_OLD],
      ["root/saved.txt", 0o100644, REGULAR],
    ]);
    const [, , whiteout, file] = headers(layer);
    expect([whiteout?.size, file?.size]).toEqual([0, 0o14405]);
  });

  test("a removed folder is one whiteout", async () => {
    expect(shown(await layerOfStep("rm -rf /root/example"))).toEqual([
      ["root/", 0o40700, DIRECTORY],
      ["root/.wh.example", 0, REGULAR_OLD],
    ]);
  });

  test("a chmod ships the whole file again, with the folders above it", async () => {
    const layer = headers(await layerOfStep("chmod 444"));
    const file = layer.at(-1);
    expect([file?.typeflag, (file?.mode ?? 0) & 0o777]).toEqual([REGULAR, 0o444]);
    expect(file?.size).toBeGreaterThan(0);
    expect(layer.slice(0, -1).every(({ typeflag }) => typeflag === DIRECTORY)).toBe(true);
  });
});
