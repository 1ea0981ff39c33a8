/**
 * What a path of this machine holds: images in one of their forms, or a root filesystem without any.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Content } from "../../sim/core/content.ts";
import { uncompressed } from "../archive/compression.ts";
import type { ReadMode } from "../archive/fault.ts";
import { readTar } from "../archive/tar-read.ts";
import { type ImageFiles, tarFiles } from "../images/files.ts";
import { rootfsTar } from "../scenario/archived-image.ts";
import { readFolder } from "./archive.ts";
import { nodeDecompress } from "./decompress.ts";
import { isFolder, LISTS, type OpenedFiles, openImageFiles } from "./image-files.ts";

export type ImageSource =
  | { readonly kind: "images"; readonly files: ImageFiles }
  /** `docker import` takes such a tar. */
  | { readonly kind: "rootfs"; readonly tar: Content };

/** A layer's folder in archives from before Docker 1.10. */
const LEGACY = /^[0-9a-f]{64}\/(?:json|layer\.tar)$/;

/** Opens an archive or folder. @throws ArchiveFault, and the machine's errors */
export async function openSource(path: string, mode: ReadMode, opened: OpenedFiles): Promise<ImageSource> {
  if (isFolder(path)) {
    if (LISTS.some((name) => existsSync(join(path, name))))
      return { kind: "images", files: await openImageFiles(path, mode, opened) };
    return { kind: "rootfs", tar: rootfsTar(readFolder(path)) };
  }
  const tar = await uncompressed(opened.content(path), nodeDecompress);
  return holdsList(tar) ? { kind: "images", files: tarFiles(tar, mode) } : { kind: "rootfs", tar };
}

/** Whether one of the lists is at the top of a tar. */
function holdsList(tar: Content): boolean {
  for (const { header } of readTar(tar, { mode: "docker" })) {
    const name = header.name.replace(/^\.\//, "");
    if (LISTS.includes(name) || LEGACY.test(name)) return true;
  }
  return false;
}
