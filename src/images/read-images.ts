/**
 * Reads the images of an archive: what `docker save` wrote in any version, an OCI image layout, or an image as a registry has it.
 *
 * Interface: nothing is taken on trust: a file named by its digest is hashed before it is believed.
 */
import { ArchiveFault } from "../archive/fault.ts";
import { isRecord } from "../calls/json.ts";
import { CONFIG_MAX } from "./config.ts";
import { readDockerArchive } from "./docker-archive.ts";
import { type ImageFiles, requireBytes } from "./files.ts";
import { readJson } from "./go-json.ts";
import { isLegacyArchive, readLegacyArchive } from "./legacy-archive.ts";
import { readLayout } from "./oci-layout.ts";
import { readRegistryImages } from "./registry-image.ts";
import type { ReadContext, SourceArchive } from "./source-image.ts";

/** Reads the list of images. @throws ArchiveFault */
export async function readImages(files: ImageFiles, context: ReadContext): Promise<SourceArchive> {
  const names = new Set(files.names);
  if (names.has("manifest.json")) {
    const manifest = readJson(requireBytes(files, "manifest.json", CONFIG_MAX), "manifest.json");
    if (isRecord(manifest)) return { format: "registry", images: readRegistryImages(files, manifest, context) };
    return { format: "docker-archive", images: readDockerArchive(files, manifest, context) };
  }
  if (names.has("index.json")) return { format: "oci-layout", images: readLayout(files, context) };
  if (isLegacyArchive(files)) return { format: "legacy-archive", images: await readLegacyArchive(files, context) };
  throw new ArchiveFault(
    "E_FORMAT",
    "the archive holds no manifest.json, no index.json, and no image in the form before Docker 1.10",
  );
}
