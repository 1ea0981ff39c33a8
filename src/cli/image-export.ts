/**
 * `cowlab image export`: an archive's images through a driver's stores into a new archive, or into a folder as a registry has them.
 */
import { mkdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { pushImage } from "../images/distribution.ts";
import { type SavedFiles, type SaveFormat, savedTar, saveImages } from "../images/save.ts";
import { onFile } from "../node/input-error.ts";
import { writeWhole } from "../node/whole-file.ts";
import { counted } from "../scenario/figures.ts";
import { UsageError } from "./exit.ts";
import { chosen, type DriverImageOptions, must, type OnDriver, onDriver } from "./image-driver.ts";

export interface ExportOptions extends DriverImageOptions {
  readonly output: string;
  /** "docker" by default. */
  readonly format?: string;
}

const FORMATS: readonly (SaveFormat | "registry")[] = ["docker", "docker-25", "oci", "registry"];

/** Writes the archive or folder. */
export function exportImages(path: string, options: ExportOptions): Promise<string> {
  const format = FORMATS.find((one) => one === (options.format ?? "docker"));
  if (format === undefined) throw new UsageError(`--format takes ${FORMATS.join(", ")}, not "${options.format}"`);
  return onDriver(path, options, (loaded) => {
    return format === "registry" ? exportToRegistry(loaded, options) : exportArchive(loaded, options.output, format);
  });
}

function exportArchive({ daemon, images, zone }: OnDriver, out: string, format: SaveFormat): string {
  const saved = images.map((image) => ({ image, tags: daemon.images.tagsOf(image.config.id) }));
  const files = must(saveImages(daemon.images, saved, { format, zone }));
  if (format === "oci" && (out.endsWith("/") || isThereAsFolder(out))) return writeLayout(out, files, images.length);
  const tar = savedTar(files);
  // What is written may be read from the very file that it replaces.
  writeWhole(out, tar.chunks());
  return `${out}: ${counted(images.length, "image")}, ${counted(tar.length, "byte")}\n`;
}

function isThereAsFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** A layout as a folder, its index last; files that are there already stay, but those of its own names. */
function writeLayout(out: string, files: SavedFiles, images: number): string {
  let bytes = 0;
  const isIndex = (name: string): number => (name === "index.json" ? 1 : 0);
  for (const [name, item] of [...files].sort(([one], [other]) => isIndex(one) - isIndex(other))) {
    const path = join(out, name);
    onFile(path, () => mkdirSync(item.kind === "folder" ? path : dirname(path), { recursive: true }));
    if (item.kind !== "file") continue;
    writeWhole(path, item.content.chunks());
    bytes += item.content.length;
  }
  return `${out}: ${counted(images, "image")}, ${counted(bytes, "byte")}\n`;
}

/** The folder of skopeo's transport `dir`: one image. */
function exportToRegistry(loaded: OnDriver, { output: out, image: name }: ExportOptions): string {
  const image = chosen(loaded, name);
  const reference = loaded.daemon.images.tagsOf(image.config.id)[0] ?? "image:latest";
  const { manifest, digest, blobs } = must(pushImage(loaded.daemon.images, image, reference));
  onFile(out, () => mkdirSync(out, { recursive: true }));
  writeWhole(join(out, "version"), ["Directory Transport Version: 1.1\n"]);
  for (const [blob, content] of blobs) writeWhole(join(out, blob.slice(7)), content.chunks());
  writeWhole(join(out, "manifest.json"), [manifest]);
  return `${reference}: digest: ${digest} size: ${manifest.length}\n`;
}
