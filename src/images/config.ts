/**
 * An image's configuration: the JSON whose digest is the image ID (moby v20.10.27 image/image.go).
 *
 * Interface: the bytes that came are kept as they are; what is read from them is only a view.
 */

import { digestOf, isDigest, type NewHasher } from "../archive/digest.ts";
import { ArchiveFault } from "../archive/fault.ts";
import { isRecord, type Json } from "../calls/json.ts";
import {
  fieldOf,
  goJson,
  goText,
  goTime,
  type JsonRecord,
  listOf,
  readRecord,
  recordOf,
  sortedKeys,
  textOf,
  textsOf,
} from "./go-json.ts";
import { encodeContainerConfig } from "./v1-image.ts";

/** One line of `docker history`. */
export interface HistoryEntry {
  /** As it stands in the configuration; "" where there is none. */
  readonly created: string;
  readonly createdBy: string;
  readonly author: string;
  readonly comment: string;
  /** Whether the step made no layer. */
  readonly emptyLayer: boolean;
}

export interface ImageConfig {
  /** The image ID: "sha256:…". */
  readonly id: string;
  readonly raw: Uint8Array;
  readonly record: JsonRecord;
  /** The base first. */
  readonly diffIds: readonly string[];
  readonly history: readonly HistoryEntry[];
}

/** The longest configuration that is read. */
export const CONFIG_MAX: number = 4 * 2 ** 20;
/** More layers than any driver can stack. */
const LAYERS_MAX = 1024;

/** Reads a configuration. @throws ArchiveFault with Docker's words where it has some */
export function readConfig(raw: Uint8Array, newHasher: NewHasher): ImageConfig {
  const record = readRecord(raw, "image configuration");
  const rootfs = recordOf(record, "rootfs", "image configuration");
  if (rootfs === undefined) throw new ArchiveFault("E_IMAGE_JSON", "invalid image JSON, no RootFS key");
  const diffIds = textsOf(rootfs, "diff_ids", "rootfs");
  for (const id of diffIds) if (!isDigest(id)) throw new ArchiveFault("E_DIGEST_FORMAT", `invalid digest ${JSON.stringify(id)}`);
  if (diffIds.length > LAYERS_MAX) throw new ArchiveFault("E_LIMIT", `the image has more than ${LAYERS_MAX} layers`);
  const history = listOf(record, "history", "image configuration").map(historyEntry);
  if (history.filter((entry) => !entry.emptyLayer).length > diffIds.length)
    throw new ArchiveFault("E_IMAGE_LAYERS", "too many non-empty layers in History section");
  const created = textOf(record, "created", "image configuration");
  if (created !== "") goTime(created);
  return { id: digestOf(raw, newHasher), raw, record, diffIds, history };
}

function historyEntry(value: Json): HistoryEntry {
  if (!isRecord(value)) throw new ArchiveFault("E_IMAGE_JSON", "an entry of history is no object");
  const text = (key: string): string => textOf(value, key, "history");
  const created = text("created");
  return {
    created: created === "" ? "" : goTime(created),
    createdBy: text("created_by"),
    author: text("author"),
    comment: text("comment"),
    emptyLayer: fieldOf(value, "empty_layer") === true,
  };
}

/** What a new image is made of. */
export interface NewImage {
  readonly architecture: string;
  readonly os: string;
  readonly created: string;
  readonly author?: string;
  readonly comment?: string;
  /** container.Config of what is run; absent: none was given. */
  readonly config?: JsonRecord;
  readonly container?: string;
  readonly containerConfig?: JsonRecord;
  readonly dockerVersion?: string;
  readonly history: readonly HistoryEntry[];
  readonly diffIds: readonly string[];
}

/** The configuration's bytes as Docker writes them: top-level keys sorted, the rest in the structs' order. */
export function encodeConfig(image: NewImage): Uint8Array {
  const rows: Record<string, string> = {
    architecture: goText(image.architecture),
    container_config: encodeContainerConfig(image.containerConfig),
    created: goText(goTime(image.created)),
    os: goText(image.os),
    rootfs: `{"type":"layers","diff_ids":${image.diffIds.length === 0 ? "null" : goJson(image.diffIds)}}`,
  };
  if (image.config !== undefined) rows["config"] = encodeContainerConfig(image.config);
  if (image.history.length > 0) rows["history"] = `[${image.history.map(encodeHistory).join(",")}]`;
  const optional = {
    author: image.author,
    comment: image.comment,
    container: image.container,
    docker_version: image.dockerVersion,
  };
  for (const [key, text] of Object.entries(optional)) if (text !== undefined && text !== "") rows[key] = goText(text);
  const text = sortedKeys(rows).map(([key, value]) => `${goText(key)}:${value}`);
  return new TextEncoder().encode(`{${text.join(",")}}`);
}

/** The bytes of an image that has other layers. */
export function withLayers(
  { record }: ImageConfig,
  changed: { readonly created: string; readonly history: readonly HistoryEntry[]; readonly diffIds: readonly string[] },
): Uint8Array {
  const text = (key: string): string => textOf(record, key, "image configuration");
  const config = recordOf(record, "config", "image configuration");
  const containerConfig = recordOf(record, "container_config", "image configuration");
  return encodeConfig({
    architecture: text("architecture"),
    os: text("os"),
    author: text("author"),
    comment: text("comment"),
    container: text("container"),
    dockerVersion: text("docker_version"),
    ...(config === undefined ? {} : { config }),
    ...(containerConfig === undefined ? {} : { containerConfig }),
    ...changed,
  });
}

function encodeHistory(entry: HistoryEntry): string {
  const rows = [`"created":${goText(entry.created === "" ? "0001-01-01T00:00:00Z" : goTime(entry.created))}`];
  if (entry.author !== "") rows.push(`"author":${goText(entry.author)}`);
  if (entry.createdBy !== "") rows.push(`"created_by":${goText(entry.createdBy)}`);
  if (entry.comment !== "") rows.push(`"comment":${goText(entry.comment)}`);
  if (entry.emptyLayer) rows.push('"empty_layer":true');
  return `{${rows.join(",")}}`;
}
