/**
 * Compressed data told by their first bytes, as Docker does (moby pkg/archive, DetectCompression), and how they are opened.
 */
import { Content } from "../../sim/core/content.ts";
import { ArchiveFault } from "./fault.ts";

export type Compression = "none" | "gzip" | "bzip2" | "xz" | "zstd";

const MAGICS: readonly (readonly [Compression, readonly number[]])[] = [
  ["bzip2", [0x42, 0x5a, 0x68]],
  ["gzip", [0x1f, 0x8b, 0x08]],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
];

/** What the first bytes say. */
export function compressionOf(content: Content): Compression {
  const head = content.slice(0, 6).toBytes();
  return MAGICS.find(([, magic]) => magic.every((byte, at) => head[at] === byte))?.[0] ?? "none";
}

/** What may come out of compressed data at most (spec/reliability.md). */
export interface UnpackLimits {
  /** Bytes out for each byte in. */
  readonly ratio: number;
  /** Bytes in all. */
  readonly bytes: number;
  /** Bytes that must be held: zeros and one repeated byte cost nothing. */
  readonly held: number;
}

const UNPACK_LIMITS: UnpackLimits = { ratio: 1000, bytes: 2 ** 36, held: 2 ** 26 };
/** So much may come out whatever went in, before the ratio counts. */
const RATIO_FREE = 2 ** 20;
/** Ordinary files do not compress better than this: more of it is not held. */
const HELD_RATIO = 32;

/** Opens compressed content. @throws ArchiveFault */
export type Decompress = (content: Content, kind: Exclude<Compression, "none">) => Promise<Content>;

/** Whether all bytes are one; most pieces tell with their first two. */
function isOneByte(piece: Uint8Array): boolean {
  const first = piece[0];
  let same = 1;
  while (same < piece.length && piece[same] === first) same += 1;
  return piece.length > 0 && same === piece.length;
}

/** What comes out of compressed data, piece by piece, held to the limits. */
export class Unpacked {
  readonly #parts: Content[] = [];
  readonly #compressed: number;
  readonly #limits: UnpackLimits;
  #bytes = 0;
  #held = 0;

  constructor(compressed: number, limits: UnpackLimits = UNPACK_LIMITS) {
    this.#compressed = compressed;
    this.#limits = limits;
  }

  /** Takes a piece, which nobody writes any more. @throws ArchiveFault E_LIMIT */
  add(piece: Uint8Array): void {
    const content = isOneByte(piece) ? Content.repeat(piece.slice(0, 1), piece.length) : Content.literal(piece);
    this.#bytes += piece.length;
    if (content.kind === "literal") this.#held += piece.length;
    const { ratio, bytes, held } = this.#limits;
    if (this.#bytes > RATIO_FREE && this.#bytes > ratio * this.#compressed)
      throw new ArchiveFault("E_LIMIT", `the compressed data unpack to more than ${ratio} times their size`);
    if (this.#bytes > bytes) throw new ArchiveFault("E_LIMIT", `the compressed data unpack to more than ${bytes} bytes`);
    if (this.#held > Math.max(held, HELD_RATIO * this.#compressed))
      throw new ArchiveFault("E_LIMIT", `the compressed data unpack to more than ${this.#held} bytes to be held`);
    this.#parts.push(content);
  }

  get content(): Content {
    return Content.concat(this.#parts);
  }
}

/** Content as it is, or what it unpacks to. */
export async function uncompressed(content: Content, decompress: Decompress): Promise<Content> {
  const kind = compressionOf(content);
  if (kind === "none") return content;
  const unpacked = await decompress(content, kind);
  if (compressionOf(unpacked) === "none") return unpacked;
  throw new ArchiveFault("E_FORMAT", "the data are compressed twice");
}
