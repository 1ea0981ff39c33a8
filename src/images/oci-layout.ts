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
}

export function descriptorOf(value: unknown, what: string): Descriptor {
  if (!isRecord(value as never)) throw new ArchiveFault("E_IMAGE_JSON", `${what}: a descriptor is no object`);
  const record = value as JsonRecord;
  const size = fieldOf(record, "size");
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0)
    throw new ArchiveFault("E_IMAGE_JSON", `${what}: a descriptor's size is no size`);
  const digest = textOf(record, "digest", what);
  digestHex(digest);
  return { mediaType: textOf(record, "mediaType", what), digest, size, annotations: recordOf(record, "annotations", what) ?? {} };
}

function blobOf(files: ImageFiles, { digest, size }: Descriptor): Content {
  const name = `blobs/sha256/${digestHex(digest)}`;
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
  const images = readIndex(files, requireBytes(files, "index.json", CONFIG_MAX), context, 0);
  if (images.length === 0) throw new ArchiveFault("E_IMAGE_LAYERS", "index.json names no image");
  return images;
}

function readIndex(files: ImageFiles, raw: Uint8Array, context: ReadContext, depth: number): SourceImage[] {
  if (depth > INDEX_DEPTH_MAX) throw new ArchiveFault("E_LIMIT", "indexes name indexes without end");
  const index = readRecord(raw, "index.json");
  const descriptors = listOf(index, "manifests", "index.json");
  if (fieldOf(index, "layers") !== undefined || fieldOf(index, "config") !== undefined)
    throw new ArchiveFault("E_IMAGE_JSON", "an index has the fields of a manifest");
  if (descriptors.length > IMAGES_MAX) throw new ArchiveFault("E_LIMIT", `an index names more than ${IMAGES_MAX} images`);
  return descriptors.flatMap((value) => {
    const descriptor = descriptorOf(value, "index.json");
    const document = documentOf(files, descriptor, context.newHasher);
    if (/index|manifest\.list/.test(descriptor.mediaType)) return readIndex(files, document, context, depth + 1);
    return [layoutImage(files, document, descriptor, context)];
  });
}

function layoutImage(files: ImageFiles, raw: Uint8Array, descriptor: Descriptor, context: ReadContext): SourceImage {
  const manifest = readRecord(raw, "manifest");
  if (fieldOf(manifest, "manifests") !== undefined)
    throw new ArchiveFault("E_IMAGE_JSON", "a manifest has the fields of an index");
  const config = readConfig(
    documentOf(files, descriptorOf(fieldOf(manifest, "config") ?? null, "manifest"), context.newHasher),
    context.newHasher,
  );
  const blobs = listOf(manifest, "layers", "manifest").map((value) => descriptorOf(value, "manifest"));
  checkCounts(config, blobs.length, context.mode);
  const layers = blobs.map((blob) => {
    const content = blobOf(files, blob);
    const actual = digestOfContent(content, context.newHasher);
    if (actual !== blob.digest) throw new ArchiveFault("E_DIGEST_MISMATCH", `the blob ${blob.digest} has the digest ${actual}`);
    return content;
  });
  const name = tagOf(descriptor.annotations);
  return { config, tags: name === undefined ? [] : [name], layers, zone: "Z" };
}

/** The reference that an index's annotations give: containerd's full one, else the OCI's, which may be a tag alone. */
function tagOf(annotations: JsonRecord): string | undefined {
  const name = fieldOf(annotations, "io.containerd.image.name") ?? fieldOf(annotations, "org.opencontainers.image.ref.name");
  if (typeof name !== "string" || name === "") return undefined;
  if (name.length > 511 || !/^[A-Za-z0-9]+(?:[-._:@/+][A-Za-z0-9]+|--)*$/.test(name))
    throw new ArchiveFault("E_IMAGE_NAME", `invalid reference format: ${JSON.stringify(name)}`);
  return name;
}
