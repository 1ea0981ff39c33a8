/**
 * What reads the arguments of node:fs's functions: each gives the value as the calls want it, or throws as Node's own check would
 * (Node 20 lib/internal/validators.js, lib/internal/fs/utils.js). A table of operations names them in the order of the arguments.
 */
import { Buffer } from "node:buffer";
import { fileURLToPath } from "node:url";
import { O_APPEND, O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_SYNC, O_TRUNC, O_WRONLY } from "../../sim/vfs/filesystem.ts";
import { plainRangeError, plainTypeError, rangeError, rangeText, typeError, typeText, valueError } from "./errors.ts";

/** Reads one argument. */
export type Reader<T> = (value: unknown) => T;

const UINT32_MAX = 2 ** 32 - 1;
const INT32_MIN = -(2 ** 31);
const INT32_MAX = 2 ** 31 - 1;

/** Half a character, which UTF-8 has no bytes for. */
const HALF_CHARACTER = /\p{Surrogate}/u;

/** A path as text: a string, the UTF-8 text of a Uint8Array, or a file URL's path. */
export function pathNamed(name: string): Reader<string> {
  return (value) => {
    if (typeof value === "string") {
      if (value.includes("\0")) throw valueError(name, value, "must be a string, Uint8Array, or URL without null bytes");
      return HALF_CHARACTER.test(value) ? Buffer.from(value).toString() : value;
    }
    const plain = isUrl(value) ? fileURLToPath(value.href) : value;
    if (typeof plain === "string") return pathNamed(name)(plain);
    if (!(plain instanceof Uint8Array)) throw typeError(name, "of type string or an instance of Buffer or URL", value);
    if (plain.includes(0)) throw valueError(name, plain, "must be a string, Uint8Array, or URL without null bytes");
    return Buffer.from(plain.buffer, plain.byteOffset, plain.byteLength).toString();
  };
}

/** A path as realpath takes it: anything becomes text. */
export const pathText: Reader<string> = (value) =>
  pathNamed("path")(isUrl(value) || value instanceof Uint8Array ? value : String(value));

/** A URL of any realm: what Node takes for one. */
function isUrl(value: unknown): value is URL {
  if (typeof value !== "object" || value === null) return false;
  const { href, protocol } = value as { href?: unknown; protocol?: unknown };
  return typeof href === "string" && href !== "" && typeof protocol === "string" && protocol !== "";
}

export const path: Reader<string> = pathNamed("path");

/** A whole number within limits. */
export function integer(
  value: unknown,
  name: string,
  min: number = Number.MIN_SAFE_INTEGER,
  max: number = Number.MAX_SAFE_INTEGER,
): number {
  if (typeof value !== "number") throw typeError(name, "of type number", value);
  if (!Number.isInteger(value)) throw rangeError(name, "an integer", value);
  if (value < min || value > max) throw rangeError(name, `>= ${min} && <= ${max}`, value);
  return value;
}

function int32(value: unknown, name: string, min: number = INT32_MIN): number {
  return integer(value, name, min, INT32_MAX);
}

/** A descriptor. */
export const fd: Reader<number> = (value) => (Object.is(value, -0) ? 0 : int32(value, "fd", 0));

/** A descriptor of the calls that leave it to C++ to check theirs: the same words in a plain error. */
export const nativeFd: Reader<number> = (value) => {
  if (typeof value !== "number") throw plainTypeError(typeText("fd", "of type number", value));
  if (!Number.isInteger(value)) throw plainRangeError(rangeText("fd", "an integer", value));
  if (value < 0 || value > INT32_MAX) throw plainRangeError(rangeText("fd", `>= 0 && <= ${INT32_MAX}`, value));
  return value;
};

/** A number of 32 bits without sign, from `min` on. */
function uint32(value: unknown, name: string, min = 0): number {
  return integer(value, name, min, UINT32_MAX);
}

/** Permission bits: a number or octal text. @param absent - what undefined stands for; none: an error. */
export function modeNamed(name: string, absent?: number): Reader<number> {
  return (value) => {
    const given = value ?? absent;
    if (typeof given !== "string") return uint32(given, name);
    if (!/^[0-7]+$/.test(given)) throw valueError(name, value, "must be a 32-bit unsigned integer or an octal string");
    return uint32(Number.parseInt(given, 8), name);
  };
}

/** What access and copyFile are asked for: bits from 0 to 7; what a number has behind its point is left out. */
export const bits: Reader<number> = (value) => {
  if (value === undefined || value === null) return 0;
  if (typeof value !== "number") throw plainTypeError("mode must be int32 or null/undefined");
  const whole = Math.trunc(value);
  if (whole !== (whole | 0)) throw plainRangeError("mode is out of range");
  if (whole < 0 || whole > 7) throw plainRangeError("mode is out of range: >= 0 && <= 7");
  return whole | 0;
};

/** An owner's id: -1 means as it is. */
export function ownerNamed(name: string): Reader<number> {
  return (value) => {
    const id = integer(value, name, -1, UINT32_MAX);
    return id === UINT32_MAX ? -1 : id;
  };
}

const FLAG_LETTERS: Readonly<Record<string, number>> = {
  r: O_RDONLY,
  "r+": O_RDWR,
  w: O_TRUNC | O_CREAT | O_WRONLY,
  "w+": O_TRUNC | O_CREAT | O_RDWR,
  a: O_APPEND | O_CREAT | O_WRONLY,
  "a+": O_APPEND | O_CREAT | O_RDWR,
};

/** The flags of open: O_* bits, or text such as "wx+"; by default of `absent`. */
export function flagsNamed(name = "flags", absent = "r"): Reader<number> {
  return (value) => {
    const given = value ?? absent;
    if (typeof given === "number") return int32(given, name);
    const bits = typeof given === "string" ? flagBits(given) : undefined;
    if (bits === undefined) throw valueError("flags", given);
    return bits;
  };
}

function flagBits(text: string): number | undefined {
  const plain = FLAG_LETTERS[text];
  if (plain !== undefined) return plain;
  const match = /^(?:([rwa])([xs])|([xs])([rwa]))(\+?)$/.exec(text);
  if (match === null) return undefined;
  const letter = match[1] ?? match[4] ?? "";
  const extra = match[2] ?? match[3];
  const base = FLAG_LETTERS[letter + match[5]] ?? 0;
  if (extra === "x") return letter === "r" ? undefined : base | O_EXCL;
  return letter === "w" ? undefined : base | O_SYNC;
}

/** A point in time in seconds since 1970; "now" for a negative number. */
export function secondsNamed(name = "time"): Reader<number | "now"> {
  return (value) => {
    if (typeof value === "string" && Number.isFinite(Number(value))) return Number(value);
    if (typeof value === "number" && Number.isFinite(value)) return value < 0 ? "now" : value;
    if (value instanceof Date) return value.getTime() / 1000;
    throw typeError(name, "an instance of Date or an Time in seconds", value);
  };
}

/** Bytes of any view. */
export function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

export const view: Reader<ArrayBufferView> = (value) => {
  if (!ArrayBuffer.isView(value)) throw typeError("buffer", "an instance of Buffer, TypedArray, or DataView", value);
  return value;
};

export const views: Reader<readonly ArrayBufferView[]> = (value) => {
  if (!Array.isArray(value) || !value.every((one) => ArrayBuffer.isView(one)))
    throw typeError("buffers", "an ArrayBufferView[]", value);
  return value;
};

/** An object of options, or an encoding alone. */
export type Options = Readonly<Record<string, unknown>> & { readonly encoding?: string | null };
const NONE: Options = {};

/** Options that may be an encoding (getOptions). */
export const options: Reader<Options> = (value) => {
  if (value === undefined || value === null || typeof value === "function") return NONE;
  if (typeof value === "string") return { encoding: encoding(value) };
  if (typeof value !== "object") throw typeError("options", "one of type string or object", value);
  const given = value as Options;
  if (given.encoding !== undefined && given.encoding !== null) encoding(given.encoding);
  const signal = given["signal"];
  if (signal !== undefined && (typeof signal !== "object" || signal === null || !("aborted" in signal)))
    throw typeError("options.signal", "an instance of AbortSignal", signal);
  return given;
};

function encoding(value: string): string {
  if (value === "" || value === "buffer" || Buffer.isEncoding(value)) return value;
  throw valueError("encoding", value, "is invalid encoding");
}

/** Options that are an object. */
export const objectOptions: Reader<Options> = (value) => {
  if (value === undefined) return NONE;
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw typeError("options", "of type object", value);
  return value as Options;
};

/** Options that nobody checks; null has none, which is a TypeError of the language's own. */
export const looseOptions: Reader<Options> = (value) => {
  const given = (value ?? (value === null ? value : NONE)) as Options & { readonly bigint?: unknown };
  return given.bigint === undefined && typeof given !== "object" ? NONE : given;
};

/** A switch among options. */
export function flagOf(given: Options, key: string): boolean {
  const value = given[key];
  if (value === undefined) return false;
  if (typeof value !== "boolean") throw typeError(`options.${key}`, "of type boolean", value);
  return value;
}

/** A number of retries, milliseconds or entries among options: checked, though nothing here ever needs a second try, or a buffer. */
export function countOf(given: Options, key: string, min = 0): void {
  if (given[key] !== undefined) uint32(given[key], `options.${key}`, min);
}

/** Milliseconds to wait among options, of which the same holds. */
export function delayOf(given: Options, key: string): void {
  if (given[key] !== undefined) int32(given[key], `options.${key}`, 0);
}

/** Text as it is wanted: by default text, else a Buffer, or text in another encoding. */
export function encoded(text: string, given: Options): string | Buffer {
  const wanted = given.encoding;
  if (wanted === undefined || wanted === null || wanted === "" || wanted === "utf8" || wanted === "utf-8") return text;
  const raw = Buffer.from(text);
  return wanted === "buffer" ? raw : raw.toString(wanted as BufferEncoding);
}
