/**
 * Archives of `docker save` from version 1.10 on: `manifest.json` lists the images (moby v20.10.27 image/tarexport/load.go).
 */
import { ArchiveFault } from "../archive/fault.ts";
import { isRecord, type Json } from "../calls/json.ts";
import { CONFIG_MAX, readConfig } from "./config.ts";
import { type ImageFiles, requireBytes, requireFile } from "./files.ts";
import { type JsonRecord, textOf, textsOf } from "./go-json.ts";
import { checkCounts, checkTag, type ReadContext, type SourceImage } from "./source-image.ts";

/** Reads the images that `manifest.json` lists. @throws ArchiveFault */
export function readDockerArchive(files: ImageFiles, manifest: Json, context: ReadContext): SourceImage[] {
  if (!Array.isArray(manifest)) throw new ArchiveFault("E_IMAGE_JSON", "manifest.json is no list");
  if (manifest.length === 0) throw new ArchiveFault("E_IMAGE_LAYERS", "manifest.json names no image");
  return manifest.map((item) => {
    if (!isRecord(item)) throw new ArchiveFault("E_IMAGE_JSON", "manifest.json: an image is no object");
    return dockerImage(files, item, context);
  });
}

const CONFIG_NAME = /^(?:blobs\/sha256\/)?([0-9a-f]{64})(?:\.json)?$/;

function dockerImage(files: ImageFiles, item: JsonRecord, context: ReadContext): SourceImage {
  const name = textOf(item, "Config", "manifest.json");
  const config = readConfig(requireBytes(files, name, CONFIG_MAX), context.newHasher);
  const named = CONFIG_NAME.exec(name)?.[1];
  if (context.mode === "strict" && named !== config.id.slice(7))
    throw new ArchiveFault("E_DIGEST_MISMATCH", `the configuration ${JSON.stringify(name)} has the digest ${config.id}`);
  const paths = textsOf(item, "Layers", "manifest.json");
  checkCounts(config, paths.length, context.mode);
  const layers = paths.map((path, index) => {
    const blob = /^blobs\/sha256\/(.*)$/.exec(path)?.[1];
    if (blob !== undefined && context.mode === "strict" && `sha256:${blob}` !== config.diffIds[index])
      throw new ArchiveFault("E_DIGEST_MISMATCH", `layer ${index} is ${path}, the configuration says ${config.diffIds[index]}`);
    return requireFile(files, path);
  });
  const tags = textsOf(item, "RepoTags", "manifest.json");
  for (const tag of tags) checkTag(tag);
  const parent = textOf(item, "Parent", "manifest.json");
  return { config, tags, layers, zone: zoneOf(files, paths), ...(parent === "" ? {} : { parent }) };
}

/** The zone of the daemon that saved: what its clock showed for the beginning of 1970, in the folder of a layer below the top. */
function zoneOf(files: ImageFiles, paths: readonly string[]): string {
  const first = paths.length > 1 ? files.get((paths[0] ?? "").replace(/layer\.tar$/, "json")) : undefined;
  if (first === undefined || first.length > CONFIG_MAX) return "Z";
  const created = /"created":"(?:1970-01-01|1969-12-31)T\d\d:\d\d:00(Z|[+-]\d\d:\d\d)"/.exec(first.toText());
  return created?.[1] ?? "Z";
}
