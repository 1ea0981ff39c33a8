/**
 * Opens compressed data of every kind that Docker takes, at once and without the machine's help.
 */
import type { Content } from "../../sim/core/content.ts";
import { unpackBzip2 } from "./bzip2.ts";
import { type Compression, compressionOf } from "./compression.ts";
import { gunzip } from "./inflate.ts";
import { unpackXz } from "./xz.ts";
import { unpackZstd } from "./zstd.ts";

/** What compressed data unpack to. @throws ArchiveFault */
export function openCompressed(content: Content, kind: Exclude<Compression, "none">): Content {
  if (kind === "zstd") return unpackZstd(content);
  const raw = content.toBytes();
  const open = { gzip: gunzip, bzip2: unpackBzip2, xz: unpackXz }[kind];
  return open(raw).content;
}

/** Content as it is, or what it unpacks to. @throws ArchiveFault */
export function opened(content: Content): Content {
  const kind = compressionOf(content);
  return kind === "none" ? content : openCompressed(content, kind);
}
