/**
 * The structs of Docker's image JSON, encoded field by field as Go does (moby v20.10.27 image/image.go, api/types/container/config.go).
 */
import { isList, isRecord, type Json } from "../calls/json.ts";
import { fieldOf, goJson, goText, goTime, type JsonRecord, recordOf, sortedKeys, textOf, wrong } from "./go-json.ts";

/** How a field is written. "…?" leaves out what is empty. */
type Kind = "text" | "text?" | "flag" | "flag?" | "number?" | "texts" | "texts?" | "map" | "map?" | "health?";

/** container.Config's fields in their order. */
const CONTAINER_CONFIG: readonly (readonly [string, Kind])[] = [
  ["Hostname", "text"],
  ["Domainname", "text"],
  ["User", "text"],
  ["AttachStdin", "flag"],
  ["AttachStdout", "flag"],
  ["AttachStderr", "flag"],
  ["ExposedPorts", "map?"],
  ["Tty", "flag"],
  ["OpenStdin", "flag"],
  ["StdinOnce", "flag"],
  ["Env", "texts"],
  ["Cmd", "texts"],
  ["Healthcheck", "health?"],
  ["ArgsEscaped", "flag?"],
  ["Image", "text"],
  ["Volumes", "map"],
  ["WorkingDir", "text"],
  ["Entrypoint", "texts"],
  ["NetworkDisabled", "flag?"],
  ["MacAddress", "text?"],
  ["OnBuild", "texts"],
  ["Labels", "map"],
  ["StopSignal", "text?"],
  ["StopTimeout", "number?"],
  ["Shell", "texts?"],
];

const HEALTH: readonly (readonly [string, Kind])[] = [
  ["Test", "texts?"],
  ["Interval", "number?"],
  ["Timeout", "number?"],
  ["StartPeriod", "number?"],
  ["Retries", "number?"],
];

function encodeStruct(record: JsonRecord, fields: readonly (readonly [string, Kind])[], what: string): string {
  const parts: string[] = [];
  for (const [key, kind] of fields) {
    const text = encodeField(fieldOf(record, key), kind, `${what}.${key}`);
    if (text !== undefined) parts.push(`${goText(key)}:${text}`);
  }
  return `{${parts.join(",")}}`;
}

function encodeField(value: Json | undefined, kind: Kind, what: string): string | undefined {
  switch (kind) {
    case "text":
    case "text?":
      if (value !== undefined && typeof value !== "string") throw wrong("image", what, "text");
      return kind === "text?" && (value ?? "") === "" ? undefined : goText(value ?? "");
    case "flag":
    case "flag?":
      if (value !== undefined && typeof value !== "boolean") throw wrong("image", what, "boolean");
      return kind === "flag?" && value !== true ? undefined : String(value ?? false);
    case "number?":
      if (value === undefined) return undefined;
      if (typeof value !== "number" && typeof value !== "bigint") throw wrong("image", what, "number");
      return Number(value) === 0 && !what.endsWith("StopTimeout") ? undefined : String(value);
    case "texts":
    case "texts?":
      return encodeTexts(value, kind === "texts?", what);
    case "map":
    case "map?":
      return encodeMap(value, kind === "map?", what);
    default:
      if (value === undefined) return undefined;
      if (!isRecord(value)) throw wrong("image", what, "object");
      return encodeStruct(value, HEALTH, what);
  }
}

/** A slice of texts; Docker reads one text as a slice of one. */
function encodeTexts(value: Json | undefined, omitsEmpty: boolean, what: string): string | undefined {
  const list = typeof value === "string" ? [value] : value;
  if (list === undefined) return omitsEmpty ? undefined : "null";
  if (!isList(list) || list.some((item) => typeof item !== "string")) throw wrong("image", what, "list of texts");
  return omitsEmpty && list.length === 0 ? undefined : goJson(list);
}

function encodeMap(value: Json | undefined, omitsEmpty: boolean, what: string): string | undefined {
  if (value === undefined) return omitsEmpty ? undefined : "null";
  if (!isRecord(value)) throw wrong("image", what, "object");
  const rows = sortedKeys(value);
  if (omitsEmpty && rows.length === 0) return undefined;
  return `{${rows.map(([key, inner]) => `${goText(key)}:${goJson(inner)}`).join(",")}}`;
}

/** container.Config as Go writes it; of an absent one, its zero value. */
export function encodeContainerConfig(config: JsonRecord | undefined): string {
  return encodeStruct(config ?? {}, CONTAINER_CONFIG, "config");
}

/** What a V1Image is made of. */
export interface V1Parts {
  /** The image's own JSON, of which the v1 fields are taken. */
  readonly image: JsonRecord;
  readonly id?: string;
  readonly parent?: string;
  /** Instead of the image's. */
  readonly os?: string;
}

/** V1Image's fields, each with its text, in the struct's order. */
export function encodeV1Image({ image, id, parent, os }: V1Parts): (readonly [string, string])[] {
  const rows: (readonly [string, string])[] = [];
  const optional = (key: string, text: string): void => void (text === "" ? undefined : rows.push([key, goText(text)]));
  const own = (key: string): void => optional(key, textOf(image, key, "image"));
  optional("id", id ?? "");
  optional("parent", parent ?? "");
  own("comment");
  rows.push(["created", goText(goTime(textOf(image, "created", "image") || "0001-01-01T00:00:00Z"))]);
  own("container");
  rows.push(["container_config", encodeContainerConfig(recordOf(image, "container_config", "image"))]);
  own("docker_version");
  own("author");
  const config = recordOf(image, "config", "image");
  if (config !== undefined) rows.push(["config", encodeContainerConfig(config)]);
  own("architecture");
  own("variant");
  optional("os", os ?? textOf(image, "os", "image"));
  return rows;
}

/** The beginning of 1970 as a clock of that zone shows it. @param zone - "Z", or an offset such as "-05:00" */
export function zeroTime(zone: string): string {
  const parts = /^([+-])(\d\d):(\d\d)$/.exec(zone);
  if (parts === null) return "1970-01-01T00:00:00Z";
  const minutes = (Number(parts[2]) * 60 + Number(parts[3])) * (parts[1] === "-" ? -1 : 1);
  if (minutes === 0) return "1970-01-01T00:00:00Z";
  const inDay = (minutes + 24 * 60) % (24 * 60);
  const clock = [Math.floor(inDay / 60), inDay % 60, 0].map((part) => String(part).padStart(2, "0")).join(":");
  return `${minutes < 0 ? "1969-12-31" : "1970-01-01"}T${clock}${zone}`;
}
