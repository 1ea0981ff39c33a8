/** Documents made to hurt: configurations, manifests, and OCI layouts. */
import type { Content } from "../../sim/core/content.ts";
import { digestOf, digestOfContent } from "../../src/archive/digest.ts";
import * as tar from "../../src/archive/tar-header.ts";
import { nodeHasher } from "../../src/node/digest.ts";
import { archiveOf, BASE, defaultConfig, type HostileCase, layerOf, type Parts } from "./hostile-archive.ts";

function configCase(name: string, code: string | undefined, config: (diffIds: readonly string[]) => string): HostileCase {
  return { name: `config: ${name}`, code, archive: () => archiveOf({ layers: [layerOf(BASE)], config }) };
}

function withRootfs(more: string): (diffIds: readonly string[]) => string {
  return (ids) =>
    `{"created":"2020-01-01T00:00:00Z","os":"linux","rootfs":{"type":"layers","diff_ids":${JSON.stringify(ids)}}${more}}`;
}

function configs(): HostileCase[] {
  const digests = [
    "sha256:ABCDEF",
    `sha256:${"A".repeat(64)}`,
    "sha256:../../../etc/passwd",
    `sha512:${"0".repeat(128)}`,
    "",
    `sha256:${"0".repeat(63)}`,
    `${"0".repeat(64)}`,
  ];
  return [
    configCase("no JSON", "E_IMAGE_JSON", () => "{"),
    configCase("a list", "E_IMAGE_JSON", () => "[]"),
    configCase("null", "E_IMAGE_JSON", () => "null"),
    configCase("a number", "E_IMAGE_JSON", () => "1e400"),
    configCase("no rootfs", "E_IMAGE_JSON", () => "{}"),
    configCase("a rootfs that is a list", "E_IMAGE_JSON", () => '{"rootfs":[]}'),
    configCase("diff_ids of numbers", "E_IMAGE_JSON", () => '{"rootfs":{"diff_ids":[1]}}'),
    configCase("diff_ids that is an object", "E_IMAGE_JSON", () => '{"rootfs":{"diff_ids":{"length":1}}}'),
    ...digests.map((digest) =>
      configCase(`diffID ${digest.slice(0, 30)}`, "E_DIGEST_FORMAT", () => JSON.stringify({ rootfs: { diff_ids: [digest] } })),
    ),
    configCase("another diffID", "E_DIGEST_MISMATCH", () =>
      JSON.stringify({ rootfs: { diff_ids: [`sha256:${"0".repeat(64)}`] } }),
    ),
    configCase("two diffIDs for one layer", "E_IMAGE_LAYERS", ([id]) => JSON.stringify({ rootfs: { diff_ids: [id, id] } })),
    configCase("no diffIDs for one layer", "E_IMAGE_LAYERS", () => '{"rootfs":{"diff_ids":[]}}'),
    configCase("100,000 levels", "E_LIMIT", () => `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`),
    configCase("5 MiB", "E_LIMIT", withRootfs(`,"x":"${"x".repeat(5 * 2 ** 20)}"`)),
    configCase("a byte order mark", "E_IMAGE_JSON", (ids) => `\ufeff${withRootfs("")(ids)}`),
    configCase("a history of more steps than layers", "E_IMAGE_LAYERS", withRootfs(',"history":[{},{}]')),
    configCase("a history of fewer steps than layers", "E_IMAGE_LAYERS", withRootfs(',"history":[{"empty_layer":true}]')),
    configCase("a history of numbers", "E_IMAGE_JSON", withRootfs(',"history":[1]')),
    configCase("a time in words", "E_IMAGE_JSON", withRootfs(',"history":[{"created":"now"}]')),
    configCase(
      "__proto__",
      undefined,
      withRootfs(',"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}'),
    ),
    configCase("a key twice", undefined, withRootfs(',"os":"plan9","os":"linux"')),
    configCase("lone surrogates", undefined, withRootfs(',"author":"\\ud800"')),
    configCase("2^53 + 1", undefined, withRootfs(',"Size":9007199254740993')),
    configCase("2000 layers", "E_LIMIT", ([id]) =>
      JSON.stringify({ rootfs: { diff_ids: new Array<string>(2000).fill(id ?? "") } }),
    ),
  ];
}

function manifestCase(name: string, code: string | undefined, manifest: Parts["manifest"] & {}): HostileCase {
  return { name: `manifest: ${name}`, code, archive: () => archiveOf({ layers: [layerOf(BASE)], manifest }) };
}

function manifests(): HostileCase[] {
  const item = (fields: object): string => JSON.stringify([fields]);
  return [
    manifestCase("no JSON", "E_IMAGE_JSON", () => "[{"),
    manifestCase("an object", "E_FORMAT", () => "{}"),
    manifestCase("an empty list", "E_IMAGE_LAYERS", () => "[]"),
    manifestCase("a list of numbers", "E_IMAGE_JSON", () => "[1]"),
    manifestCase("no fields", "E_IMAGE_MISSING", () => "[{}]"),
    manifestCase("a configuration that is not there", "E_IMAGE_MISSING", () => item({ Config: "nowhere.json", Layers: [] })),
    manifestCase("a configuration that leads out", "E_LAYER_ESCAPE", () => item({ Config: "../../etc/passwd", Layers: [] })),
    manifestCase("a layer that leads out", "E_LAYER_ESCAPE", (Config) => item({ Config, Layers: ["../../../../etc/passwd"] })),
    manifestCase("a layer that is not there", "E_IMAGE_MISSING", (Config) => item({ Config, Layers: ["9/layer.tar"] })),
    manifestCase("no layers", "E_IMAGE_LAYERS", (Config) => item({ Config, Layers: [] })),
    manifestCase("the layer twice", "E_IMAGE_LAYERS", (Config, [layer]) => item({ Config, Layers: [layer, layer] })),
    manifestCase("layers of numbers", "E_IMAGE_JSON", (Config) => item({ Config, Layers: [0] })),
    manifestCase("a configuration for a layer", "E_TAR_TRUNCATED", (Config) => item({ Config, Layers: [Config] })),
    ...["UPPER:1", "a", ":1", "a:", "a:b c", "../a:1", `${"n".repeat(600)}:1`, "a:--x", "a@sha256:0", "\u0000:1", "a\n:1"].map(
      (tag) =>
        manifestCase(`the tag ${JSON.stringify(tag.slice(0, 20))}`, "E_IMAGE_NAME", (Config, Layers) =>
          item({ Config, Layers, RepoTags: [tag] }),
        ),
    ),
    manifestCase("tags that are no list", "E_IMAGE_JSON", (Config, Layers) => item({ Config, Layers, RepoTags: "a:1" })),
    {
      name: "a configuration under another digest's name",
      code: "E_DIGEST_MISMATCH",
      archive: () => archiveOf({ layers: [layerOf(BASE)], configName: `${"0".repeat(64)}.json` }),
    },
    {
      name: "a device in the archive itself",
      code: "E_TAR_TYPE",
      archive: () => archiveOf({ layers: [layerOf(BASE)], more: [{ name: "dev", typeflag: tar.CHARACTER }] }),
    },
    {
      name: "a file twice in the archive itself",
      code: "E_TAR_DUPLICATE",
      archive: () => archiveOf({ layers: [layerOf(BASE)], more: [{ name: "manifest.json", body: "[]" }] }),
    },
    {
      name: "a name that leads out of the archive itself",
      code: "E_LAYER_ESCAPE",
      archive: () => archiveOf({ layers: [layerOf(BASE)], more: [{ name: "../x", body: "" }] }),
    },
    {
      name: "a layer that is a link to the machine's files",
      code: "E_LAYER_ESCAPE",
      archive: () => {
        const config = defaultConfig([digestOfContent(layerOf(BASE), nodeHasher)]);
        const name = `${digestOf(new TextEncoder().encode(config), nodeHasher).slice(7)}.json`;
        return layerOf([
          { name: "l/layer.tar", typeflag: tar.SYMLINK, linkname: "../../../../etc/passwd" },
          { name, body: config },
          { name: "manifest.json", body: JSON.stringify([{ Config: name, Layers: ["l/layer.tar"] }]) },
        ]);
      },
    },
    { name: "an archive of something else", code: "E_FORMAT", archive: () => layerOf(BASE) },
  ];
}

function layoutCase(name: string, code: string | undefined, change: (files: Map<string, string>) => void): HostileCase {
  const archive = (): Content => {
    const layer = layerOf(BASE);
    const files = new Map<string, string>();
    const blob = (text: string): string => {
      const digest = digestOf(new TextEncoder().encode(text), nodeHasher);
      files.set(`blobs/sha256/${digest.slice(7)}`, text);
      return digest;
    };
    const layerText = layer.toText();
    const diffId = blob(layerText);
    const config = defaultConfig([diffId]);
    const configId = blob(config);
    const manifest = JSON.stringify({
      schemaVersion: 2,
      config: { digest: configId, size: config.length },
      layers: [{ digest: diffId, size: layerText.length }],
    });
    const digest = blob(manifest);
    files.set(
      "index.json",
      JSON.stringify({
        schemaVersion: 2,
        manifests: [{ mediaType: "application/vnd.oci.image.manifest.v1+json", digest, size: manifest.length }],
      }),
    );
    files.set("oci-layout", '{"imageLayoutVersion":"1.0.0"}');
    change(files);
    return layerOf([...files].map(([path, body]) => ({ name: path, body })));
  };
  return { name: `OCI layout: ${name}`, code, archive };
}

function layouts(): HostileCase[] {
  const edit = (files: Map<string, string>, name: string, from: string | RegExp, to: string): void =>
    void files.set(name, (files.get(name) ?? "").replace(from, to));
  const blobNamed = (files: Map<string, string>, part: string): string =>
    [...files.keys()].find((name) => name.startsWith("blobs/") && (files.get(name) ?? "").includes(part)) ?? "";
  return [
    layoutCase("as it should be", undefined, () => {}),
    layoutCase("no oci-layout", "E_FORMAT", (files) => void files.delete("oci-layout")),
    layoutCase("version 2", "E_FORMAT", (files) => edit(files, "oci-layout", "1.0.0", "2.0.0")),
    layoutCase("an index of nothing", "E_IMAGE_LAYERS", (files) => void files.set("index.json", "{}")),
    layoutCase("an index that is a list", "E_IMAGE_JSON", (files) => void files.set("index.json", "[]")),
    layoutCase("an index with a manifest's fields", "E_IMAGE_JSON", (files) => edit(files, "index.json", "{", '{"layers":[],')),
    layoutCase("a digest that leads out", "E_DIGEST_FORMAT", (files) =>
      edit(files, "index.json", /sha256:[0-9a-f]{64}/, "sha256:../../../../etc/passwd"),
    ),
    layoutCase("a digest of upper case", "E_DIGEST_FORMAT", (files) =>
      edit(files, "index.json", /sha256:[0-9a-f]{64}/, `sha256:${"A".repeat(64)}`),
    ),
    layoutCase("a blob that is not there", "E_IMAGE_MISSING", (files) =>
      edit(files, "index.json", /sha256:[0-9a-f]{64}/, `sha256:${"0".repeat(64)}`),
    ),
    layoutCase("a wrong size", "E_DIGEST_MISMATCH", (files) => edit(files, "index.json", /"size":\d+/, '"size":1')),
    layoutCase("a negative size", "E_IMAGE_JSON", (files) => edit(files, "index.json", /"size":\d+/, '"size":-1')),
    layoutCase("a size of 2^63", "E_IMAGE_JSON", (files) =>
      edit(files, "index.json", /"size":\d+/, '"size":9223372036854775808'),
    ),
    layoutCase("one byte of a layer changed", "E_DIGEST_MISMATCH", (files) =>
      edit(files, blobNamed(files, "passwd\0"), "root", "r00t"),
    ),
    layoutCase("one byte of the configuration changed", "E_DIGEST_MISMATCH", (files) =>
      edit(files, blobNamed(files, "diff_ids"), "amd64", "arm64"),
    ),
    layoutCase("a media type that makes a manifest an index", "E_IMAGE_JSON", (files) =>
      edit(files, "index.json", "image.manifest", "image.index"),
    ),
    layoutCase("annotations that are a text", "E_IMAGE_JSON", (files) =>
      edit(files, "index.json", '"size"', '"annotations":"x","size"'),
    ),
    layoutCase("a reference with a newline", "E_IMAGE_NAME", (files) =>
      edit(files, "index.json", '"size"', '"annotations":{"org.opencontainers.image.ref.name":"a\\nb"},"size"'),
    ),
  ];
}

/** Cases of documents. */
export function documentCases(): readonly HostileCase[] {
  return [...configs(), ...manifests(), ...layouts()];
}
