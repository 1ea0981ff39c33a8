/**
 * `cowlab image`: what is in an image archive, and what becomes of it on a storage driver.
 */
import type { Content } from "../../sim/core/content.ts";
import type { ReadMode } from "../archive/fault.ts";
import { chainIds, v1Layers } from "../images/ids.ts";
import { readImages } from "../images/read-images.ts";
import { layerDiffIds, type ReadContext } from "../images/source-image.ts";
import { nodeDecompress } from "../node/decompress.ts";
import { nodeHasher } from "../node/digest.ts";
import { OpenedFiles } from "../node/image-files.ts";
import { openSource } from "../node/image-source.ts";
import { fileError, isOfMachine } from "../node/input-error.ts";
import { tableLines } from "../report/table.ts";
import { UsageError } from "./exit.ts";

export interface ImageOptions {
  readonly json?: boolean;
  /** How the archive is judged; default "strict". */
  readonly mode?: ReadMode;
}

/** What `image ls` tells of one image, in Docker's spelling of each. */
interface ListedImage {
  readonly id: string;
  readonly tags: readonly string[];
  readonly diffIds: readonly string[];
  readonly chainIds: readonly string[];
  readonly v1Ids: readonly string[];
}

/** Lets files of this machine be opened, and closes them. @param path - names the input in errors */
export async function withFiles<T>(
  path: string,
  mode: ReadMode,
  use: (opened: OpenedFiles, context: ReadContext) => Promise<T>,
): Promise<T> {
  const opened = new OpenedFiles();
  try {
    return await use(opened, { mode, newHasher: nodeHasher, decompress: nodeDecompress });
  } catch (error) {
    if (isOfMachine(error)) throw fileError(path, error);
    throw error;
  } finally {
    opened.close();
  }
}

/** `image ls`: every image with its identifiers, all computed from the bytes. */
export async function listImages(path: string, options: ImageOptions): Promise<string> {
  const mode = options.mode ?? "strict";
  const images = await withFiles(path, mode, async (opened, context) => {
    const source = await openSource(path, mode, opened);
    if (source.kind === "rootfs")
      throw new UsageError(`${path}: an archive without images; of a root filesystem, cowlab image import makes one`);
    const archive = await readImages(source.files, context);
    const known = new Map<Content, string>();
    const listed: ListedImage[] = [];
    for (const image of archive.images) {
      const diffIds = await layerDiffIds(image, context, known);
      const chains = chainIds(diffIds, context.newHasher);
      const v1 = v1Layers(image.config.record, chains, image.zone, context.newHasher);
      listed.push({ id: image.config.id, tags: image.tags, diffIds, chainIds: chains, v1Ids: v1.map(({ id }) => id) });
    }
    return listed;
  });
  if (options.json === true) return `${JSON.stringify({ images }, null, 2)}\n`;
  const rows = images.map((image) => [image.tags.join(", ") || "<none>", image.id.slice(7, 19), String(image.diffIds.length)]);
  const columns = ["tags", "image ID", "layers"].map((heading) => ({ heading, align: "left" }) as const);
  return `${tableLines(columns, rows).join("\n")}\n`;
}
