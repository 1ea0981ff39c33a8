/**
 * One block of a pool's metadata: 4096 bytes as 1024 little-endian words, with a checksum and its own number in front
 * (spec/block-cow.md §1.10; drivers/md/persistent-data/dm-block-manager.c).
 *
 * Interface:
 * - A block is of one kind, which chooses the salt of its checksum. A block whose kind, number or checksum is not the one asked for gives
 *   an error on reading, as the kernel's validators do: ENOTBLK for the number, EILSEQ for everything else.
 * - On the device a block is a record: its words are kept as they are and the checksum is worked out when somebody looks at the bytes.
 *   Words that were sealed are never written again.
 */
import { assert } from "../core/assert.ts";
import type { BlockRecord } from "../core/block-record.ts";
import { Content } from "../core/content.ts";
import { crc32cWords } from "../core/crc32c.ts";
import { EILSEQ, ENOTBLK, type Errno } from "../core/errno.ts";

/** Bytes of a metadata block. */
export const METADATA_BLOCK_SIZE = 4096;
const WORDS = METADATA_BLOCK_SIZE / 4;

/** What a block is: its checksum's salt. */
export type BlockKind = "superblock" | "node" | "bitmap" | "index";
const SALTS: Readonly<Record<BlockKind, number>> = { superblock: 160_774, node: 121_107, bitmap: 240_779, index: 160_478 };
/** The first word, the checksum, is not in the sum. */
const SUMMED_FROM = 1;

/** Where the block's own number stands: behind checksum and flags. */
const OWN_NUMBER = 2;

assert(new Uint8Array(Uint32Array.of(1).buffer)[0] === 1, "metadata blocks are little-endian words: this machine is not");

/** A 64-bit field as a number; fields that hold more than 53 bits are read by halves. */
export function get64(words: Uint32Array, at: number): number {
  return (words[at + 1] as number) * 2 ** 32 + (words[at] as number);
}

/** Sets a 64-bit field to a whole number below 2^53. */
export function set64(words: Uint32Array, at: number, value: number): void {
  words[at] = value >>> 0;
  words[at + 1] = Math.floor(value / 2 ** 32);
}

/** A block in memory. */
export class MetadataBlock {
  /** Its number on the metadata device. */
  readonly location: number;
  readonly kind: BlockKind;
  readonly words: Uint32Array;
  /** Whether its words may be written, and go out with the next flush. */
  changed = false;
  /** Whether the transaction at work made it (transaction.ts). */
  made = false;
  /** Whether it is known, without a look at the counts, to be made by the transaction at work and never to have had a second reference. */
  sole = false;

  constructor(location: number, kind: BlockKind, words: Uint32Array = new Uint32Array(WORDS)) {
    this.location = location;
    this.kind = kind;
    this.words = words;
  }

  /** Another block that begins with the same words. */
  copyTo(location: number): MetadataBlock {
    return new MetadataBlock(location, this.kind, this.words.slice());
  }
}

/** A block as it lies on the device. */
class SealedBlock implements BlockRecord {
  readonly kind: string;
  readonly length = METADATA_BLOCK_SIZE;
  readonly block: MetadataBlock;
  #summed = false;

  constructor(block: MetadataBlock) {
    this.kind = `thin.${block.kind}`;
    this.block = block;
  }

  encode(): Uint8Array {
    const { words, kind } = this.block;
    if (!this.#summed) words[0] = crc32cWords(words, SUMMED_FROM) ^ SALTS[kind];
    this.#summed = true;
    return new Uint8Array(words.buffer, words.byteOffset, METADATA_BLOCK_SIZE);
  }
}

/** What is written to the device: the block as it is now, whose words are not written again. */
export function seal(block: MetadataBlock): Content {
  set64(block.words, OWN_NUMBER, block.location);
  return Content.record(new SealedBlock(block));
}

/** The words of any 4096 bytes; shared with the record where they are one. */
function wordsOf(content: Content): Uint32Array {
  const raw = content.toBytes();
  return new Uint32Array(raw.buffer, raw.byteOffset, WORDS);
}

/** The checksum that 4096 bytes should begin with as a block of a kind. */
export function checksumOf(content: Content, kind: BlockKind): number {
  return (crc32cWords(wordsOf(content), SUMMED_FROM) ^ SALTS[kind]) >>> 0;
}

/** Reads a block of a kind back. @returns ENOTBLK for a block that belongs elsewhere, EILSEQ for a wrong kind or checksum. */
export function unseal(content: Content, location: number, kind: BlockKind): MetadataBlock | Errno {
  const record = content.wholeRecord();
  if (record instanceof SealedBlock) {
    const { block } = record;
    if (block.location !== location) return ENOTBLK;
    return block.kind === kind ? block : EILSEQ;
  }
  const words = wordsOf(content);
  if (get64(words, OWN_NUMBER) !== location) return ENOTBLK;
  if ((crc32cWords(words, SUMMED_FROM) ^ SALTS[kind]) >>> 0 !== words[0]) return EILSEQ;
  return new MetadataBlock(location, kind, words);
}
