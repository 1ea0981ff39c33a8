/**
 * A v1 image's JSON as a configuration of today (moby v20.10.27 image/v1/imagev1.go: MakeConfigFromV1Config, HistoryFromConfig).
 */
import type { Json } from "../calls/json.ts";
import { fieldOf, goJson, goText, goTime, type JsonRecord, sortedKeys, textOf } from "./go-json.ts";
import { encodeV1Image } from "./v1-image.ts";

/** Fields of a v1 image that its configuration does not keep. */
const DROPPED = ["id", "parent", "Size", "parent_id", "layer_id", "throwaway"];
/** From this version on a v1 image's JSON is taken as it stands. */
const NO_FALLBACK = [1, 8, 3];

/** The history's entry of a v1 image. It never says that a layer is empty: a step that changed nothing keeps its diffID. */
export function v1History(record: JsonRecord): JsonRecord {
  const text = (key: string): string => textOf(record, key, "v1 image");
  const config = fieldOf(record, "container_config");
  const command = typeof config === "object" && config !== null ? fieldOf(config as JsonRecord, "Cmd") : undefined;
  const entry: Record<string, Json> = { created: goTime(text("created") || "0001-01-01T00:00:00Z") };
  const optional = {
    author: text("author"),
    created_by: Array.isArray(command) ? command.join(" ") : "",
    comment: text("comment"),
  };
  for (const [key, value] of Object.entries(optional)) if (value !== "") entry[key] = value;
  return entry;
}

/** MakeConfigFromV1Config: the JSON as it stands, less what names v1 images, with layers and history. */
export function v1Config(record: JsonRecord, diffIds: readonly string[], history: readonly Json[]): Uint8Array {
  const version = textOf(record, "docker_version", "v1 image").split(".").map(Number);
  const order = NO_FALLBACK.map((part, index) => (version[index] ?? 0) - part).find((difference) => difference !== 0) ?? 0;
  const rows: Record<string, string> = {};
  if (order < 0) for (const [key, text] of encodeV1Image({ image: record })) rows[key] = text;
  else for (const [key, value] of Object.entries(record)) rows[key] = goJson(value);
  for (const key of DROPPED) delete rows[key];
  rows["rootfs"] = `{"type":"layers","diff_ids":${goJson(diffIds)}}`;
  rows["history"] = goJson(history);
  const parts = sortedKeys(rows).map(([key, text]) => `${goText(key)}:${text}`);
  return new TextEncoder().encode(`{${parts.join(",")}}`);
}
