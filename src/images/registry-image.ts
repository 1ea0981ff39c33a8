/**
 * An image as a registry has it: a manifest, the configuration and the layers' files by their digests (moby vendor distribution/manifest/schema2;
 * spec/drivers.md §10.1), in a folder as skopeo's transport `dir` lays them out: `version`, `manifest.json`, and each blob under its
 * hexadecimal digits.
 */
import { digestHex, digestOf, digestOfContent } from "../archive/digest.ts";
import { ArchiveFault } from "../archive/fault.ts";
import { CONFIG_MAX, readConfig } from "./config.ts";
import { type ImageFiles, requireBytes, requireFile } from "./files.ts";
import { fieldOf, type JsonRecord, listOf, readRecord } from "./go-json.ts";
import { type Descriptor, descriptorOf } from "./oci-layout.ts";
import { checkCounts, type ReadContext, type SourceImage } from "./source-image.ts";

/** Media types of Docker's distribution manifest, version 2, schema 2. */
const SCHEMA2 = {
  manifest: "application/vnd.docker.distribution.manifest.v2+json",
  config: "application/vnd.docker.container.image.v1+json",
  layer: "application/vnd.docker.image.rootfs.diff.tar.gzip",
} as const;

/** What a manifest says of a blob. */
export type BlobName = Pick<Descriptor, "digest" | "size">;

/** The manifest's bytes as Docker writes and hashes them: fields in the struct's order, indented by three spaces. */
export function encodeSchema2(config: BlobName, layers: readonly BlobName[]): Uint8Array {
  const named = (mediaType: string, { size, digest }: BlobName): object => ({ mediaType, size, digest });
  const manifest = {
    schemaVersion: 2,
    mediaType: SCHEMA2.manifest,
    config: named(SCHEMA2.config, config),
    layers: layers.map((layer) => named(SCHEMA2.layer, layer)),
  };
  return new TextEncoder().encode(JSON.stringify(manifest, null, 3));
}

/** Reads the image that a manifest names; of a list, each of its images. @throws ArchiveFault */
export function readRegistryImages(files: ImageFiles, manifest: JsonRecord, context: ReadContext): SourceImage[] {
  if (fieldOf(manifest, "schemaVersion") !== 2) throw new ArchiveFault("E_FORMAT", "the manifest is not one of schema version 2");
  if (fieldOf(manifest, "manifests") === undefined) return [imageOf(files, manifest, context)];
  return listOf(manifest, "manifests", "manifest.json").map((value) => {
    const { digest } = descriptorOf(value, "manifest.json");
    const raw = requireBytes(files, `${digestHex(digest)}.manifest.json`, CONFIG_MAX);
    checkDigest(digest, digestOf(raw, context.newHasher));
    return imageOf(files, readRecord(raw, "manifest"), context);
  });
}

function imageOf(files: ImageFiles, manifest: JsonRecord, context: ReadContext): SourceImage {
  const { newHasher } = context;
  const named = descriptorOf(fieldOf(manifest, "config") ?? null, "manifest.json");
  const config = readConfig(requireBytes(files, digestHex(named.digest), CONFIG_MAX), newHasher);
  checkDigest(named.digest, config.id);
  const blobs = listOf(manifest, "layers", "manifest.json").map((value) => descriptorOf(value, "manifest.json"));
  checkCounts(config, blobs.length, context.mode);
  const layers = blobs.map(({ digest, size }) => {
    const content = requireFile(files, digestHex(digest));
    if (content.length !== size)
      throw new ArchiveFault("E_DIGEST_MISMATCH", `${digest} has ${content.length} bytes, its descriptor says ${size}`);
    checkDigest(digest, digestOfContent(content, newHasher));
    return content;
  });
  return { config, tags: [], layers, zone: "Z", blobs: blobs.map(({ digest }) => digest) };
}

function checkDigest(named: string, actual: string): void {
  if (named !== actual) throw new ArchiveFault("E_DIGEST_MISMATCH", `the blob ${named} has the digest ${actual}`);
}
