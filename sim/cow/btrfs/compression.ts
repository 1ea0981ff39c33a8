/**
 * How many bytes compression would leave: by what a content is made of, not by compressing it (fs/btrfs/compression.c).
 *
 * Zeros and repeated units shrink to about nothing, patterns not at all, given bytes as their entropy says.
 */
import type { Content } from "../../core/content.ts";

/** An algorithm, or none. */
export type Compression = "none" | "zlib" | "lzo" | "zstd";

/** How near to the entropy an algorithm comes, and what it cannot go below: a share of the input, and bytes. */
const STRENGTH: Readonly<Record<Compression, { readonly factor: number; readonly floor: number }>> = {
  none: { factor: 1, floor: 1 },
  zlib: { factor: 0.85, floor: 0.0011 },
  zstd: { factor: 0.83, floor: 0.0004 },
  lzo: { factor: 1.1, floor: 0.0042 },
};
const HEADER_BYTES = 12;
const SAMPLE_BYTES = 16_384;

/** Bits a byte by the frequencies of bytes, from 0 to 8. */
function entropyOf(raw: Uint8Array): number {
  const counts = new Uint32Array(256);
  for (const byte of raw) counts[byte] = (counts[byte] as number) + 1;
  let bits = 0;
  for (const count of counts) if (count > 0) bits -= (count / raw.length) * Math.log2(count / raw.length);
  return bits;
}

/** Bytes that the content takes when compressed; more than it has when it does not shrink. */
export function compressedBytes(content: Content, by: Compression): number {
  const { factor, floor } = STRENGTH[by];
  let sum = HEADER_BYTES;
  for (const run of content.runs) {
    if (run.kind === "zero" || run.kind === "repeat") sum += 16 + run.length * floor;
    else if (run.kind === "literal") {
      const share = (entropyOf(run.slice(0, SAMPLE_BYTES).toBytes()) / 8) * factor;
      sum += run.length * Math.min(1.01, Math.max(share, floor));
    } else sum += run.length * 1.01;
  }
  return Math.ceil(sum);
}
