/**
 * Writes tar archives byte for byte as Go's archive/tar does for Docker's headers: plain ustar where everything fits, PAX records before
 * the header where it does not (spec/drivers.md §2.4).
 *
 * Interface: the result is one Content, in which files stand as they were given: nothing is copied.
 */
import { assert } from "../../sim/core/assert.ts";
import { Content } from "../../sim/core/content.ts";
import {
  BLOCK,
  checksumOf,
  DIRECTORY,
  FIELDS,
  type Field,
  nameBytes,
  PAX,
  REGULAR,
  REGULAR_OLD,
  type TarHeader,
  XATTR_PREFIX,
} from "./tar-header.ts";

const NAME_MAX = 100;
const PREFIX_MAX = 155;
const ENCODER = new TextEncoder();
/** Two blocks of zeros end an archive. */
const TRAILER = 1024;
const SLASH = 0x2f;

function isAscii(raw: Uint8Array): boolean {
  return raw.every((byte) => byte < 0x80);
}

/** Cuts a long name into ustar's prefix and name at a slash (splitUSTARPath). */
function splitName(name: Uint8Array): { readonly prefix: Uint8Array; readonly rest: Uint8Array } | undefined {
  if (name.length <= NAME_MAX || !isAscii(name)) return undefined;
  let length = name.length;
  if (length > PREFIX_MAX + 1) length = PREFIX_MAX + 1;
  else if (name[length - 1] === SLASH) length -= 1;
  const slash = name.subarray(0, length).lastIndexOf(SLASH);
  const rest = name.length - slash - 1;
  if (slash <= 0 || rest > NAME_MAX || rest === 0 || slash > PREFIX_MAX) return undefined;
  return { prefix: name.subarray(0, slash), rest: name.subarray(slash + 1) };
}

/** Whether a number fits a field as octal digits with a NUL behind them. */
function fitsOctal(field: Field, value: number): boolean {
  return value >= 0 && value < 8 ** (field.length - 1);
}

function putOctal(block: Uint8Array, field: Field, value: number): void {
  const fitting = fitsOctal(field, value) ? value : 0;
  const digits = fitting.toString(8).padStart(field.length - 1, "0");
  for (let index = 0; index < digits.length; index++) block[field.at + index] = digits.charCodeAt(index);
}

function putText(block: Uint8Array, field: Field, text: Uint8Array): void {
  block.set(text.subarray(0, field.length), field.at);
  if (text.length <= field.length || block[field.at + field.length - 1] !== SLASH) return;
  // A name cut at a slash would read as a directory's.
  let end = field.length;
  while (end > 0 && text[end - 1] === SLASH) end -= 1;
  block[field.at + end] = 0;
}

/** Characters beyond ASCII left out: what stands in a header whose PAX record has the whole. */
function toAscii(raw: Uint8Array): Uint8Array {
  return isAscii(raw) ? raw : raw.filter((byte) => byte < 0x80 && byte !== 0);
}

function finish(block: Uint8Array): void {
  block.set(ENCODER.encode("ustar\u000000"), FIELDS.magic.at);
  const sum = checksumOf(block).unsigned.toString(8).padStart(6, "0");
  block.set(ENCODER.encode(`${sum}\0 `), FIELDS.checksum.at);
}

/** A PAX record: its own length in decimal, a space, key=value, a newline. */
function paxRecord(key: string, value: Uint8Array): Uint8Array {
  const tail = ENCODER.encode(` ${key}=`);
  const body = tail.length + value.length + 1;
  let length = body + String(body).length;
  if (String(length).length !== String(body).length) length = body + String(length).length;
  const out = new Uint8Array(length);
  const head = ENCODER.encode(String(length));
  out.set(head, 0);
  out.set(tail, head.length);
  out.set(value, head.length + tail.length);
  out[length - 1] = 0x0a;
  return out;
}

/** A time as a PAX record has it: seconds with the digits of the fraction that count. */
function paxTime(seconds: number, nanoseconds: number): string {
  if (nanoseconds === 0) return String(seconds);
  const whole = seconds < 0 ? -seconds - 1 : seconds;
  const fraction = seconds < 0 ? 1_000_000_000 - nanoseconds : nanoseconds;
  const digits = String(fraction).padStart(9, "0").replace(/0+$/, "");
  return `${seconds < 0 ? "-" : ""}${whole}.${digits}`;
}

/** The PAX records that a header needs, sorted by key; none where plain ustar can say everything. */
function paxRecords(header: TarHeader): (readonly [string, Uint8Array])[] {
  const records: [string, Uint8Array][] = [];
  let onlyPax = header.xattrs.length > 0;
  const texts = [
    ["path", header.name, FIELDS.name],
    ["linkpath", header.linkname, FIELDS.linkname],
    ["uname", header.uname, FIELDS.uname],
    ["gname", header.gname, FIELDS.gname],
  ] as const;
  for (const [key, text, field] of texts) {
    const raw = nameBytes(text);
    if (isAscii(raw) && raw.length <= field.length) continue;
    records.push([key, raw]);
    if (key !== "path" || splitName(raw) === undefined) onlyPax = true;
  }
  const numbers = [
    ["uid", header.uid, FIELDS.uid],
    ["gid", header.gid, FIELDS.gid],
    ["size", header.size, FIELDS.size],
  ] as const;
  for (const [key, value, field] of numbers) {
    if (fitsOctal(field, value)) continue;
    records.push([key, ENCODER.encode(String(value))]);
    onlyPax = true;
  }
  if (!fitsOctal(FIELDS.mtime, header.mtime.seconds)) {
    records.push(["mtime", ENCODER.encode(paxTime(header.mtime.seconds, header.mtime.nanoseconds))]);
    onlyPax = true;
  }
  for (const [name, value] of header.xattrs) records.push([XATTR_PREFIX + name, value]);
  return onlyPax ? records.sort(([one], [other]) => (one < other ? -1 : 1)) : [];
}

/** The name of the entry that carries PAX records: path.Join(dir, "PaxHeaders.0", file), within 100 characters. */
function paxName(name: Uint8Array): Uint8Array {
  const slash = name.lastIndexOf(SLASH);
  const folder = [...new TextDecoder("latin1").decode(name.subarray(0, slash + 1)).split("/"), "PaxHeaders.0"];
  const file = new TextDecoder("latin1").decode(name.subarray(slash + 1));
  const parts = [...folder, file].filter((part) => part !== "" && part !== ".");
  const raw = Uint8Array.from(parts.join("/"), (unit) => unit.charCodeAt(0));
  const ascii = toAscii(raw).subarray(0, NAME_MAX);
  let end = ascii.length;
  while (end > 0 && ascii[end - 1] === SLASH) end -= 1;
  return ascii.subarray(0, end);
}

/** The entry that carries PAX records: its header, the records, and zeros to the end of the block. */
function paxEntry(header: TarHeader, records: readonly (readonly [string, Uint8Array])[]): Uint8Array[] {
  const encoded = records.map(([key, value]) => paxRecord(key, value));
  const length = encoded.reduce((sum, record) => sum + record.length, 0);
  const block = new Uint8Array(BLOCK);
  putText(block, FIELDS.name, paxName(nameBytes(header.name)));
  for (const field of [FIELDS.mode, FIELDS.uid, FIELDS.gid, FIELDS.mtime]) putOctal(block, field, 0);
  putOctal(block, FIELDS.size, length);
  block[FIELDS.typeflag.at] = PAX.charCodeAt(0);
  finish(block);
  return [block, ...encoded, new Uint8Array(paddingOf(length))];
}

/** Zero bytes between the end of a file and the next block. */
export function paddingOf(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

/** The blocks that stand before an entry's content. */
function headerBlocks(header: TarHeader): Uint8Array {
  const records = paxRecords(header);
  const name = nameBytes(header.name);
  const split = records.length === 0 ? splitName(name) : undefined;
  const block = new Uint8Array(BLOCK);
  const shown = records.length === 0 ? (raw: Uint8Array) => raw : toAscii;
  putText(block, FIELDS.name, split?.rest ?? shown(name));
  putText(block, FIELDS.linkname, shown(nameBytes(header.linkname)));
  putOctal(block, FIELDS.mode, header.mode);
  putOctal(block, FIELDS.uid, header.uid);
  putOctal(block, FIELDS.gid, header.gid);
  putOctal(block, FIELDS.size, header.size);
  putOctal(block, FIELDS.mtime, header.mtime.seconds);
  block[FIELDS.typeflag.at] = header.typeflag.charCodeAt(0);
  putText(block, FIELDS.uname, shown(nameBytes(header.uname)));
  putText(block, FIELDS.gname, shown(nameBytes(header.gname)));
  putOctal(block, FIELDS.major, header.major);
  putOctal(block, FIELDS.minor, header.minor);
  if (split !== undefined) putText(block, FIELDS.prefix, split.prefix);
  finish(block);
  if (records.length === 0) return block;
  const parts = [...paxEntry(header, records), block];
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** An archive in the making. */
export class TarWriter {
  readonly #parts: Content[] = [];

  /** Adds an entry; `content` must have exactly the header's size. */
  add(header: TarHeader, content: Content = Content.empty): void {
    assert(content.length === header.size, `${header.name} has ${content.length} bytes, its header says ${header.size}`);
    this.#parts.push(Content.literal(headerBlocks(header)));
    if (header.size > 0) this.#parts.push(content, Content.zeros(paddingOf(header.size)));
  }

  /** The whole archive with the two blocks of zeros that end it. */
  end(): Content {
    return Content.concat([...this.#parts, Content.zeros(TRAILER)]);
  }
}

/** A header of which only some fields matter: the rest is zero, empty or root's. */
export function tarHeader(fields: Partial<TarHeader> & { readonly name: string }): TarHeader {
  const typeflag = fields.typeflag ?? (fields.name.endsWith("/") ? DIRECTORY : REGULAR);
  return {
    linkname: "",
    mode: typeflag === DIRECTORY ? 0o755 : 0o644,
    uid: 0,
    gid: 0,
    size: 0,
    mtime: { seconds: 0, nanoseconds: 0 },
    uname: "",
    gname: "",
    major: 0,
    minor: 0,
    xattrs: [],
    ...fields,
    typeflag,
  };
}

/** Whether a type flag is a regular file's, in any of its spellings. */
export function isRegular(typeflag: string): boolean {
  return typeflag === REGULAR || typeflag === REGULAR_OLD;
}
