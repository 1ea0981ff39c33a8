/**
 * An image as an archive has it, whatever the archive's form.
 *
 * Interface: layers stay unread until somebody opens them; `verifyLayers` opens all. Compressed layers are opened by what the caller hands in.
 */
import type { Content } from "../../sim/core/content.ts";
import { type Decompress, uncompressed } from "../archive/compression.ts";
import type { NewHasher } from "../archive/digest.ts";
import { ArchiveFault, type ReadMode } from "../archive/fault.ts";
import { readTar } from "../archive/tar-read.ts";
import type { ImageConfig } from "./config.ts";

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
  /** The ID of the image that it was built on, where the archive names it. */
  readonly parent?: string;
  /** What a registry calls the layers: the digests of their files as they came, where those are what the archive names. */
  readonly blobs?: readonly string[];
}

export interface SourceArchive {
  /** "legacy-archive": of docker save before 1.10; "registry": what a registry has of one image. */
  readonly format: "docker-archive" | "oci-layout" | "legacy-archive" | "registry";
  readonly images: readonly SourceImage[];
}

/** Holds the number of layers to the configuration. @throws ArchiveFault E_IMAGE_LAYERS with Docker's words */
export function checkCounts(config: ImageConfig, layers: number, mode: ReadMode): void {
  const expected = config.diffIds.length;
  if (expected !== layers)
    throw new ArchiveFault("E_IMAGE_LAYERS", `invalid manifest, layers length mismatch: expected ${expected}, got ${layers}`);
  if (mode === "docker") return;
  if (expected === 0) throw new ArchiveFault("E_IMAGE_LAYERS", "the image has no layers");
  const made = config.history.filter((entry) => !entry.emptyLayer).length;
  if (config.history.length > 0 && made !== expected)
    throw new ArchiveFault("E_IMAGE_LAYERS", `the history has ${made} steps that made a layer, the image has ${expected} layers`);
}

const COMPONENT = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?";
/** The host of a registry: what stands before the first slash, where a dot, a port or "localhost" tells it from a folder. */
const DOMAIN = `(?=[^/]*[.:]|localhost/)${COMPONENT}(?:\\.${COMPONENT})*(?::[0-9]+)?`;
const PATH = "[a-z0-9]+(?:(?:\\.|__?|-+)[a-z0-9]+)*";
const TAG = new RegExp(`^((?:${DOMAIN}/)?${PATH}(?:/${PATH})*):[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`);
const NAME_LENGTH_MAX = 255;

/**
 * Whether a text is a name and tag, such as "app:1" or "localhost:5000/lab/app:2".
 * Source: reference/regexp.go and splitDockerDomain of docker/distribution 2.7.
 */
export function isTag(text: string): boolean {
  const [, name = ""] = TAG.exec(text) ?? [];
  return name !== "" && name.length <= NAME_LENGTH_MAX;
}

/** @throws ArchiveFault E_IMAGE_NAME for what is no name and tag */
export function checkTag(tag: string): void {
  if (!isTag(tag)) throw new ArchiveFault("E_IMAGE_NAME", `invalid reference format: ${JSON.stringify(tag)}`);
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
    const opened = await openLayer(layer, context);
    checkDiffId(image, index, opened.diffId);
    verified.push(opened);
  }
  return verified;
}

/** The diffIDs of every layer, from their bytes. @param known - of layers that were read before, so that those of many images are read once */
export async function layerDiffIds(image: SourceImage, context: ReadContext, known: Map<Content, string>): Promise<string[]> {
  const diffIds: string[] = [];
  for (const [index, layer] of image.layers.entries()) {
    const diffId = known.get(layer) ?? (await openLayer(layer, context)).diffId;
    known.set(layer, diffId);
    checkDiffId(image, index, diffId);
    diffIds.push(diffId);
  }
  return diffIds;
}

async function openLayer(layer: Content, context: ReadContext): Promise<VerifiedLayer> {
  const content = await uncompressed(layer, context.decompress);
  const hasher = context.newHasher();
  let entries = 0;
  let size = 0;
  for (const { header } of readTar(content, { mode: context.mode, onBytes: (piece) => hasher.update(piece) })) {
    entries += 1;
    size += header.size;
  }
  return { content, diffId: `sha256:${hasher.hex()}`, entries, size };
}

function checkDiffId({ config }: SourceImage, index: number, diffId: string): void {
  const expected = config.diffIds[index];
  if (diffId === expected) return;
  throw new ArchiveFault("E_DIGEST_MISMATCH", `invalid diffID for layer ${index}: expected "${expected}", got "${diffId}"`);
}
