/**
 * How results show file content and types, in the form of the traces.
 */
import type { Content } from "../../sim/core/content.ts";
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from "../../sim/vfs/filesystem.ts";
import type { Json } from "./json.ts";

/** File types by their names. */
export const FILE_TYPES: Readonly<Record<string, number>> = {
  file: S_IFREG,
  dir: S_IFDIR,
  symlink: S_IFLNK,
  char: S_IFCHR,
  block: S_IFBLK,
  fifo: S_IFIFO,
  socket: S_IFSOCK,
};

const TYPE_NAMES: ReadonlyMap<number, string> = new Map(Object.entries(FILE_TYPES).map(([name, bits]) => [bits, name]));

/** The name of a mode's file type. */
export function typeName(mode: number): string {
  return TYPE_NAMES.get(mode & S_IFMT) ?? "unknown";
}

/** Permission bits as four octal digits. */
export function modeText(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, "0");
}

/** The most bytes that are shown as they are. */
const SHOWN_MAX = 64;

/** Up to 64 printable ASCII bytes as text, all else by length and digest. */
export function shown(content: Content): Json {
  if (content.length <= SHOWN_MAX) {
    const raw = content.toBytes();
    if (raw.every((byte) => byte >= 32 && byte < 127)) return { data: String.fromCharCode(...raw) };
  }
  return { len: content.length, sha256: content.sha256() };
}

/** Bytes as text, one character a byte (latin1): how extended attributes are shown. */
export function bytesText(raw: Uint8Array): string {
  let text = "";
  for (const byte of raw) text += String.fromCharCode(byte);
  return text;
}

/** Orders texts by their code points, as the recorder does; JavaScript's own order is by UTF-16 units. */
export function compareTexts(one: string, other: string): number {
  const shorter = Math.min(one.length, other.length);
  for (let at = 0; at < shorter; at++) {
    const left = one.charCodeAt(at);
    const right = other.charCodeAt(at);
    if (left !== right) return codeOrder(left) - codeOrder(right);
  }
  return one.length - other.length;
}

/** Surrogates stand for code points above all other units: moved behind them. */
function codeOrder(unit: number): number {
  return unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit;
}
