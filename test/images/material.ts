/**
 * Real archives for tests: those in test/data, and those beside the project where they are.
 */
import { existsSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ReadMode } from "../../src/archive/fault.ts";
import type { ImageFiles } from "../../src/images/files.ts";
import type { ReadContext } from "../../src/images/source-image.ts";
import { nodeDecompress } from "../../src/node/decompress.ts";
import { nodeHasher } from "../../src/node/digest.ts";
import { OpenedFiles, openImageFiles } from "../../src/node/image-files.ts";

const HERE = fileURLToPath(new URL("../data/images", import.meta.url));
const SHARED = fileURLToPath(new URL("../../../shared/data", import.meta.url));

/** Archives of `docker save`. */
export function savedArchives(): readonly string[] {
  const own = readdirSync(HERE)
    .filter((name) => name.startsWith("save-"))
    .map((name) => join(HERE, name));
  const old = join(SHARED, "docker-18.09-14-layers.tar.gz");
  return existsSync(old) ? [...own, old] : own;
}

export const SKOPEO_LAYOUT: string = join(HERE, "oci-layout-skopeo.tar.gz");

/** Every archive. */
export function allArchives(): readonly string[] {
  return [...savedArchives(), SKOPEO_LAYOUT];
}

/** A file of test/data/images. */
export function material(name: string): string {
  return join(HERE, name);
}

export function shortName(path: string): string {
  return basename(path);
}

export function readContext(mode: ReadMode = "strict"): ReadContext {
  return { mode, newHasher: nodeHasher, decompress: nodeDecompress };
}

/** Opens an archive for a test; the descriptor closes with the process. */
export function openFiles(path: string, mode: ReadMode = "strict"): Promise<ImageFiles> {
  return openImageFiles(path, mode, new OpenedFiles());
}
