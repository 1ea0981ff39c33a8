/**
 * `docker load`: the images of an archive into the stores (moby v20.10.27 image/tarexport/load.go).
 */
import { uncompressed } from "../archive/compression.ts";
import { ArchiveFault } from "../archive/fault.ts";
import { DriverError, isDriverError } from "../drivers/driver.ts";
import type { Layer } from "../layers/layer-store.ts";
import type { ImageConfig } from "./config.ts";
import { rememberPull, repositoryOf } from "./distribution.ts";
import { textOf } from "./go-json.ts";
import { chainIds } from "./ids.ts";
import { type ImageStore, parseReference, type StoredImage } from "./image-store.ts";
import type { ReadContext, SourceArchive, SourceImage } from "./source-image.ts";

/** What a load did: the images, and what Docker prints. */
export interface Loaded {
  readonly images: readonly StoredImage[];
  readonly lines: readonly string[];
}

/**
 * Loads every image. In mode "strict" an archive that fails leaves nothing; in mode "docker" the images before the one that fails stay.
 * @throws ArchiveFault
 */
export async function loadImages(archive: SourceArchive, store: ImageStore, context: ReadContext): Promise<Loaded | DriverError> {
  const images: StoredImage[] = [];
  const lines: string[] = [];
  const fresh: string[] = [];
  const before = new Map(store.tags);
  let whole = false;
  try {
    for (const source of archive.images) {
      const isNew = store.get(source.config.id) === undefined;
      const image = await loadImage(source, store, context);
      if (isDriverError(image)) return image;
      if (isNew) fresh.push(image.config.id);
      images.push(image);
      const told = tagImage(store, image, source.tags);
      // Of archives from before 1.10 Docker tells only the tags that move.
      lines.push(...(archive.format === "legacy-archive" ? told.filter((line) => !line.startsWith("Loaded")) : told));
    }
    const failed = linkParents(archive, store) ?? rememberNames(archive, store, images);
    if (failed !== undefined) return failed;
    whole = true;
  } finally {
    if (!whole && context.mode === "strict") undo(store, fresh, before);
  }
  return { images, lines };
}

/** Links images to those of the same archive that they were built on. */
function linkParents(archive: SourceArchive, store: ImageStore): DriverError | undefined {
  const known = new Map(archive.images.map((source) => [source.config.id, source]));
  let failed: DriverError | undefined;
  for (const { config, parent } of archive.images) {
    const below = parent === undefined ? undefined : known.get(parent);
    if (below === undefined) continue;
    if (!isStepAfter(config, below.config))
      throw new ArchiveFault("E_IMAGE_LAYERS", `image ${below.config.id} is not a valid parent for ${config.id}`);
    failed ??= store.setParent(config.id, below.config.id);
  }
  return failed;
}

/** Whether an image's history is its parent's and one step more; images without any history may stand on each other. */
function isStepAfter(image: ImageConfig, parent: ImageConfig): boolean {
  if (image.history.length === 0 && parent.history.length === 0) return true;
  if (image.history.length !== parent.history.length + 1) return false;
  return parent.history.every((entry, index) => JSON.stringify(entry) === JSON.stringify(image.history[index]));
}

function rememberNames(archive: SourceArchive, store: ImageStore, images: readonly StoredImage[]): DriverError | undefined {
  let failed: DriverError | undefined;
  for (const [index, { blobs, tags }] of archive.images.entries()) {
    const image = images[index];
    const repository = tags[0] === undefined ? "" : repositoryOf(tags[0]);
    if (blobs !== undefined && image !== undefined) failed ??= rememberPull(store, image, { blobs, repository });
  }
  return failed;
}

/** Takes back what a load has made so far. */
function undo(store: ImageStore, fresh: readonly string[], tags: ReadonlyMap<string, string>): void {
  for (const id of [...fresh].reverse()) store.delete(id);
  for (const reference of [...store.tags.keys()]) if (!tags.has(reference)) store.untag(reference);
  for (const [reference, id] of tags) if (store.tags.get(reference) !== id) store.tag(id, reference);
}

async function loadImage(source: SourceImage, store: ImageStore, context: ReadContext): Promise<StoredImage | DriverError> {
  const { config } = source;
  const os = textOf(config.record, "os", "image configuration");
  if (os !== "" && os !== "linux") throw new ArchiveFault("E_IMAGE_LAYERS", `cannot load ${os} image on linux`);
  if (config.diffIds.length !== source.layers.length) {
    const words = `expected ${config.diffIds.length}, got ${source.layers.length}`;
    throw new ArchiveFault("E_IMAGE_LAYERS", `invalid manifest, layers length mismatch: ${words}`);
  }
  const chains = chainIds(config.diffIds, context.newHasher);
  const held: Layer[] = [];
  try {
    for (const [index, chain] of chains.entries()) {
      const layer = await loadLayer(source, index, { chain, below: chains[index - 1] ?? "" }, { store, context });
      if (isDriverError(layer)) return layer;
      held.push(layer);
      const expected = config.diffIds[index];
      if (layer.diffId !== expected) {
        const words = `invalid diffID for layer ${index}: expected "${expected}", got "${layer.diffId}"`;
        throw new ArchiveFault("E_DIGEST_MISMATCH", words);
      }
    }
    return store.create(config.raw);
  } finally {
    for (const layer of held.reverse()) store.layers.release(layer);
  }
}

async function loadLayer(
  source: SourceImage,
  index: number,
  chain: { readonly chain: string; readonly below: string },
  { store, context }: { readonly store: ImageStore; readonly context: ReadContext },
): Promise<Layer | DriverError> {
  const there = store.layers.get(chain.chain);
  if (!isDriverError(there)) return there;
  const packed = source.layers[index];
  if (packed === undefined) return new DriverError("layer does not exist");
  const content = await uncompressed(packed, context.decompress);
  return store.layers.register({ content, mode: context.mode }, chain.below);
}

function tagImage(store: ImageStore, image: StoredImage, tags: readonly string[]): string[] {
  if (tags.length === 0) return [`Loaded image ID: ${image.config.id}`];
  return tags.flatMap((text) => {
    const { name, tag } = parseReference(text);
    const reference = `${name}:${tag}`;
    const old = store.tags.get(reference);
    store.tag(image.config.id, reference);
    const moved =
      old !== undefined && old !== image.config.id
        ? [`The image ${reference} already exists, renaming the old one with ID ${old} to empty string`]
        : [];
    return [...moved, `Loaded image: ${reference}`];
  });
}
