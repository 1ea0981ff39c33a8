/**
 * A block of a pool's metadata as it lies on the device.
 *
 * Interface:
 * - A block is of one kind, which chooses the salt of its checksum. A block whose kind, number or checksum is not the one asked for gives
 *   an error on reading, as the kernel's validators do: ENOTBLK for the number, EILSEQ for everything else.
 * - On the device a block is a record: its words are kept as they are and the checksum is worked out when somebody looks at the bytes.
 *   Words that were sealed are never written again. Behind a node's last entry they are zero, where the kernel leaves what was there.
 * - A record whose words nobody works with any more may be packed (packed-block.ts): the same bytes, in less memory.
 */
import { assert } from "../core/assert.ts";
import type { BlockRecord } from "../core/block-record.ts";
import { Content } from "../core/content.ts";
import { crc32cWords } from "../core/crc32c.ts";
import { EILSEQ, ENOTBLK, type Errno } from "../core/errno.ts";
import { clearTail } from "./btree-node.ts";
import { type BlockKind, get64, METADATA_BLOCK_SIZE, MetadataBlock, set64 } from "./metadata-block.ts";
import { type PackedBlock, pack, unpack } from "./packed-block.ts";

const WORDS = METADATA_BLOCK_SIZE / 4;
const SALTS: Readonly<Record<BlockKind, number>> = { superblock: 160_774, node: 121_107, bitmap: 240_779, index: 160_478 };
/** What a block on the device is called. */
const RECORD_KINDS: Readonly<Record<BlockKind, string>> = {
  superblock: "thin.superblock",
  node: "thin.node",
  bitmap: "thin.bitmap",
  index: "thin.index",
};
/** The first word, the checksum, is not in the sum. */
const SUMMED_FROM = 1;

/** Where the block's own number stands: behind checksum and flags. */
const OWN_NUMBER = 2;

/** A block as it lies on the device. */
class SealedBlock implements BlockRecord {
  readonly kind: string;
  readonly length = METADATA_BLOCK_SIZE;
  readonly location: number;
  readonly blockKind: BlockKind;
  /** Its words, or what they were packed to. */
  #words: Uint32Array | undefined;
  #packed: PackedBlock | undefined;
  #summed = false;

  constructor(block: MetadataBlock) {
    this.kind = RECORD_KINDS[block.kind];
    this.location = block.location;
    this.blockKind = block.kind;
    this.#words = block.words;
  }

  /** Nobody works with the words any more. O(entries), once. */
  pack(): void {
    if (this.#packed === undefined && this.#words !== undefined) this.#packed = pack(this.#words, this.blockKind === "node");
    if (this.#packed !== undefined) this.#words = undefined;
    this.#summed = false;
  }

  /** The words; the checksum is not in them yet. */
  words(): Uint32Array {
    if (this.#words !== undefined) return this.#words;
    assert(this.#packed !== undefined, "a metadata block on the device has lost its words");
    const words = unpack(this.#packed);
    set64(words, OWN_NUMBER, this.location);
    return words;
  }

  encode(): Uint8Array {
    const words = this.words();
    if (!this.#summed || this.#words === undefined) words[0] = crc32cWords(words, SUMMED_FROM) ^ SALTS[this.blockKind];
    this.#summed = true;
    return new Uint8Array(words.buffer, words.byteOffset, METADATA_BLOCK_SIZE);
  }
}

/** What is written to the device: the block as it is now, whose words are not written again. */
export function seal(block: MetadataBlock): Content {
  if (block.kind === "node") clearTail(block.words);
  set64(block.words, OWN_NUMBER, block.location);
  const sealed = new SealedBlock(block);
  block.sealed = sealed;
  return Content.record(sealed);
}

/** What is written of blocks that follow each other. */
export function sealAll(blocks: readonly MetadataBlock[]): Content {
  return Content.concat(blocks.map(seal));
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
    if (record.location !== location) return ENOTBLK;
    if (record.blockKind !== kind) return EILSEQ;
    const block = new MetadataBlock(location, kind, record.words());
    block.sealed = record;
    return block;
  }
  const words = wordsOf(content);
  if (get64(words, OWN_NUMBER) !== location) return ENOTBLK;
  if ((crc32cWords(words, SUMMED_FROM) ^ SALTS[kind]) >>> 0 !== words[0]) return EILSEQ;
  return new MetadataBlock(location, kind, words);
}
