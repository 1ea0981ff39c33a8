/**
 * `docker load`: the images of an archive into the stores (moby v20.10.27 image/tarexport/load.go).
 */
import { uncompressed } from "../archive/compression.ts";
import { ArchiveFault } from "../archive/fault.ts";
import { DriverError, isDriverError } from "../drivers/driver.ts";
import type { Layer } from "../layers/layer-store.ts";
import { chainIds } from "./ids.ts";
import { type ImageStore, parseReference, type StoredImage } from "./image-store.ts";
import type { ReadContext, SourceArchive, SourceImage } from "./read-images.ts";

/** What a load did: the images, and what Docker prints. */
export interface Loaded {
  readonly images: readonly StoredImage[];
  readonly lines: readonly string[];
}

/**
 * Loads every image. In mode "strict" an archive that fails leaves nothing; in mode "docker" the images before the one that fails stay.
 * @param updated - the time of the tags, RFC 3339
 * @throws ArchiveFault
 */
export async function loadImages(
  archive: SourceArchive,
  store: ImageStore,
  context: ReadContext & { readonly updated: string },
): Promise<Loaded | DriverError> {
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
      lines.push(...tagImage(store, image, source.tags, context.updated));
    }
    whole = true;
  } finally {
    if (!whole && context.mode === "strict") undo(store, fresh, before, context.updated);
  }
  return { images, lines };
}

/** Takes back what a load has made so far. */
function undo(store: ImageStore, fresh: readonly string[], tags: ReadonlyMap<string, string>, updated: string): void {
  for (const id of [...fresh].reverse()) store.delete(id);
  for (const reference of [...store.tags.keys()]) if (!tags.has(reference)) store.untag(reference);
  for (const [reference, id] of tags) if (store.tags.get(reference) !== id) store.tag(id, reference, updated);
}

async function loadImage(source: SourceImage, store: ImageStore, context: ReadContext): Promise<StoredImage | DriverError> {
  const { config } = source;
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

function tagImage(store: ImageStore, image: StoredImage, tags: readonly string[], updated: string): string[] {
  if (tags.length === 0) return [`Loaded image ID: ${image.config.id}`];
  return tags.flatMap((text) => {
    const { name, tag } = parseReference(text);
    const reference = `${name}:${tag}`;
    const old = store.tags.get(reference);
    store.tag(image.config.id, reference, updated);
    const moved =
      old !== undefined && old !== image.config.id
        ? [`The image ${reference} already exists, renaming the old one with ID ${old} to empty string`]
        : [];
    return [...moved, `Loaded image: ${reference}`];
  });
}
