/**
 * Archives in the form before Docker 1.10: each layer's folder is an image. What newer versions save has those folders too; without its
 * lists it is such an archive.
 */
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { ArchiveFault } from "../../src/archive/fault.ts";
import { DRIVERS } from "../../src/drivers/registry.ts";
import type { ImageFiles } from "../../src/images/files.ts";
import { chainIds, EMPTY_DIFF_ID } from "../../src/images/ids.ts";
import { loadImages } from "../../src/images/load.ts";
import { readImages } from "../../src/images/read-images.ts";
import type { SourceArchive } from "../../src/images/source-image.ts";
import { nodeHasher } from "../../src/node/digest.ts";
import { must } from "../drivers/docker-host.ts";
import { daemonOn } from "./daemons.ts";
import { layerOf } from "./hostile-archive.ts";
import { material, openFiles, readContext } from "./material.ts";

function filesOf(files: Readonly<Record<string, string | Content>>): ImageFiles {
  const contents = new Map(
    Object.entries(files).map(([name, body]) => [name, typeof body === "string" ? Content.text(body) : body]),
  );
  return { names: [...contents.keys()].sort(), get: (name) => contents.get(name) };
}

const BASE = "b".repeat(64);
const TOP = "a".repeat(64);

/** Two images as Docker 1.9 saved them, the upper one first by name. */
function twoImages(change: Readonly<Record<string, string | Content | undefined>> = {}): ImageFiles {
  const files: Record<string, string | Content | undefined> = {
    [`${BASE}/VERSION`]: "1.0",
    [`${BASE}/json`]: `{"id":"${BASE}","created":"2015-11-01T10:00:00.5Z","container_config":{"Cmd":["/bin/sh","-c","#(nop) ADD file"]},"docker_version":"1.9.1","architecture":"amd64","os":"linux","Size":5}`,
    [`${BASE}/layer.tar`]: layerOf([{ name: "etc/motd", body: "hello" }]),
    [`${TOP}/VERSION`]: "1.0",
    [`${TOP}/json`]: `{"id":"${TOP}","parent":"${BASE}","created":"2015-11-01T10:00:01Z","author":"me","container_config":{"Cmd":["run","it"]},"docker_version":"1.9.1","architecture":"amd64","os":"linux","throwaway":true}`,
    [`${TOP}/layer.tar`]: layerOf([]),
    repositories: `{"lab/app":{"1":"${TOP}","base":"${BASE}"}}`,
    ...change,
  };
  return filesOf(Object.fromEntries(Object.entries(files).filter(([, body]) => body !== undefined)) as Record<string, string>);
}

function read(files: ImageFiles): Promise<SourceArchive> {
  return readImages(files, readContext());
}

test("a configuration is the v1 image's JSON less the names, with layers and history, keys sorted", async () => {
  const { format, images } = await read(twoImages());
  expect(format).toBe("legacy-archive");
  const [base, top] = images;
  expect(images.map(({ tags }) => tags)).toEqual([["lab/app:base"], ["lab/app:1"]]);
  const diffId = base?.config.diffIds[0] ?? "";
  expect(new TextDecoder().decode(base?.config.raw)).toBe(
    `{"architecture":"amd64","container_config":{"Cmd":["/bin/sh","-c","#(nop) ADD file"]},"created":"2015-11-01T10:00:00.5Z","docker_version":"1.9.1","history":[{"created":"2015-11-01T10:00:00.5Z","created_by":"/bin/sh -c #(nop) ADD file"}],"os":"linux","rootfs":{"type":"layers","diff_ids":["${diffId}"]}}`,
  );
  expect(top?.config.diffIds).toEqual([diffId, EMPTY_DIFF_ID]);
  expect(top?.config.history).toHaveLength(2);
  expect(top?.config.history[1]).toMatchObject({ createdBy: "run it", author: "me", emptyLayer: false });
  expect(top?.parent).toBe(base?.config.id);
});

test.each([...DRIVERS.keys()])(
  "%s: the images are loaded, parents first, linked and named; nothing is printed",
  async (driver) => {
    const daemon = daemonOn(driver);
    const { lines } = must(await loadImages(await read(twoImages()), daemon.images, readContext()));
    expect(lines).toEqual([]);
    const [top, base] = ["lab/app:1", "lab/app:base"].map((name) => daemon.images.get(name));
    expect(daemon.images.parentOf(top?.config.id ?? "")).toBe(base?.config.id);
    expect(top?.top?.chainId).toBe(chainIds(top?.config.diffIds ?? [], nodeHasher).at(-1));
    expect(top?.top?.parent).toBe(base?.top);
    daemon.images.check();
  },
);

test("an archive of Docker 20.10 without its lists has an image a folder, with the layers that the lists name", async () => {
  const whole = await openFiles(material("save-vfs.tar.gz"));
  const listed = (await read(whole)).images;
  const names = whole.names.filter((name) => !/^(?:manifest\.json|[0-9a-f]{64}\.json)$/.test(name));
  const { images } = await read({ names, get: (name) => (names.includes(name) ? whole.get(name) : undefined) });
  expect(images).toHaveLength(5);
  for (const { tags, config } of listed) {
    const image = images.find((one) => one.tags.join() === tags.join());
    expect(image?.config.diffIds).toEqual(config.diffIds);
    expect(image?.config.record["config"]).toEqual(config.record["config"]);
  }
  const daemon = daemonOn("overlay2");
  must(await loadImages({ format: "legacy-archive", images }, daemon.images, readContext()));
  expect(daemon.layers.layers).toHaveLength(4);
  daemon.images.check();
});

describe("what does not fit together is refused", () => {
  const json = (record: object): string => JSON.stringify({ created: "2015-11-01T10:00:00Z", ...record });
  test.each([
    ["a name for no image", { repositories: `{"a":{"1":"${"c".repeat(64)}"}}` }, "E_IMAGE_MISSING"],
    ["a parent that is not there", { [`${TOP}/json`]: json({ parent: "c".repeat(64) }) }, "E_IMAGE_MISSING"],
    ["a layer that is not there", { [`${TOP}/layer.tar`]: undefined }, "E_IMAGE_MISSING"],
    ["parents in a circle", { [`${BASE}/json`]: json({ parent: TOP }) }, "E_LIMIT"],
    ["an image that is its own parent", { [`${TOP}/json`]: json({ parent: TOP }) }, "E_LIMIT"],
    ["a parent that leads out", { [`${TOP}/json`]: json({ parent: "../../etc" }) }, "E_IMAGE_MISSING"],
    ["a json that is none", { [`${TOP}/json`]: "{" }, "E_IMAGE_JSON"],
    ["names that are no names", { repositories: `{"A B":{"1":"${TOP}"}}` }, "E_IMAGE_NAME"],
    ["a repository that is no object", { repositories: '{"a":7}' }, "E_IMAGE_JSON"],
    ["a time that is none", { [`${TOP}/json`]: json({ created: "yesterday" }) }, "E_IMAGE_JSON"],
  ] as const)("%s", async (_, change, code) => {
    const outcome = await read(twoImages(change)).catch((error: unknown) => error);
    expect(outcome instanceof ArchiveFault ? outcome.code : outcome).toBe(code);
  });
});
