/**
 * The header of a tar entry and its fields, as Go's archive/tar reads and writes them (Go 1.19).
 */
import type { Time } from "../../sim/core/clock.ts";

/** Bytes of a block: headers are one, files fill whole ones. */
export const BLOCK = 512;

/** Type flags by the names of tar(5); the field is one character. */
export const REGULAR = "0";
/** The old spelling of a regular file. */
export const REGULAR_OLD = "\0";
export const LINK = "1";
export const SYMLINK = "2";
export const CHARACTER = "3";
export const BLOCK_DEVICE = "4";
export const DIRECTORY = "5";
export const FIFO = "6";
export const PAX = "x";
export const PAX_GLOBAL = "g";
export const GNU_SPARSE = "S";
export const GNU_LONG_NAME = "L";
export const GNU_LONG_LINK = "K";

/** One entry's metadata, long names and PAX records worked in. */
export interface TarHeader {
  /** As it stands in the archive: relative, a directory's with "/" at the end. Bytes that are no UTF-8 are lone surrogates. */
  readonly name: string;
  readonly linkname: string;
  readonly typeflag: string;
  /** Permission bits, and file type bits where the writer put them. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of content of a regular file. Of a type without content: what its field says, which Docker counts all the same. */
  readonly size: number;
  readonly mtime: Time;
  readonly uname: string;
  readonly gname: string;
  readonly major: number;
  readonly minor: number;
  /** Extended attributes (SCHILY.xattr.NAME), sorted by name. */
  readonly xattrs: readonly (readonly [string, Uint8Array])[];
}

/** Where a field lies in a header block. */
export interface Field {
  readonly at: number;
  readonly length: number;
}

/** The fields of a ustar header (POSIX pax(1)). */
export const FIELDS: Readonly<
  Record<
    | "name"
    | "mode"
    | "uid"
    | "gid"
    | "size"
    | "mtime"
    | "checksum"
    | "typeflag"
    | "linkname"
    | "magic"
    | "uname"
    | "gname"
    | "major"
    | "minor"
    | "prefix"
    | "starPrefix"
    | "starMagic"
    | "gnuAccess"
    | "gnuChange",
    Field
  >
> = {
  name: { at: 0, length: 100 },
  mode: { at: 100, length: 8 },
  uid: { at: 108, length: 8 },
  gid: { at: 116, length: 8 },
  size: { at: 124, length: 12 },
  mtime: { at: 136, length: 12 },
  checksum: { at: 148, length: 8 },
  typeflag: { at: 156, length: 1 },
  linkname: { at: 157, length: 100 },
  magic: { at: 257, length: 8 },
  uname: { at: 265, length: 32 },
  gname: { at: 297, length: 32 },
  major: { at: 329, length: 8 },
  minor: { at: 337, length: 8 },
  prefix: { at: 345, length: 155 },
  // Of the headers of star and of GNU tar, which have times in the place of the prefix or of its end.
  starPrefix: { at: 345, length: 131 },
  starMagic: { at: 508, length: 4 },
  gnuAccess: { at: 345, length: 12 },
  gnuChange: { at: 357, length: 12 },
};

/** The key of a PAX record that keeps an extended attribute. */
export const XATTR_PREFIX = "SCHILY.xattr.";

const STRICT_UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const ENCODER = new TextEncoder();

/** A name's bytes as text; bytes that are no UTF-8 become lone surrogates (U+DC80 …), so that `nameBytes` gives them back. */
export function nameText(raw: Uint8Array): string {
  let ascii = "";
  for (const byte of raw) {
    if (byte >= 0x80) return wideText(raw);
    ascii += String.fromCharCode(byte);
  }
  return ascii;
}

function wideText(raw: Uint8Array): string {
  try {
    return STRICT_UTF8.decode(raw);
  } catch {
    return [...raw].map((byte) => String.fromCharCode(byte < 0x80 ? byte : 0xdc00 + byte)).join("");
  }
}

const ESCAPED = /[\udc80-\udcff]/;

/** Whether a name holds bytes that are no UTF-8. */
export function isRawName(text: string): boolean {
  return !isWellFormed(text);
}

function isWellFormed(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0xd800 || unit > 0xdfff) continue;
    const next = text.charCodeAt(at + 1);
    if (unit > 0xdbff || !(next >= 0xdc00 && next <= 0xdfff)) return false;
    at += 1;
  }
  return true;
}

/** The bytes of a name that `nameText` made. */
export function nameBytes(text: string): Uint8Array {
  if (!ESCAPED.test(text) || isWellFormed(text)) return ENCODER.encode(text);
  return Uint8Array.from(text, (unit) => {
    const code = unit.charCodeAt(0);
    return code < 0x80 ? code : code & 0xff;
  });
}

/** The sum that a header's checksum field keeps: all bytes, those of the field itself as spaces. */
export function checksumOf(block: Uint8Array): { readonly unsigned: number; readonly signed: number } {
  let unsigned = 0;
  let signed = 0;
  for (let at = 0; at < BLOCK; at++) {
    const byte = at >= 148 && at < 156 ? 0x20 : (block[at] as number);
    unsigned += byte;
    signed += byte < 0x80 ? byte : byte - 256;
  }
  return { unsigned, signed };
}
