/**
 * tar-split: what a tar holds beside its files' contents, so that it can be put together again from the unpacked files bit for bit
 * (vbatts/tar-split, tar/asm and tar/storage; spec/drivers.md §10.4).
 */
import { Content } from "../../sim/core/content.ts";
import { Crc64 } from "./crc64.ts";
import { ArchiveFault } from "./fault.ts";
import type { Gzip } from "./gzip.ts";
import { layerPath } from "./names.ts";
import { isRawName, nameBytes, nameText } from "./tar-header.ts";
import type { TarEntry } from "./tar-read.ts";

const FILE = 1;
const SEGMENT = 2;
/** Most layers need no more room than this. */
const ROOM_START = 16_384;
/** Bytes behind the archive's end are kept in pieces of at most this. */
const SEGMENT_MAX = 2 ** 20;
function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (unit) => unit.charCodeAt(0));
}

const ALPHABET = new TextEncoder().encode("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
const PAD = 0x3d;
const ENCODER = new TextEncoder();

/** The text under way: bytes, so that thirty thousand headers need no strings. */
class Lines {
  #room = new Uint8Array(ROOM_START);
  length = 0;

  #reserve(more: number): void {
    if (this.length + more <= this.#room.length) return;
    const larger = new Uint8Array(2 * (this.length + more));
    larger.set(this.#room.subarray(0, this.length));
    this.#room = larger;
  }

  text(text: string): void {
    this.#reserve(3 * text.length);
    this.length += ENCODER.encodeInto(text, this.#room.subarray(this.length)).written;
  }

  base64(raw: Uint8Array): void {
    this.#reserve(Math.ceil(raw.length / 3) * 4);
    const room = this.#room;
    let to = this.length;
    for (let at = 0; at < raw.length; at += 3) {
      const left = raw.length - at;
      const bits =
        ((raw[at] as number) << 16) | (left > 1 ? (raw[at + 1] as number) << 8 : 0) | (left > 2 ? (raw[at + 2] as number) : 0);
      room[to] = ALPHABET[bits >>> 18] as number;
      room[to + 1] = ALPHABET[(bits >>> 12) & 63] as number;
      room[to + 2] = left > 1 ? (ALPHABET[(bits >>> 6) & 63] as number) : PAD;
      room[to + 3] = left > 2 ? (ALPHABET[bits & 63] as number) : PAD;
      to += 4;
    }
    this.length = to;
  }

  /** The bytes so far; the next text takes their place. */
  take(): Uint8Array {
    const bytes = this.#room.subarray(0, this.length);
    this.length = 0;
    return bytes;
  }
}

/**
 * Takes the parts of a tar in their order and writes the list, compressed as it goes: a gzip file may consist of several one after the
 * other, so that the whole list is never held.
 */
export class TarSplitWriter {
  readonly #gzip: Gzip;
  readonly #packed: Uint8Array[] = [];
  readonly #lines = new Lines();
  readonly #names = new Set<string>();
  /** A segment's bytes while they are written. */
  #scratch = new Uint8Array(4096);
  #position = 0;

  constructor(gzip: Gzip) {
    this.#gzip = gzip;
  }

  /** @throws ArchiveFault E_TAR_DUPLICATE for a name that was there */
  entry({ header, before, checksum }: TarEntry): void {
    const path = layerPath(header.name);
    if (this.#names.has(path)) throw new ArchiveFault("E_TAR_DUPLICATE", "duplicates of file paths not supported");
    this.#names.add(path);
    this.#segment(before);
    const lines = this.#lines;
    lines.text(`{"type":${FILE},`);
    if (isRawName(header.name)) {
      lines.text('"name_raw":"');
      lines.base64(nameBytes(header.name));
      lines.text('"');
    } else lines.text(`"name":${JSON.stringify(header.name).replace(/[<>&\u2028\u2029]/g, escaped)}`);
    lines.text(`${header.size === 0 ? "" : `,"size":${header.size}`},"payload":`);
    this.#payload(checksum);
  }

  #payload(raw: Uint8Array | undefined): void {
    const lines = this.#lines;
    if (raw === undefined) lines.text("null");
    else {
      lines.text('"');
      lines.base64(raw);
      lines.text('"');
    }
    lines.text(`,"position":${this.#position++}}\n`);
    if (lines.length > SEGMENT_MAX) this.#flush();
  }

  /** What stands behind the last file. */
  rest(content: Content): void {
    for (let at = 0; at < content.length; at += SEGMENT_MAX) this.#segment(content.slice(at, at + SEGMENT_MAX));
  }

  #segment(content: Content): void {
    if (content.length === 0) return;
    if (content.length > this.#scratch.length) this.#scratch = new Uint8Array(content.length);
    content.copyTo(this.#scratch);
    this.#lines.text(`{"type":${SEGMENT},"payload":`);
    this.#payload(this.#scratch.subarray(0, content.length));
  }

  #flush(): void {
    if (this.#lines.length > 0 || this.#packed.length === 0) this.#packed.push(this.#gzip.pack(this.#lines.take()));
  }

  /** The whole list, compressed. */
  packed(): Uint8Array {
    this.#flush();
    const out = new Uint8Array(this.#packed.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of this.#packed) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }
}

function escaped(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

interface Line {
  readonly type: number;
  readonly name?: string;
  readonly name_raw?: string;
  readonly size?: number;
  readonly payload: string | null;
}

/**
 * Puts a tar together again.
 * @param read - a file's content by its name in the tar, or the text of why it cannot be read
 * @returns the text of what is wrong where a file is not what it was
 */
export function reassemble(list: Uint8Array, read: (name: string) => Content | string): Content | { readonly wrong: string } {
  const parts: Content[] = [];
  for (const text of new TextDecoder().decode(list).split("\n")) {
    if (text === "") continue;
    const line = JSON.parse(text) as Line;
    if (line.type === SEGMENT) {
      parts.push(Content.literal(fromBase64(line.payload ?? "")));
      continue;
    }
    if ((line.size ?? 0) === 0) continue;
    const name = line.name_raw === undefined ? (line.name ?? "") : nameText(fromBase64(line.name_raw));
    const content = read(name);
    if (typeof content === "string") return { wrong: content };
    if (checksumOf(content) !== line.payload) return { wrong: `file integrity checksum failed for ${JSON.stringify(name)}` };
    parts.push(content);
  }
  return Content.concat(parts);
}

function checksumOf(content: Content): string {
  const crc = new Crc64();
  for (const piece of content.chunks()) crc.update(piece);
  return btoa(String.fromCharCode(...crc.bytes()));
}
