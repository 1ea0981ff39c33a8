/**
 * OCI image layouts: `index.json` names manifests, those name blobs (OCI image-spec v1.1 image-layout.md; spec/drivers.md §10.2).
 */
import type { Content } from "../../sim/core/content.ts";
import { digestHex, digestOf, digestOfContent, type NewHasher } from "../archive/digest.ts";
import { ArchiveFault } from "../archive/fault.ts";
import { isRecord } from "../calls/json.ts";
import { CONFIG_MAX, readConfig } from "./config.ts";
import { type ImageFiles, requireBytes, requireFile } from "./files.ts";
import { fieldOf, type JsonRecord, listOf, readRecord, recordOf, textOf } from "./go-json.ts";
import { checkCounts, type ReadContext, type SourceImage } from "./source-image.ts";

/** How deep indexes may name indexes. */
const INDEX_DEPTH_MAX = 4;
const IMAGES_MAX = 1000;

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations: JsonRecord;
  /** Of an index's: what the image runs on. */
  readonly platform: JsonRecord;
}

export function descriptorOf(value: unknown, what: string): Descriptor {
  if (!isRecord(value as never)) throw new ArchiveFault("E_IMAGE_JSON", `${what}: a descriptor is no object`);
  const record = value as JsonRecord;
  const size = fieldOf(record, "size");
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0)
    throw new ArchiveFault("E_IMAGE_JSON", `${what}: a descriptor's size is no size`);
  const digest = textOf(record, "digest", what);
  digestHex(digest);
  const part = (key: string): JsonRecord => recordOf(record, key, what) ?? {};
  return {
    mediaType: textOf(record, "mediaType", what),
    digest,
    size,
    annotations: part("annotations"),
    platform: part("platform"),
  };
}

function blobName(digest: string): string {
  return `blobs/sha256/${digestHex(digest)}`;
}

function blobOf(files: ImageFiles, { digest, size }: Descriptor): Content {
  const name = blobName(digest);
  const content = requireFile(files, name);
  if (content.length !== size)
    throw new ArchiveFault("E_DIGEST_MISMATCH", `${name} has ${content.length} bytes, its descriptor says ${size}`);
  return content;
}

/** A blob small enough to be read, its digest checked. */
function documentOf(files: ImageFiles, descriptor: Descriptor, newHasher: NewHasher): Uint8Array {
  const content = blobOf(files, descriptor);
  if (content.length > CONFIG_MAX) throw new ArchiveFault("E_LIMIT", `${descriptor.digest} is longer than ${CONFIG_MAX} bytes`);
  const raw = content.toBytes();
  const actual = digestOf(raw, newHasher);
  if (actual !== descriptor.digest)
    throw new ArchiveFault("E_DIGEST_MISMATCH", `the blob ${descriptor.digest} has the digest ${actual}`);
  return raw;
}

/** Reads the images of a layout, in the order of its index. @throws ArchiveFault */
export function readLayout(files: ImageFiles, context: ReadContext): SourceImage[] {
  const layout = files.get("oci-layout");
  const version =
    layout === undefined
      ? undefined
      : fieldOf(readRecord(requireBytes(files, "oci-layout", CONFIG_MAX), "oci-layout"), "imageLayoutVersion");
  if (context.mode === "strict" && version !== "1.0.0")
    throw new ArchiveFault("E_FORMAT", "oci-layout does not say version 1.0.0");
  const reading: Reading = { files, context, named: 0 };
  const images = readIndex(reading, requireBytes(files, "index.json", CONFIG_MAX), { depth: 0, name: undefined });
  if (images.length === 0) throw new ArchiveFault("E_IMAGE_LAYERS", "index.json names no image");
  return images;
}

interface Reading {
  readonly files: ImageFiles;
  readonly context: ReadContext;
  /** Descriptors so far, in all indexes. */
  named: number;
}

/** What an index named this index. */
interface Above {
  readonly depth: number;
  /** The reference that its descriptor gave. */
  readonly name: string | undefined;
}

function readIndex(reading: Reading, raw: Uint8Array, above: Above): SourceImage[] {
  if (above.depth > INDEX_DEPTH_MAX) throw new ArchiveFault("E_LIMIT", "indexes name indexes without end");
  const index = readRecord(raw, "index.json");
  const values = listOf(index, "manifests", "index.json");
  if (fieldOf(index, "layers") !== undefined || fieldOf(index, "config") !== undefined)
    throw new ArchiveFault("E_IMAGE_JSON", "an index has the fields of a manifest");
  reading.named += values.length;
  if (reading.named > IMAGES_MAX) throw new ArchiveFault("E_LIMIT", `the indexes name more than ${IMAGES_MAX} images`);
  const descriptors = presentOf(
    reading.files,
    values.map((value) => descriptorOf(value, "index.json")),
  );
  const ours = descriptors.find(isOurPlatform) ?? descriptors[0];
  return descriptors.flatMap((descriptor) => {
    if (descriptor.annotations["vnd.docker.reference.type"] === "attestation-manifest") return [];
    const document = documentOf(reading.files, descriptor, reading.context.newHasher);
    // A name is one image's on a host: of an index with several platforms it is that of the host's own.
    const name = tagOf(descriptor.annotations) ?? (descriptor === ours ? above.name : undefined);
    if (/index|manifest\.list/.test(descriptor.mediaType)) return readIndex(reading, document, { depth: above.depth + 1, name });
    return layoutImage(reading, document, name);
  });
}

/**
 * Without those of platforms that are not there: an image that was pulled for one platform keeps the index of all of them, and containerd
 * saves it so. If none is there, all stay, and the first is told missing.
 */
function presentOf(files: ImageFiles, descriptors: readonly Descriptor[]): readonly Descriptor[] {
  const isThere = ({ digest }: Descriptor): boolean => files.get(blobName(digest)) !== undefined;
  if (!descriptors.some(isThere)) return descriptors;
  return descriptors.filter((one) => isThere(one) || Object.keys(one.platform).length === 0);
}

function isOurPlatform({ platform }: Descriptor): boolean {
  return fieldOf(platform, "os") === "linux" && fieldOf(platform, "architecture") === "amd64";
}

/** Media types of configurations; a manifest with another is an artifact and no image. */
const IMAGE_CONFIGS = ["", "application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

/** The image of a manifest; none of an artifact. */
function layoutImage({ files, context }: Reading, raw: Uint8Array, name: string | undefined): SourceImage[] {
  const manifest = readRecord(raw, "manifest");
  if (fieldOf(manifest, "manifests") !== undefined)
    throw new ArchiveFault("E_IMAGE_JSON", "a manifest has the fields of an index");
  const configured = descriptorOf(fieldOf(manifest, "config") ?? null, "manifest");
  if (!IMAGE_CONFIGS.includes(configured.mediaType)) return [];
  const config = readConfig(documentOf(files, configured, context.newHasher), context.newHasher);
  const blobs = listOf(manifest, "layers", "manifest").map((value) => descriptorOf(value, "manifest"));
  checkCounts(config, blobs.length, context.mode);
  const layers = blobs.map((blob) => {
    const content = blobOf(files, blob);
    const actual = digestOfContent(content, context.newHasher);
    if (actual !== blob.digest) throw new ArchiveFault("E_DIGEST_MISMATCH", `the blob ${blob.digest} has the digest ${actual}`);
    return content;
  });
  return [{ config, tags: name === undefined ? [] : [name], layers, zone: "Z" }];
}

/** The reference that an index's annotations give: containerd's full one, else the OCI's, which may be a tag alone. */
function tagOf(annotations: JsonRecord): string | undefined {
  const name = fieldOf(annotations, "io.containerd.image.name") ?? fieldOf(annotations, "org.opencontainers.image.ref.name");
  if (typeof name !== "string" || name === "") return undefined;
  if (name.length > 511 || !/^[A-Za-z0-9]+(?:[-._:@/+][A-Za-z0-9]+|--)*$/.test(name))
    throw new ArchiveFault("E_IMAGE_NAME", `invalid reference format: ${JSON.stringify(name)}`);
  return name;
}
