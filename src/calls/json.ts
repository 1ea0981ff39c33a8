/**
 * JSON whose whole numbers keep all their digits: nanoseconds since 1970 do not fit a double.
 *
 * Interface: a whole number beyond ±(2^53 - 1) is read as a bigint and written as plain digits; all others are numbers. `sameJson`
 * compares by value, whatever the order of an object's keys.
 */

/** What a JSON text can hold. */
export type Json = string | number | bigint | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** The key of the object that stands for a long whole number while JSON.parse or JSON.stringify is at work. */
const MARK = "\u0000digits";
const LONG_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d{16,}(?![\d.eE])/g;
const MARKED = /\{"\\u0000digits":"(-?\d+)"\}/g;

/** Reads a JSON text. @throws SyntaxError as JSON.parse does. */
export function parseJson(text: string): Json {
  if (!/\d{16}/.test(text)) return JSON.parse(text) as Json;
  const marked = text.replace(LONG_NUMBER, (found) => (found.startsWith('"') ? found : `{"\\u0000digits":"${found}"}`));
  return JSON.parse(marked, (_, value: unknown) => {
    if (typeof value !== "object" || value === null || !(MARK in value)) return value;
    return wholeNumber(BigInt(String(value[MARK])));
  }) as Json;
}

/** A whole number as Json holds it: a number where that is exact. */
export function wholeNumber(value: bigint): number | bigint {
  const small = Number(value);
  return Number.isSafeInteger(small) ? small : value;
}

/** The JSON text of a value, on one line, or indented by `indent` spaces. */
export function formatJson(value: Json, indent = 0): string {
  // A function that is asked about each item costs several times as much as the text itself.
  if (!hasLongNumber(value)) return JSON.stringify(value, null, indent);
  const text = JSON.stringify(value, (_, item: unknown) => (typeof item === "bigint" ? { [MARK]: String(item) } : item), indent);
  if (!text.includes("\\u0000digits")) return text;
  return text.replace(indent === 0 ? MARKED : /\{\s*"\\u0000digits": "(-?\d+)"\s*\}/g, "$1");
}

function hasLongNumber(value: Json | undefined): boolean {
  if (typeof value !== "object" || value === null) return typeof value === "bigint";
  return isList(value) ? value.some(hasLongNumber) : Object.values(value).some(hasLongNumber);
}

/** Whether both are the same JSON value. */
export function sameJson(one: Json | undefined, other: Json | undefined): boolean {
  if (one === other) return true;
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return false;
  if (isList(one)) {
    if (!isList(other) || one.length !== other.length) return false;
    return one.every((item, index) => sameJson(item, other[index]));
  }
  if (isList(other)) return false;
  const keys = Object.keys(one);
  if (keys.length !== Object.keys(other).length) return false;
  return keys.every((key) => Object.hasOwn(other, key) && sameJson(one[key], other[key]));
}

/** Whether a value is a JSON array. */
export function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

/** Whether a value is a JSON object. */
export function isRecord(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
