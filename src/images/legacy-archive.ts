/**
 * Archives that `docker save` wrote before version 1.10: a folder an image with its VERSION, json and layer.tar, and the file `repositories`
 * (moby v20.10.27 image/tarexport/load.go, legacyLoad).
 *
 * Interface: a configuration is made of each json, for which every layer is opened and hashed. Parents come first; names do not say what an
 * image holds, so there is nothing to hold them to.
 */
import type { Content } from "../../sim/core/content.ts";
import { uncompressed } from "../archive/compression.ts";
import { digestOfContent } from "../archive/digest.ts";
import { ArchiveFault } from "../archive/fault.ts";
import { isRecord, type Json } from "../calls/json.ts";
import { CONFIG_MAX, type ImageConfig, readConfig } from "./config.ts";
import { type ImageFiles, requireBytes, requireFile } from "./files.ts";
import { type JsonRecord, listOf, readRecord, textOf } from "./go-json.ts";
import { checkTag, type ReadContext, type SourceImage } from "./source-image.ts";
import { v1Config, v1History } from "./v1-config.ts";

const REPOSITORIES = "repositories";
/** As many parents as a chain can have, and more. */
const DEPTH_MAX = 1024;

/** Whether an archive without a list of images has folders of images. */
export function isLegacyArchive(files: ImageFiles): boolean {
  return foldersOf(files).length > 0;
}

/** The folders of images, sorted. */
function foldersOf(files: ImageFiles): string[] {
  return files.names.filter((name) => /^[^/]+\/json$/.test(name)).map((name) => name.slice(0, -"/json".length));
}

interface Reading {
  readonly files: ImageFiles;
  readonly context: ReadContext;
  readonly images: Map<string, SourceImage>;
}

/** Reads every image, parents before those that stand on them. @throws ArchiveFault */
export async function readLegacyArchive(files: ImageFiles, context: ReadContext): Promise<SourceImage[]> {
  const reading: Reading = { files, context, images: new Map() };
  for (const folder of foldersOf(files)) await readOne(reading, folder, 0);
  const tags = tagsById(reading);
  return [...reading.images].map(([id, image]) => ({ ...image, tags: tags.get(id) ?? [] }));
}

/** An image and what it stands on. */
async function readOne(reading: Reading, id: string, depth: number): Promise<SourceImage> {
  const { files, context, images } = reading;
  const there = images.get(id);
  if (there !== undefined) return there;
  if (depth > DEPTH_MAX) throw new ArchiveFault("E_LIMIT", "the images have parents without end");
  const record = readRecord(requireBytes(files, `${id}/json`, CONFIG_MAX), "v1 image");
  const parentId = textOf(record, "parent", "v1 image");
  const parent = parentId === "" ? undefined : await readOne(reading, parentId, depth + 1);
  const layer = requireFile(files, `${id}/layer.tar`);
  const diffId = digestOfContent(await uncompressed(layer, context.decompress), context.newHasher);
  const image = imageOf({ record, parent, layer, diffId }, context);
  images.set(id, image);
  return image;
}

interface Parts {
  readonly record: JsonRecord;
  readonly parent: SourceImage | undefined;
  readonly layer: Content;
  readonly diffId: string;
}

function imageOf({ record, parent, layer, diffId }: Parts, context: ReadContext): SourceImage {
  const below: ImageConfig | undefined = parent?.config;
  const history: readonly Json[] = below === undefined ? [] : listOf(below.record, "history", "image configuration");
  const raw = v1Config(record, [...(below?.diffIds ?? []), diffId], [...history, v1History(record)]);
  const config = readConfig(raw, context.newHasher);
  const layers = [...(parent?.layers ?? []), layer];
  return { config, tags: [], layers, zone: "Z", ...(below === undefined ? {} : { parent: below.id }) };
}

/** The references that `repositories` gives the images. */
function tagsById({ files, context, images }: Reading): Map<string, string[]> {
  const byId = new Map<string, string[]>();
  if (files.get(REPOSITORIES) === undefined && context.mode === "strict") return byId;
  const repositories = readRecord(requireBytes(files, REPOSITORIES, CONFIG_MAX), REPOSITORIES);
  for (const [name, tags] of Object.entries(repositories)) {
    if (!isRecord(tags)) throw new ArchiveFault("E_IMAGE_JSON", `${REPOSITORIES}: ${JSON.stringify(name)} is no object`);
    for (const [tag, id] of Object.entries(tags)) {
      if (typeof id !== "string" || !images.has(id))
        throw new ArchiveFault("E_IMAGE_MISSING", `invalid target ID: ${typeof id === "string" ? id : JSON.stringify(id)}`);
      checkTag(`${name}:${tag}`);
      byId.set(id, [...(byId.get(id) ?? []), `${name}:${tag}`]);
    }
  }
  return byId;
}
