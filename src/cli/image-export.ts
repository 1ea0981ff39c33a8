/**
 * `cowlab image export`: an archive's images through a driver's stores into a new archive, or into a folder as a registry has them.
 */
import { closeSync, mkdirSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { Content } from "../../sim/core/content.ts";
import { pushImage } from "../images/distribution.ts";
import { type SaveFormat, savedTar, saveImages } from "../images/save.ts";
import { InputError, reasonOf } from "../node/input-error.ts";
import { WholeFile } from "../node/whole-file.ts";
import { UsageError } from "./exit.ts";
import { chosen, type DriverImageOptions, must, type OnDriver, onDriver } from "./image-driver.ts";

export interface ExportOptions extends DriverImageOptions {
  readonly out: string;
  /** "docker" by default. */
  readonly format?: string;
}

const FORMATS: readonly (SaveFormat | "registry")[] = ["docker", "docker-25", "oci", "registry"];

/** Writes the archive or folder. */
export function exportImages(path: string, options: ExportOptions): Promise<string> {
  const format = FORMATS.find((one) => one === (options.format ?? "docker"));
  if (format === undefined) throw new UsageError(`--format takes ${FORMATS.join(", ")}, not "${options.format}"`);
  return onDriver(path, options, (loaded) => {
    try {
      return format === "registry" ? exportToRegistry(loaded, options) : exportArchive(loaded, options.out, format);
    } catch (error) {
      if (error instanceof Error && "syscall" in error) throw new InputError(`${options.out}: ${reasonOf(error)}`);
      throw error;
    }
  });
}

function exportArchive({ daemon, images, zone }: OnDriver, out: string, format: SaveFormat): string {
  const saved = images.map((image) => ({ image, tags: daemon.images.tagsOf(image.config.id) }));
  const tar = savedTar(must(saveImages(daemon.images, saved, { format, zone })));
  // What is written may be read from the very file that it replaces.
  const file = new WholeFile(out);
  try {
    for (const piece of tar.chunks()) file.write(piece);
  } catch (error) {
    file.abandon();
    throw error;
  }
  file.close();
  return `${images.length} images, ${tar.length} bytes, ${out}\n`;
}

/** The folder of skopeo's transport `dir`: one image. */
function exportToRegistry(loaded: OnDriver, { out, image: name }: ExportOptions): string {
  const image = chosen(loaded, name);
  const reference = loaded.daemon.images.tagsOf(image.config.id)[0] ?? "image:latest";
  const { manifest, digest, blobs } = must(pushImage(loaded.daemon.images, image, reference));
  mkdirSync(out, { recursive: true });
  writeContent(join(out, "version"), Content.text("Directory Transport Version: 1.1\n"));
  for (const [blob, content] of blobs) writeContent(join(out, blob.slice(7)), content);
  writeContent(join(out, "manifest.json"), Content.literal(manifest));
  return `${reference}: digest: ${digest} size: ${manifest.length}\n`;
}

function writeContent(path: string, content: Content): void {
  const fd = openSync(path, "w");
  try {
    for (const piece of content.chunks()) for (let done = 0; done < piece.length; ) done += writeSync(fd, piece, done);
  } finally {
    closeSync(fd);
  }
}
