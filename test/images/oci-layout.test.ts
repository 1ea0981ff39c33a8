/**
 * OCI image layouts in their forms: folder and archive, indexes of platforms and of indexes, artifacts between the images, layers packed
 * by gzip and zstd.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { digestOf } from "../../src/archive/digest.ts";
import { listImages } from "../../src/cli/image.ts";
import { nodeHasher } from "../../src/node/digest.ts";
import { layerOf } from "./hostile-archive.ts";
import { SKOPEO_LAYOUT } from "./material.ts";

const folder = mkdtempSync(join(tmpdir(), "cowlab-oci-"));
afterAll(() => rmSync(folder, { recursive: true }));

interface Listed {
  readonly id: string;
  readonly tags: readonly string[];
  readonly diffIds: readonly string[];
  readonly chainIds: readonly string[];
  readonly v1Ids: readonly string[];
}

async function ls(path: string): Promise<readonly Listed[]> {
  return (JSON.parse(await listImages(path, { json: true })) as { images: Listed[] }).images;
}

type Descriptor = Readonly<Record<string, unknown>>;
const OCI = "application/vnd.oci.image.";

/** A layout in the making. */
class Layout {
  readonly files = new Map<string, Uint8Array>();

  blob(mediaType: string, raw: Uint8Array | string, more: Descriptor = {}): Descriptor {
    const bytes = typeof raw === "string" ? new TextEncoder().encode(raw) : raw;
    const digest = digestOf(bytes, nodeHasher);
    this.files.set(`blobs/sha256/${digest.slice(7)}`, bytes);
    return { mediaType: OCI + mediaType, digest, size: bytes.length, ...more };
  }

  /** An image of one layer. */
  image(architecture: string, pack: (tar: Uint8Array) => Uint8Array, more: Descriptor = {}): Descriptor {
    const tar = layerOf([{ name: architecture, body: "x" }]).toBytes();
    const config = { architecture, os: "linux", rootfs: { type: "layers", diff_ids: [digestOf(tar, nodeHasher)] } };
    const manifest = {
      schemaVersion: 2,
      config: this.blob("config.v1+json", JSON.stringify(config)),
      layers: [this.blob("layer.v1.tar", pack(tar))],
    };
    return this.blob("manifest.v1+json", JSON.stringify(manifest), { platform: { os: "linux", architecture }, ...more });
  }

  index(manifests: readonly Descriptor[], more: Descriptor = {}): Descriptor {
    return this.blob("index.v1+json", JSON.stringify({ schemaVersion: 2, manifests }), more);
  }

  /** Writes it as a folder. @returns the folder, and the same as an archive */
  write(name: string, manifests: readonly Descriptor[]): readonly [string, string] {
    this.files.set("index.json", new TextEncoder().encode(JSON.stringify({ schemaVersion: 2, manifests })));
    this.files.set("oci-layout", new TextEncoder().encode('{"imageLayoutVersion":"1.0.0"}'));
    const root = join(folder, name);
    for (const [path, raw] of this.files) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), raw);
    }
    const entries = [...this.files].map(([path, raw]) => ({ name: path, body: Content.literal(raw) }));
    writeFileSync(`${root}.tar`, layerOf(entries).toBytes());
    return [root, `${root}.tar`];
  }
}

const plain = (tar: Uint8Array): Uint8Array => tar;
const named = (name: string): Descriptor => ({ annotations: { "org.opencontainers.image.ref.name": name } });

test("skopeo's layout is the same as an archive and as a folder", async () => {
  const root = join(folder, "skopeo");
  mkdirSync(root);
  execFileSync("tar", ["-xzf", SKOPEO_LAYOUT, "-C", root]);
  const inner = execFileSync("find", [root, "-name", "oci-layout"], { encoding: "utf8" }).trim();
  const listed = await ls(dirname(inner));
  expect(listed).toEqual(await ls(SKOPEO_LAYOUT));
  expect(listed[0]?.diffIds).toHaveLength(4);
});

test.each([
  ["amd64", "arm64"],
  ["arm64", "amd64"],
])("of an index of platforms of which %s alone was pulled, that image is listed, with the name", async (pulled, other) => {
  const layout = new Layout();
  const elsewhere = new Layout().image(other, plain);
  const paths = layout.write(`pulled-${pulled}`, [layout.index([elsewhere, layout.image(pulled, plain)], named("lab/multi:1"))]);
  for (const path of paths) expect((await ls(path)).map(({ tags }) => tags)).toEqual([["lab/multi:1"]]);
});

test("of an index of platforms every image is listed, and the name is that of the host's own", async () => {
  const layout = new Layout();
  const platforms = ["arm64", "amd64", "riscv64"].map((architecture) => layout.image(architecture, plain));
  const paths = layout.write("platforms", [layout.index(platforms, named("lab/multi:1"))]);
  for (const path of paths) {
    const listed = await ls(path);
    expect(listed.map(({ tags }) => tags)).toEqual([[], ["lab/multi:1"], []]);
    expect(new Set(listed.map(({ id }) => id)).size).toBe(3);
    for (const { diffIds, chainIds, v1Ids } of listed) {
      expect(chainIds).toEqual(diffIds);
      expect(v1Ids[0]).toMatch(/^[0-9a-f]{64}$/);
    }
  }
});

test("indexes in indexes are followed, and a name goes down to the image", async () => {
  const layout = new Layout();
  const inner = layout.index([layout.image("amd64", plain)]);
  const [path] = layout.write("nested", [
    layout.index([inner], named("lab/deep:1")),
    layout.image("s390x", plain, named("other:2")),
  ]);
  expect((await ls(path)).map(({ tags }) => tags)).toEqual([["lab/deep:1"], ["other:2"]]);
});

test("attestations of builds and artifacts are no images", async () => {
  const layout = new Layout();
  const attestation = { annotations: { "vnd.docker.reference.type": "attestation-manifest" }, platform: { os: "unknown" } };
  const statement = layout.blob("layer.v1.tar", '{"_type":"https://in-toto.io/Statement/v0.1"}');
  const config = layout.blob("config.v1+json", JSON.stringify({ rootfs: { type: "layers", diff_ids: [statement["digest"]] } }));
  const about = layout.blob("manifest.v1+json", JSON.stringify({ schemaVersion: 2, config, layers: [statement] }), attestation);
  const empty = { ...layout.blob("x", "{}"), mediaType: "application/vnd.oci.empty.v1+json" };
  const artifact = layout.blob("manifest.v1+json", JSON.stringify({ schemaVersion: 2, config: empty, layers: [empty] }));
  const [path] = layout.write("attested", [layout.index([layout.image("amd64", plain), about], named("a:1")), artifact]);
  expect((await ls(path)).map(({ tags }) => tags)).toEqual([["a:1"]]);
});

describe("packed layers have the diffIDs of what is in them", () => {
  test("gzip", async () => {
    const layout = new Layout();
    const other = new Layout();
    const [packed] = layout.write("gzip", [layout.image("amd64", (tar) => gzipSync(tar))]);
    const [unpacked] = other.write("plain", [other.image("amd64", plain)]);
    expect(await ls(packed)).toEqual(await ls(unpacked));
  });

  test.skipIf(spawnSync("zstd", ["--version"]).status !== 0)(
    "zstd (skipped where the machine has none to pack with)",
    async () => {
      const layout = new Layout();
      const other = new Layout();
      const zstd = (tar: Uint8Array): Uint8Array => execFileSync("zstd", ["-q", "-c"], { input: tar });
      const [packed] = layout.write("zstd", [layout.image("amd64", zstd)]);
      const [unpacked] = other.write("plain-2", [other.image("amd64", plain)]);
      expect(await ls(packed)).toEqual(await ls(unpacked));
    },
  );
});
