/**
 * How many bytes compression would leave: by what a content is made of, not by compressing it (fs/btrfs/compression.c).
 *
 * Zeros and repeated units shrink to about nothing, patterns not at all, given bytes as their entropy says.
 */
import type { Content } from "../../core/content.ts";
import { alignUp } from "../../core/units.ts";
import { COMPRESSED_BYTES_MAX, SECTOR_SIZE } from "./layout.ts";

/** An algorithm, or none. */
export type Compression = "none" | "zlib" | "lzo" | "zstd";

interface Strength {
  /** How near to the entropy an algorithm comes. */
  readonly factor: number;
  /** What it cannot go below: a share of the input. */
  readonly floor: number;
  /** What it makes of bytes that do not shrink: a byte more for each 255 of a literal run, and the length and end of each page, by lzo. */
  readonly ceiling: number;
  /** Whether it gives bytes out sector by sector, so that it is seen early when they do not shrink (lzo_compress_folios); others keep them back. */
  readonly asItGoes: boolean;
}

const STRENGTH: Readonly<Record<Compression, Strength>> = {
  none: { factor: 1, floor: 1, ceiling: 1, asItGoes: false },
  zlib: { factor: 0.85, floor: 0.0011, ceiling: 1.0003, asItGoes: false },
  zstd: { factor: 0.83, floor: 0.0004, ceiling: 1.0001, asItGoes: false },
  lzo: { factor: 1.1, floor: 0.0125, ceiling: 1.0059, asItGoes: true },
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

/** A sample of a content: so many bytes of each stretch, of no more than one compressed extent. */
const SAMPLE_READ = 16;
const SAMPLE_EVERY = 256;
/** With fewer values of bytes, or so few that make up nine tenths of all, data is worth it; with so many that do, it is not. */
const VALUES_FEW = 64;
const VALUES_MANY = 200;
/** Percent of the most entropy from which on data is not worth it. */
const ENTROPY_HIGH = 80;

/** Whether data is worth trying to compress, as a sample of its beginning looks (btrfs_compress_heuristic). */
export function looksCompressible(content: Content): boolean {
  const raw = content.slice(0, COMPRESSED_BYTES_MAX).toBytes();
  const sample: number[] = [];
  for (let at = 0; at + SAMPLE_READ <= raw.length; at += SAMPLE_EVERY) sample.push(...raw.subarray(at, at + SAMPLE_READ));
  const half = sample.length >> 1;
  if (sample.every((byte, at) => at >= half || byte === sample[at + half])) return true;
  const counts = new Array<number>(256).fill(0);
  for (const byte of sample) counts[byte] = (counts[byte] as number) + 1;
  const found = counts.filter((count) => count > 0).sort((one, other) => other - one);
  if (found.length < VALUES_FEW) return true;
  const most = Math.floor((sample.length * 90) / 100);
  let sum = 0;
  const core = found.findIndex((count) => (sum += count) > most);
  if (core < VALUES_FEW) return true;
  return core < VALUES_MANY && entropyPercent(found, sample.length) < ENTROPY_HIGH;
}

/** The entropy of a sample in percent of the most that there can be, in the whole numbers that the kernel computes with (shannon_entropy). */
function entropyPercent(counts: readonly number[], length: number): number {
  const log = (value: number): number => Math.floor(4 * Math.log2(value));
  const sum = counts.reduce((total, count) => total + count * (log(length) - log(count)), 0);
  return Math.floor((Math.floor(sum / length) * 100) / (8 * log(2)));
}

/** Behind so many bytes it is looked at each sector whether there are more of them than there were: then no more is tried. */
const TRIED_BYTES = 2 * SECTOR_SIZE;

/** Bytes that the content takes when compressed; more than it has when it does not shrink, or does not at its beginning. */
export function compressedBytes(content: Content, by: Compression): number {
  const { factor, floor, ceiling, asItGoes } = STRENGTH[by];
  let sum = HEADER_BYTES;
  let end = 0;
  for (const run of content.runs) {
    let share = ceiling;
    if (run.kind === "zero" || run.kind === "repeat") share = floor;
    else if (run.kind === "literal")
      share = Math.min(ceiling, Math.max((entropyOf(run.slice(0, SAMPLE_BYTES).toBytes()) / 8) * factor, floor));
    if (share === floor) sum += 16;
    const start = end;
    end += run.length;
    let at: number = alignUp(Math.max(start, TRIED_BYTES) + 1, SECTOR_SIZE);
    for (; asItGoes && at <= end; at += SECTOR_SIZE) if (sum + (at - start) * share > at) return content.length + 1;
    sum += run.length * share;
  }
  return Math.ceil(sum);
}
