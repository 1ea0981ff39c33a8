/**
 * A step of a trace or scenario that makes one system call, and what came of it.
 *
 * Interface: the form is that of the recorded traces (docs/traces.md): `call` names the call, the other keys are its
 * arguments. Arguments are read through the functions here, which throw a StepError with one clear sentence for a wrong one.
 */
import { type Time, timeFromNanoseconds } from "../../sim/core/clock.ts";
import { Content } from "../../sim/core/content.ts";
import { isList, isRecord, type Json } from "./json.ts";

/** One step as it was read; its keys are checked by the call that it names. */
export type Step = { readonly [key: string]: Json };

/** What a call gave: nothing but success, a value, or the name of an error. */
export type CallResult = { readonly ok: true } | { readonly value: Json } | { readonly errno: string };

/** A step that cannot be made: an unknown call, a missing or wrong argument. Never an answer of the kernel. */
export class StepError extends Error {
  override readonly name = "StepError";
}

function wrong(step: Step, key: string, expected: string): StepError {
  const found = step[key];
  const shown =
    found === undefined
      ? "it is missing"
      : `not ${JSON.stringify(found, (_, v: unknown) => (typeof v === "bigint" ? String(v) : v))}`;
  return new StepError(`${String(step["call"] ?? step["lab"] ?? "step")}: ${key} must be ${expected}, ${shown}`);
}

/**
 * An argument. The usual ones are asked for by their own names: an access that has met many names is several times as slow, and steps of one
 * shape are read hundreds of thousands of times a second (src/fuzz/world.ts).
 */
function argumentOf(step: Step, key: string): Json | undefined {
  switch (key) {
    case "path":
      return step["path"];
    case "fd":
      return step["fd"];
    case "to":
      return step["to"];
    case "name":
      return step["name"];
    case "len":
      return step["len"];
    case "offset":
      return step["offset"];
    case "mode":
      return step["mode"];
    case "flags":
      return step["flags"];
    default:
      return step[key];
  }
}

/** A text argument. */
export function textOf(step: Step, key: string): string {
  const value = argumentOf(step, key);
  if (typeof value !== "string") throw wrong(step, key, "a text");
  return value;
}

/** A whole number, negative ones too; one that is left out is `otherwise`. Beyond 2^53 it is rounded as a double. */
export function wholeOf(step: Step, key: string, otherwise?: number): number {
  const value = argumentOf(step, key);
  if (value === undefined && otherwise !== undefined) return otherwise;
  if (typeof value === "bigint") return Number(value);
  if (typeof value !== "number" || !Number.isInteger(value)) throw wrong(step, key, "a whole number");
  return value;
}

/** Arguments that were read before, so that steps that are made again and again are not read each time. */
const MODES = new Map<Json | undefined, number>();
const FILLS = new WeakMap<object, Content>();
const TEXTS = new Map<string, Content>();
const VALUES = new Map<string, Uint8Array>();
const TIMES = new Map<Json | undefined, Time>();
const UTF8 = new TextEncoder();
/** How many of a kind are kept. */
const KEPT_MAX = 1000;

/** Permission bits as octal text; one that is left out is `otherwise`. */
export function modeOf(step: Step, key: string, otherwise?: number): number {
  const value = argumentOf(step, key);
  if (value === undefined && otherwise !== undefined) return otherwise;
  const known = MODES.get(value);
  if (known !== undefined) return known;
  if (typeof value !== "string" || !/^[0-7]{1,7}$/.test(value)) throw wrong(step, key, 'octal digits such as "0644"');
  const mode = Number.parseInt(value, 8);
  if (MODES.size < KEPT_MAX) MODES.set(value, mode);
  return mode;
}

/** The sum of named bits; a list that is left out is 0. */
export function bitsOf(step: Step, key: string, names: Readonly<Record<string, number>>): number {
  const value = argumentOf(step, key);
  if (value === undefined) return 0;
  if (!isList(value)) throw wrong(step, key, "a list of names");
  let bits = 0;
  for (const name of value) {
    const bit = typeof name === "string" && Object.hasOwn(names, name) ? names[name] : undefined;
    if (bit === undefined) throw wrong(step, key, `a list of ${Object.keys(names).join(", ")}`);
    bits |= bit;
  }
  return bits;
}

/** One of a set of names, as the number that stands for it. */
export function choiceOf<T>(step: Step, key: string, choices: Readonly<Record<string, T>>, otherwise?: T): T {
  const value = argumentOf(step, key);
  if (value === undefined && otherwise !== undefined) return otherwise;
  const chosen = typeof value === "string" && Object.hasOwn(choices, value) ? choices[value] : undefined;
  if (chosen === undefined) throw wrong(step, key, `one of ${Object.keys(choices).join(", ")}`);
  return chosen;
}

/** true, false, or false where it is left out. */
export function flagOf(step: Step, key: string): boolean {
  const value = argumentOf(step, key) ?? false;
  if (typeof value !== "boolean") throw wrong(step, key, "true or false");
  return value;
}

/** A text's bytes, which nobody changes: that of an extended attribute. */
export function bytesOf(step: Step, key: string): Uint8Array {
  const text = textOf(step, key);
  const known = VALUES.get(text);
  if (known !== undefined) return known;
  const made = UTF8.encode(text);
  if (VALUES.size < KEPT_MAX) VALUES.set(text, made);
  return made;
}

function textContentOf(text: string): Content {
  const known = TEXTS.get(text);
  if (known !== undefined) return known;
  const made = Content.text(text);
  if (TEXTS.size < KEPT_MAX) TEXTS.set(text, made);
  return made;
}

/** A text, or a unit that is repeated: `{"fill": unit, "len": bytes}`. */
export function dataOf(step: Step, key: string): Content {
  const value = argumentOf(step, key);
  if (typeof value === "string") return textContentOf(value);
  if (isRecord(value)) {
    const known = FILLS.get(value);
    if (known !== undefined) return known;
    const { fill, len } = value;
    if (typeof fill === "string" && fill !== "" && typeof len === "number" && Number.isSafeInteger(len) && len >= 0) {
      const made = Content.repeat(UTF8.encode(fill), len);
      FILLS.set(value, made);
      return made;
    }
  }
  throw wrong(step, key, 'a text or {"fill": text, "len": bytes}');
}

/** Nanoseconds since 1970, "NOW" or "OMIT". */
export function timeOf(step: Step, key: string): Time | "NOW" | "OMIT" {
  const value = argumentOf(step, key);
  if (value === "NOW" || value === "OMIT") return value;
  const known = TIMES.get(value);
  if (known !== undefined) return known;
  if (typeof value === "bigint" || (typeof value === "number" && Number.isInteger(value))) {
    const time = timeFromNanoseconds(BigInt(value));
    if (TIMES.size < KEPT_MAX) TIMES.set(value, time);
    return time;
  }
  throw wrong(step, key, '"NOW", "OMIT" or nanoseconds since 1970');
}

/** A device number's two parts; 0, 0 where it is left out. */
export function deviceOf(step: Step, key: string): readonly [number, number] {
  const value = argumentOf(step, key);
  if (value === undefined) return [0, 0];
  if (isList(value) && value.length === 2) {
    const [major, minor] = value;
    if (isPart(major, 2 ** 12) && isPart(minor, 2 ** 20)) return [major, minor];
  }
  throw wrong(step, key, "[major, minor]");
}

function isPart(value: Json | undefined, limit: number): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value < limit;
}
