/**
 * More archives made to hurt: those of the forms that newer ones replaced, images as registries have them, and such that are large.
 */
import { gzipSync } from "node:zlib";
import { Content } from "../../sim/core/content.ts";
import { digestOf, digestOfContent } from "../../src/archive/digest.ts";
import { nodeHasher } from "../../src/node/digest.ts";
import { hostileCases } from "./hostile.ts";
import { type HostileCase, layerOf } from "./hostile-archive.ts";

const LAYER = layerOf([{ name: "f", body: "x" }]);

function jsonOf(record: object): string {
  return JSON.stringify({ created: "2015-01-01T00:00:00Z", ...record });
}

/** An archive of images by their folders. */
function legacy(
  name: string,
  code: string | undefined,
  images: Readonly<Record<string, string>>,
  repositories = "{}",
): HostileCase {
  const files = Object.entries(images).flatMap(([id, json]) => [
    { name: `${id}/json`, body: json },
    { name: `${id}/layer.tar`, body: LAYER },
  ]);
  return { name: `before 1.10: ${name}`, code, archive: () => layerOf([...files, { name: "repositories", body: repositories }]) };
}

function legacyCases(): HostileCase[] {
  return [
    legacy("a circle of parents", "E_LIMIT", { a: jsonOf({ parent: "b" }), b: jsonOf({ parent: "a" }) }),
    legacy("a parent elsewhere", "E_LAYER_ESCAPE", { a: jsonOf({ parent: "../../etc" }) }),
    legacy("a parent that is a number", "E_IMAGE_JSON", { a: jsonOf({ parent: 7 }) }),
    legacy("repositories that nest", "E_LIMIT", { a: jsonOf({}) }, `${'{"a":'.repeat(1000)}{}${"}".repeat(1000)}`),
    legacy("a repository __proto__", "E_IMAGE_NAME", { a: jsonOf({}) }, '{"__proto__":{"1":"a"}}'),
    legacy("an image called __proto__", undefined, { ["__proto__"]: jsonOf({ polluted: true }) }),
    legacy("a version of words", undefined, { a: jsonOf({ docker_version: "one.two" }) }),
    legacy("5 MiB of json", "E_LIMIT", { a: jsonOf({ comment: "c".repeat(5 * 2 ** 20) }) }),
  ];
}

/** An image as a registry has it; `change` makes it wrong. */
function registry(name: string, code: string, change: (manifest: Record<string, unknown>) => unknown): HostileCase {
  const archive = (): Content => {
    const config = jsonOf({ os: "linux", rootfs: { type: "layers", diff_ids: [digestOfContent(LAYER, nodeHasher)] } });
    const blobs = [new TextEncoder().encode(config), gzipSync(LAYER.toBytes())];
    const [first, second] = blobs.map((raw) => ({ mediaType: "x", size: raw.length, digest: digestOf(raw, nodeHasher) }));
    const manifest = change({ schemaVersion: 2, config: first, layers: [second] });
    const files = [first, second].map((blob, at) => ({
      name: blob?.digest.slice(7) ?? "",
      body: Content.literal(blobs[at] ?? new Uint8Array(0)),
    }));
    return layerOf([...files, { name: "manifest.json", body: JSON.stringify(manifest) }]);
  };
  return { name: `registry: ${name}`, code, archive };
}

function registryCases(): HostileCase[] {
  return [
    registry("schema version 1", "E_FORMAT", (manifest) => ({ ...manifest, schemaVersion: 1 })),
    registry("a layer twice", "E_IMAGE_LAYERS", (manifest) => ({
      ...manifest,
      layers: [manifest["layers"], manifest["layers"]].flat(),
    })),
    registry("20,000 layers", "E_IMAGE_LAYERS", (manifest) => ({
      ...manifest,
      layers: new Array<unknown>(20_000).fill((manifest["layers"] as unknown[])[0]),
    })),
    registry("the configuration as a layer", "E_TAR_TRUNCATED", (manifest) => ({ ...manifest, layers: [manifest["config"]] })),
    registry("a layer as the configuration", "E_IMAGE_JSON", (manifest) => ({
      ...manifest,
      config: (manifest["layers"] as unknown[])[0],
    })),
    registry("a list that names what is not there", "E_IMAGE_MISSING", (manifest) => ({
      schemaVersion: 2,
      manifests: [manifest["config"]],
    })),
  ];
}

/** A gzip file of many members, each of the same text; what comes out does not cost what a run of zeros costs. */
function members(count: number): Content {
  const text = Content.repeat(Content.pattern(9, 4099).toBytes(), 2 ** 20).toBytes();
  const member = Content.literal(gzipSync(text));
  return Content.concat(new Array<Content>(count).fill(member));
}

/** Indexes of which each names the next a hundred times. */
function indexBomb(): Content {
  const blobs = new Map<string, string>();
  const put = (text: string): object => {
    const digest = digestOf(new TextEncoder().encode(text), nodeHasher);
    blobs.set(`blobs/sha256/${digest.slice(7)}`, text);
    return { mediaType: "application/vnd.oci.image.index.v1+json", digest, size: text.length };
  };
  const indexOf = (one: object): string => JSON.stringify({ schemaVersion: 2, manifests: new Array<object>(100).fill(one) });
  const top = indexOf(put(indexOf(put(indexOf(put('{"manifests":[]}'))))));
  const files = [...blobs].map(([name, body]) => ({ name, body }));
  return layerOf([...files, { name: "index.json", body: top }, { name: "oci-layout", body: '{"imageLayoutVersion":"1.0.0"}' }]);
}

/** Cases that are large themselves, or would be. */
export function largeCases(): readonly HostileCase[] {
  const chain = Object.fromEntries(
    Array.from({ length: 130 }, (_, at) => [`i${at}`, jsonOf(at === 0 ? {} : { parent: `i${at - 1}` })]),
  );
  return [
    legacy("130 images, each on the one before", "E_DRIVER", chain),
    { name: "200 MiB of text in a small file", code: "E_LIMIT", archive: () => members(200) },
    {
      name: "10,000 entries",
      code: undefined,
      archive: () => {
        const layer = layerOf(Array.from({ length: 10_000 }, (_, at) => ({ name: `folder-${at % 7}/file-${at}` })));
        const config = jsonOf({ os: "linux", rootfs: { type: "layers", diff_ids: [digestOfContent(layer, nodeHasher)] } });
        const name = `${digestOf(new TextEncoder().encode(config), nodeHasher).slice(7)}.json`;
        const manifest = JSON.stringify([{ Config: name, Layers: ["l.tar"] }]);
        return layerOf([
          { name: "l.tar", body: layer },
          { name, body: config },
          { name: "manifest.json", body: manifest },
        ]);
      },
    },
    { name: "indexes that name indexes a million times", code: "E_LIMIT", archive: indexBomb },
    {
      name: "one image 1,000 times",
      code: undefined,
      archive: () => {
        const config = jsonOf({ os: "linux", rootfs: { type: "layers", diff_ids: [digestOfContent(LAYER, nodeHasher)] } });
        const name = `${digestOf(new TextEncoder().encode(config), nodeHasher).slice(7)}.json`;
        const manifest = JSON.stringify(new Array<unknown>(1000).fill({ Config: name, Layers: ["l.tar"], RepoTags: ["a:1"] }));
        return layerOf([
          { name: "l.tar", body: LAYER },
          { name, body: config },
          { name: "manifest.json", body: manifest },
        ]);
      },
    },
    {
      name: "a zstd layer that claims a window of 2 GiB",
      code: "E_COMPRESSION",
      archive: () => Content.literal(Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0, 0, 0, 0)),
    },
  ];
}

/** Every case there is. */
export function allHostileCases(): readonly HostileCase[] {
  return [...hostileCases(), ...legacyCases(), ...registryCases(), ...largeCases()];
}
