/**
 * JSON as Go's encoding/json writes it: compact, `<`, `>`, `&` and the line separators escaped, a struct's fields in their order, maps by key.
 * The bytes matter: an image's ID is their digest.
 */

import { ArchiveFault } from "../archive/fault.ts";
import { isList, isRecord, type Json, parseJson } from "../calls/json.ts";

export interface JsonRecord {
  readonly [key: string]: Json;
}

/** Texts longer than this are refused before they are read; Docker's own limit on a manifest is 4 MiB. */
const TEXT_MAX = 4 * 2 ** 20;
const DEPTH_MAX = 64;

const STRICT_UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** How deep brackets nest outside of strings. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inText = false;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === 0x22) inText = !inText;
    else if (inText) at += unit === 0x5c ? 1 : 0;
    else if (unit === 0x7b || unit === 0x5b) deepest = Math.max(deepest, ++depth);
    else if (unit === 0x7d || unit === 0x5d) depth -= 1;
  }
  return deepest;
}

/** Reads a JSON document. @param what - names it in errors. @throws ArchiveFault E_IMAGE_JSON, E_LIMIT */
export function readJson(raw: Uint8Array, what: string): Json {
  if (raw.length > TEXT_MAX) throw new ArchiveFault("E_LIMIT", `${what} is longer than 4 MiB`);
  let text: string;
  try {
    text = STRICT_UTF8.decode(raw);
  } catch {
    throw new ArchiveFault("E_IMAGE_JSON", `${what} is no UTF-8 text`);
  }
  if (depthOf(text) > DEPTH_MAX) throw new ArchiveFault("E_LIMIT", `${what} nests deeper than ${DEPTH_MAX} levels`);
  try {
    return parseJson(text);
  } catch (error) {
    throw new ArchiveFault("E_IMAGE_JSON", `${what}: ${error instanceof Error ? error.message : "no JSON"}`);
  }
}

/** Reads a JSON document that is an object. */
export function readRecord(raw: Uint8Array, what: string): JsonRecord {
  const value = readJson(raw, what);
  if (!isRecord(value)) throw new ArchiveFault("E_IMAGE_JSON", `${what} is no JSON object`);
  return value;
}

/** A record's own field; null counts as absent. */
export function fieldOf(record: JsonRecord, key: string): Json | undefined {
  return Object.hasOwn(record, key) ? (record[key] ?? undefined) : undefined;
}

/** A field that must be a text where it is there. */
export function textOf(record: JsonRecord, key: string, what: string): string {
  const value = fieldOf(record, key);
  if (value !== undefined && typeof value !== "string") throw wrong(what, key, "text");
  return value ?? "";
}

/** A field that must be a list where it is there. */
export function listOf(record: JsonRecord, key: string, what: string): readonly Json[] {
  const value = fieldOf(record, key);
  if (value !== undefined && !isList(value)) throw wrong(what, key, "list");
  return value ?? [];
}

/** A field that must be a list of texts where it is there. */
export function textsOf(record: JsonRecord, key: string, what: string): readonly string[] {
  return listOf(record, key, what).map((item) => {
    if (typeof item !== "string") throw wrong(what, key, "list of texts");
    return item;
  });
}

/** A field that must be an object where it is there. */
export function recordOf(record: JsonRecord, key: string, what: string): JsonRecord | undefined {
  const value = fieldOf(record, key);
  if (value !== undefined && !isRecord(value)) throw wrong(what, key, "object");
  return value;
}

export function wrong(what: string, key: string, kind: string): ArchiveFault {
  return new ArchiveFault("E_IMAGE_JSON", `${what}: ${key} is no ${kind}`);
}

const ESCAPES: Readonly<Record<string, string>> = {
  "<": "\\u003c",
  ">": "\\u003e",
  "&": "\\u0026",
  "\u2028": "\\u2028",
  "\u2029": "\\u2029",
};

/** A text as Go writes it. */
export function goText(text: string): string {
  return JSON.stringify(text)
    .replace(/\\(u[0-9a-f]{4}|.)/g, (whole, unit: string) => {
      if (unit === "b") return "\\u0008";
      if (unit === "f") return "\\u000c";
      return /^ud[89a-f]/.test(unit) ? "\\ufffd" : whole;
    })
    .replace(/[<>&\u2028\u2029]/g, (unit) => ESCAPES[unit] ?? unit);
}

/** Any JSON value as Go writes it, an object's keys in the order they have. */
export function goJson(value: Json): string {
  if (typeof value === "string") return goText(value);
  if (typeof value !== "object" || value === null) return String(value);
  if (isList(value)) return `[${value.map(goJson).join(",")}]`;
  return `{${Object.entries(value)
    .map(([key, inner]) => `${goText(key)}:${goJson(inner)}`)
    .join(",")}}`;
}

/** The same object with its keys sorted by their bytes. */
export function sortedKeys<T>(record: { readonly [key: string]: T }): [string, T][] {
  const encoder = new TextEncoder();
  const rows = Object.entries(record).map(([key, value]) => ({ key, value, raw: encoder.encode(key) }));
  rows.sort((one, other) => compareBytes(one.raw, other.raw));
  return rows.map(({ key, value }) => [key, value]);
}

/** Orders byte strings. */
function compareBytes(one: Uint8Array, other: Uint8Array): number {
  const shared = Math.min(one.length, other.length);
  for (let at = 0; at < shared; at++) {
    const order = (one[at] as number) - (other[at] as number);
    if (order !== 0) return order;
  }
  return one.length - other.length;
}

const TIME = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:\d\d)$/;

/** A time as Go writes what it has read: RFC 3339, no zeros at the end of the fraction. @throws ArchiveFault for no time */
export function goTime(text: string): string {
  const parts = TIME.exec(text);
  if (parts === null) throw new ArchiveFault("E_IMAGE_JSON", `${JSON.stringify(text)} is no time`);
  const fraction = (parts[2] ?? "").replace(/0+$/, "");
  const zone = parts[3] === "+00:00" || parts[3] === "-00:00" ? "Z" : parts[3];
  return `${parts[1]}${fraction === "" ? "" : `.${fraction}`}${zone}`;
}
