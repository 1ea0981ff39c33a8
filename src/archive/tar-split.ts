/**
 * tar-split: what a tar holds beside its files' contents, so that it can be put together again from the unpacked files bit for bit
 * (vbatts/tar-split, tar/asm and tar/storage; spec/drivers.md §10.4).
 */
import { Content } from "../../sim/core/content.ts";
import { Crc64 } from "./crc64.ts";
import { ArchiveFault } from "./fault.ts";
import { layerPath } from "./names.ts";
import { isRawName, nameBytes, nameText } from "./tar-header.ts";
import type { TarEntry } from "./tar-read.ts";

const FILE = 1;
const SEGMENT = 2;
/** Bytes behind the archive's end are kept in pieces of at most this. */
const SEGMENT_MAX = 2 ** 20;
const CHARACTERS_AT_ONCE = 8192;

function base64(raw: Uint8Array): string {
  let text = "";
  for (let at = 0; at < raw.length; at += CHARACTERS_AT_ONCE)
    text += String.fromCharCode(...raw.subarray(at, at + CHARACTERS_AT_ONCE));
  return btoa(text);
}

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (unit) => unit.charCodeAt(0));
}

/** Takes the parts of a tar in their order and writes the list. */
export class TarSplitWriter {
  readonly #lines: Uint8Array[] = [];
  readonly #encoder = new TextEncoder();
  readonly #names = new Set<string>();
  #text = "";
  #position = 0;

  /** @throws ArchiveFault E_TAR_DUPLICATE for a name that was there */
  entry({ header, before, checksum }: TarEntry): void {
    const path = layerPath(header.name);
    if (this.#names.has(path)) throw new ArchiveFault("E_TAR_DUPLICATE", "duplicates of file paths not supported");
    this.#names.add(path);
    this.#segment(before);
    const name = isRawName(header.name)
      ? `"name_raw":"${base64(nameBytes(header.name))}"`
      : `"name":${JSON.stringify(header.name).replace(/[<>&\u2028\u2029]/g, escaped)}`;
    const size = header.size === 0 ? "" : `,"size":${header.size}`;
    const payload = checksum === undefined ? "null" : `"${base64(checksum)}"`;
    this.#line(`{"type":${FILE},${name}${size},"payload":${payload},"position":${this.#position++}}`);
  }

  /** What stands behind the last file. */
  rest(content: Content): void {
    for (let at = 0; at < content.length; at += SEGMENT_MAX) this.#segment(content.slice(at, at + SEGMENT_MAX));
  }

  #segment(content: Content): void {
    if (content.length === 0) return;
    this.#line(`{"type":${SEGMENT},"payload":"${base64(content.toBytes())}","position":${this.#position++}}`);
  }

  #line(text: string): void {
    this.#text += `${text}\n`;
    if (this.#text.length > SEGMENT_MAX) this.#flush();
  }

  #flush(): void {
    this.#lines.push(this.#encoder.encode(this.#text));
    this.#text = "";
  }

  /** The whole list, not compressed. */
  bytes(): Uint8Array {
    this.#flush();
    const out = new Uint8Array(this.#lines.reduce((sum, line) => sum + line.length, 0));
    let at = 0;
    for (const line of this.#lines) {
      out.set(line, at);
      at += line.length;
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
 * @param read - a file's content by its name in the tar; undefined where it cannot be read
 * @returns undefined with the text of what is wrong where a file is not what it was
 */
export function reassemble(list: Uint8Array, read: (name: string) => Content | undefined): Content | { readonly wrong: string } {
  const parts: Content[] = [];
  for (const text of new TextDecoder().decode(list).split("\n")) {
    if (text === "") continue;
    const line = JSON.parse(text) as Line;
    if (line.type === SEGMENT) {
      parts.push(Content.literal(fromBase64(line.payload ?? "")));
      continue;
    }
    const size = line.size ?? 0;
    if (size === 0) continue;
    const name = line.name_raw === undefined ? (line.name ?? "") : nameText(fromBase64(line.name_raw));
    const content = read(name);
    if (content === undefined) return { wrong: `open ${name}: no such file or directory` };
    if (content.length !== size || checksumOf(content) !== line.payload)
      return { wrong: `file integrity checksum failed for ${JSON.stringify(name)}` };
    parts.push(content);
  }
  return Content.concat(parts);
}

function checksumOf(content: Content): string {
  const crc = new Crc64();
  for (const piece of content.chunks()) crc.update(piece);
  return base64(crc.bytes());
}
