/**
 * How many bytes a block takes after compression (module/zfs/zio_compress.c): kept only where it saves an eighth.
 */
import type { Content } from "../../core/content.ts";
import { alignUp } from "../../core/units.ts";
import { entropyCodedLength } from "./entropy-coders.ts";
import { lz4Length, lzjbLength, NOT_COMPRESSED, zleLength } from "./lz.ts";

/** What makes blocks shorter. Metadata is made so by one of the first three. */
export type Compressor = "lzjb" | "zle" | "lz4";
type EntropyCoder = `gzip${string}` | `zstd${string}`;
export type Compression = Compressor | EntropyCoder | "off";

/** The smallest unit of sizes in block pointers. */
export const SECTOR = 512;
/** What fits into a block pointer (BPE_PAYLOAD_SIZE). */
export const EMBEDDED_MAX = 112;

/** Bytes that a compressor makes of a block, which is zeros from `used` on; the block's own size where it does not save an eighth. */
export function compressedLength(raw: Uint8Array, length: number, how: Compression, used: number = length): number {
  if (how === "off") return length;
  const room = length - (length >> 3);
  const made = madeLength(raw, { length, room, used }, how);
  return made === NOT_COMPRESSED ? length : made;
}

/** Bytes that a compressor makes of `length` bytes, the first `used` of `raw` and then zeros, whether that saves anything or not. */
export function packedLength(raw: Uint8Array, used: number, length: number, how: Compressor): number {
  packed.set(raw.subarray(0, used));
  packed.fill(0, used, Math.max(used, how === "lz4" ? packedUsed : length));
  packedUsed = used;
  return madeLength(packed, { length, room: Number.POSITIVE_INFINITY, used }, how);
}

function madeLength(
  raw: Uint8Array,
  { length, room, used }: { readonly length: number; readonly room: number; readonly used: number },
  how: Compressor | EntropyCoder,
): number {
  if (how === "lz4") return lz4Length(raw, length, room, used);
  if (how === "lzjb") return lzjbLength(raw, length, room);
  if (how === "zle") return zleLength(raw, length, room);
  const made = entropyCodedLength(raw, length, how);
  return made > room ? NOT_COMPRESSED : made;
}

const packed = new Uint8Array(1 << 17);
let packedUsed = 0;

/** A size on the device: whole units of `unit` bytes, and the block's own where that saves nothing. */
export function storedSize(compressed: number, logical: number, unit: number): number {
  return Math.min(alignUp(compressed, unit), logical);
}

/** Whether every byte is zero. */
export function isAllZero(content: Content): boolean {
  for (const run of content.runs) {
    if (run.isZero) continue;
    if (run.kind !== "literal") return false;
    for (const piece of run.chunks()) for (const byte of piece) if (byte !== 0) return false;
  }
  return true;
}

/** What a compressor makes of a data block. A pattern has no two alike places: it is not even tried. */
export function compressedData(content: Content, how: Compression): number {
  if (how === "off" || content.kind === "pattern" || content.kind === "record") return content.length;
  if (content.runs.some((run) => run.kind === "record")) return content.length;
  return compressedLength(content.toBytes(), content.length, how);
}
