/**
 * Reading the fields of a tar header block and PAX records (Go archive/tar, strconv.go).
 */
import type { Time } from "../../sim/core/clock.ts";
import { ArchiveFault } from "./fault.ts";
import { type Field, nameText } from "./tar-header.ts";

function fieldOf(block: Uint8Array, { at, length }: Field): Uint8Array {
  return block.subarray(at, at + length);
}

/** A text field up to its NUL. */
export function textField(block: Uint8Array, field: Field): string {
  const raw = fieldOf(block, field);
  const end = raw.indexOf(0);
  return nameText(end < 0 ? raw : raw.subarray(0, end));
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0;
}

/**
 * A number: octal digits between blanks, or base-256 where the first bit is set (two's complement).
 * @throws ArchiveFault E_TAR_HEADER for anything else, and for numbers beyond ±2^53
 */
export function numberField(block: Uint8Array, field: Field, what: string): number {
  const raw = fieldOf(block, field);
  if (((raw[0] as number) & 0x80) !== 0) return base256(raw, what);
  let start = 0;
  let end = raw.length;
  while (start < end && isBlank(raw[start])) start += 1;
  while (end > start && isBlank(raw[end - 1])) end -= 1;
  let value = 0;
  for (let at = start; at < end; at++) {
    const digit = (raw[at] as number) - 0x30;
    // A NUL within ends the digits, as Go's reader has it.
    if (raw[at] === 0) break;
    if (digit < 0 || digit > 7) throw new ArchiveFault("E_TAR_HEADER", `the ${what} of a header is no octal number`);
    value = value * 8 + digit;
  }
  return checked(value, what);
}

function base256(raw: Uint8Array, what: string): number {
  const negative = ((raw[0] as number) & 0x40) !== 0;
  let value = BigInt((raw[0] as number) & 0x3f);
  for (const byte of raw.subarray(1)) value = (value << 8n) | BigInt(byte);
  if (negative) value -= 1n << BigInt(raw.length * 8 - 2);
  return checked(Number(value), what);
}

function checked(value: number, what: string): number {
  if (!Number.isSafeInteger(value)) throw new ArchiveFault("E_TAR_HEADER", `the ${what} of a header is out of range`);
  return value;
}

/** Every key that makes a file sparse begins so. */
export const SPARSE_PREFIX = "GNU.sparse.";
const SPARSE_MAP = `${SPARSE_PREFIX}map`;
const SPARSE_PAIR = [`${SPARSE_PREFIX}offset`, `${SPARSE_PREFIX}numbytes`];
const COMMA = 0x2c;

/**
 * Adds a record of GNU tar's sparse files 0.0, which has an offset and a length in turn, to the map that 0.1 has of them.
 * @returns false for any other record
 */
function takesSparsePart(records: Map<string, Uint8Array>, key: string, value: Uint8Array): boolean {
  if (!SPARSE_PAIR.includes(key)) return false;
  const known = records.get(SPARSE_MAP);
  const numbers = known === undefined ? [] : nameText(known).split(",");
  if (key !== SPARSE_PAIR[numbers.length % 2] || value.includes(COMMA))
    throw new ArchiveFault("E_TAR_SPARSE", "the map of a sparse file is out of order");
  records.set(SPARSE_MAP, new TextEncoder().encode([...numbers, nameText(value)].join(",")));
  return true;
}

/** PAX records in their order. @param unique - refuses a key that comes twice */
export function paxRecordsOf(raw: Uint8Array, unique: boolean): Map<string, Uint8Array> {
  const records = new Map<string, Uint8Array>();
  let at = 0;
  while (at < raw.length) {
    const space = raw.indexOf(0x20, at);
    const digits = space < 0 ? "" : nameText(raw.subarray(at, space));
    const length = /^[0-9]{1,7}$/.test(digits) ? Number(digits) : 0;
    const end = at + length;
    if (length < 5 || end > raw.length || raw[end - 1] !== 0x0a || space >= end)
      throw new ArchiveFault("E_TAR_PAX", "a PAX record has not the length that it says");
    const equals = raw.indexOf(0x3d, space);
    if (equals < 0 || equals >= end - 1 || equals === space + 1) throw new ArchiveFault("E_TAR_PAX", "a PAX record has no key");
    const key = nameText(raw.subarray(space + 1, equals));
    const value = raw.slice(equals + 1, end - 1);
    at = end;
    if (takesSparsePart(records, key, value)) continue;
    if (unique && records.has(key)) throw new ArchiveFault("E_TAR_PAX", `the PAX record ${JSON.stringify(key)} comes twice`);
    records.set(key, value);
  }
  return records;
}

/** A whole number of a PAX record. */
export function paxNumber(value: Uint8Array, key: string): number {
  const text = nameText(value);
  const number = /^-?[0-9]{1,19}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(number)) throw new ArchiveFault("E_TAR_PAX", `the PAX record ${key} is no number in range`);
  return number;
}

/** A text of a PAX record: names hold no NUL. */
export function paxText(value: Uint8Array, key: string): string {
  if (value.includes(0)) throw new ArchiveFault("E_TAR_PAX", `the PAX record ${key} holds a NUL`);
  return nameText(value);
}

/** A time of a PAX record: decimal seconds with a fraction. */
export function paxTimeOf(value: Uint8Array): Time {
  const parts = /^(-?)([0-9]{1,15})(?:\.([0-9]*))?$/.exec(nameText(value));
  if (parts === null) throw new ArchiveFault("E_TAR_PAX", "the PAX record mtime is no time");
  const seconds = Number(parts[2]);
  const nanoseconds = Number((parts[3] ?? "").slice(0, 9).padEnd(9, "0"));
  if (parts[1] !== "-") return { seconds, nanoseconds };
  return nanoseconds === 0 ? { seconds: -seconds, nanoseconds } : { seconds: -seconds - 1, nanoseconds: 1e9 - nanoseconds };
}
