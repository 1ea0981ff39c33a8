/**
 * Reads the images of an archive: what `docker save` wrote (any version from 1.10 on), or an OCI image layout.
 *
 * Interface: nothing is taken on trust: a file named by its digest is hashed before it is believed. Layers stay unread until somebody
 * opens them; `verifyLayers` opens all. Compressed layers are opened by what the caller hands in.
 */
import type { Content } from "../../sim/core/content.ts";
import { type Decompress, uncompressed } from "../archive/compression.ts";
import { digestHex, digestOf, digestOfContent, type NewHasher } from "../archive/digest.ts";
import { ArchiveFault, type ReadMode } from "../archive/fault.ts";
import { readTar } from "../archive/tar-read.ts";
import { isRecord } from "../calls/json.ts";
import { CONFIG_MAX, type ImageConfig, readConfig } from "./config.ts";
import { type ImageFiles, requireBytes, requireFile } from "./files.ts";
import { fieldOf, type JsonRecord, listOf, readJson, readRecord, recordOf, textOf, textsOf } from "./go-json.ts";

export interface ReadContext {
  readonly mode: ReadMode;
  readonly newHasher: NewHasher;
  readonly decompress: Decompress;
}

/** One image of an archive. */
export interface SourceImage {
  readonly config: ImageConfig;
  /** References such as "lab/app:2". */
  readonly tags: readonly string[];
  /** Each layer's tar archive, compressed or not, the base first. */
  readonly layers: readonly Content[];
  /** "Z", or the offset of the zone whose clock the saving daemon had, where the archive shows it. */
  readonly zone: string;
}

export interface SourceArchive {
  readonly format: "docker-archive" | "oci-layout";
  readonly images: readonly SourceImage[];
}

/** Reads the list of images. @throws ArchiveFault */
export function readImages(files: ImageFiles, context: ReadContext): SourceArchive {
  const names = new Set(files.names);
  if (names.has("manifest.json")) return { format: "docker-archive", images: readDockerArchive(files, context) };
  if (names.has("index.json")) return { format: "oci-layout", images: readLayout(files, context) };
  throw new ArchiveFault(
    "E_FORMAT",
    "neither manifest.json nor index.json is in the archive: it holds no image that can be read",
  );
}

function readDockerArchive(files: ImageFiles, context: ReadContext): SourceImage[] {
  const manifest = readJson(requireBytes(files, "manifest.json", CONFIG_MAX), "manifest.json");
  if (!Array.isArray(manifest)) throw new ArchiveFault("E_IMAGE_JSON", "manifest.json is no list");
  if (manifest.length === 0) throw new ArchiveFault("E_IMAGE_LAYERS", "manifest.json names no image");
  return manifest.map((item) => {
    if (!isRecord(item)) throw new ArchiveFault("E_IMAGE_JSON", "manifest.json: an image is no object");
    return dockerImage(files, item, context);
  });
}

const CONFIG_NAME = /^(?:blobs\/sha256\/)?([0-9a-f]{64})(?:\.json)?$/;

function dockerImage(files: ImageFiles, item: JsonRecord, context: ReadContext): SourceImage {
  const name = textOf(item, "Config", "manifest.json");
  const config = readConfig(requireBytes(files, name, CONFIG_MAX), context.newHasher);
  const named = CONFIG_NAME.exec(name)?.[1];
  if (context.mode === "strict" && named !== config.id.slice(7))
    throw new ArchiveFault("E_DIGEST_MISMATCH", `the configuration ${JSON.stringify(name)} has the digest ${config.id}`);
  const paths = textsOf(item, "Layers", "manifest.json");
  checkCounts(config, paths.length, context.mode);
  const layers = paths.map((path, index) => {
    const blob = /^blobs\/sha256\/(.*)$/.exec(path)?.[1];
    if (blob !== undefined && context.mode === "strict" && `sha256:${blob}` !== config.diffIds[index])
      throw new ArchiveFault("E_DIGEST_MISMATCH", `layer ${index} is ${path}, the configuration says ${config.diffIds[index]}`);
    return requireFile(files, path);
  });
  const tags = textsOf(item, "RepoTags", "manifest.json");
  for (const tag of tags) checkTag(tag);
  return { config, tags, layers, zone: zoneOf(files, paths) };
}

function checkCounts(config: ImageConfig, layers: number, mode: ReadMode): void {
  const expected = config.diffIds.length;
  if (expected !== layers)
    throw new ArchiveFault("E_IMAGE_LAYERS", `invalid manifest, layers length mismatch: expected ${expected}, got ${layers}`);
  if (mode === "docker") return;
  if (expected === 0) throw new ArchiveFault("E_IMAGE_LAYERS", "the image has no layers");
  const made = config.history.filter((entry) => !entry.emptyLayer).length;
  if (config.history.length > 0 && made !== expected)
    throw new ArchiveFault("E_IMAGE_LAYERS", `the history has ${made} steps that made a layer, the image has ${expected} layers`);
}

const TAG = /^[a-z0-9]+(?:[._/:-]+[a-z0-9]+)*:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;

/** @throws ArchiveFault E_IMAGE_NAME for what is no name and tag */
function checkTag(tag: string): void {
  if (tag.length > 511 || !TAG.test(tag))
    throw new ArchiveFault("E_IMAGE_NAME", `invalid reference format: ${JSON.stringify(tag)}`);
}

/** The zone of the daemon that saved: what its clock showed for the beginning of 1970, in the folder of a layer below the top. */
function zoneOf(files: ImageFiles, paths: readonly string[]): string {
  const first = paths.length > 1 ? files.get((paths[0] ?? "").replace(/layer\.tar$/, "json")) : undefined;
  if (first === undefined || first.length > CONFIG_MAX) return "Z";
  const created = /"created":"(?:1970-01-01|1969-12-31)T\d\d:\d\d:00(Z|[+-]\d\d:\d\d)"/.exec(first.toText());
  return created?.[1] ?? "Z";
}

// OCI image layout

/** How deep indexes may name indexes. */
const INDEX_DEPTH_MAX = 4;
const IMAGES_MAX = 1000;

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations: JsonRecord;
}

function descriptorOf(value: unknown, what: string): Descriptor {
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

function readLayout(files: ImageFiles, context: ReadContext): SourceImage[] {
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

/** One layer, opened and read to its end. */
export interface VerifiedLayer {
  readonly content: Content;
  readonly diffId: string;
  readonly entries: number;
  /** Bytes of its files. */
  readonly size: number;
}

/** Opens every layer, and holds its digest to the configuration. @throws ArchiveFault */
export async function verifyLayers(image: SourceImage, context: ReadContext): Promise<VerifiedLayer[]> {
  const verified: VerifiedLayer[] = [];
  for (const [index, layer] of image.layers.entries()) {
    const content = await uncompressed(layer, context.decompress);
    const hasher = context.newHasher();
    let entries = 0;
    let size = 0;
    for (const { header } of readTar(content, { mode: context.mode, onBytes: (piece) => hasher.update(piece) })) {
      entries += 1;
      size += header.size;
    }
    const diffId = `sha256:${hasher.hex()}`;
    const expected = image.config.diffIds[index];
    if (diffId !== expected)
      throw new ArchiveFault("E_DIGEST_MISMATCH", `invalid diffID for layer ${index}: expected "${expected}", got "${diffId}"`);
    verified.push({ content, diffId, entries, size });
  }
  return verified;
}
