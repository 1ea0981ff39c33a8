/**
 * Transactions as they lie in the log (fs/jbd2/commit.c): revoke blocks, then descriptors, each before the up to 254 blocks whose homes it
 * tells, then the commit block.
 *
 * Interface: a `LogSegment` is transactions that follow each other, packed: the disk holds one run for all of them. It grows at its end; what it
 * has told stays. The journal's own blocks are made when they are read.
 */
import { assert } from "../../core/assert.ts";
import { type BlockRecord, wholeAt } from "../../core/block-record.ts";
import { BLOCK_SIZE } from "./layout.ts";
import { PackedBlock } from "./packed-records.ts";
import { type Metadata, PackedReader, PackedWords, SEGMENT_BYTES } from "./packed-words.ts";
import type { JournalRecord } from "./records.ts";

/** Tags in a descriptor block: 4096 - 12 of header - 16 of UUID - 4 of checksum, 16 bytes each (journal_block_tag3_t). */
const TAGS_PER_DESCRIPTOR = 254;
/** Block numbers in a revoke block, 8 bytes each behind 16 bytes of header and before 4 of checksum. */
const REVOKES_PER_BLOCK = 509;

/** Blocks that a transaction takes in the log. */
export function logBlocksOf(blocks: number, revoked: number): number {
  return Math.ceil(revoked / REVOKES_PER_BLOCK) + Math.ceil(blocks / TAGS_PER_DESCRIPTOR) + blocks + 1;
}

/** A transaction as it is read. */
interface Transaction {
  readonly first: number;
  readonly end: number;
  readonly sequence: number;
  readonly revoked: readonly number[];
  readonly homes: readonly number[];
  readonly records: readonly PackedBlock[];
}

export class LogSegment implements BlockRecord {
  readonly packed: PackedWords = new PackedWords();
  /** Pairs: the block where a transaction begins, and where its words do: sequence, how many entries, the revoked blocks, the entries. */
  #begins: number[] = [];
  #blocks = 0;
  /** The transaction that was read last: a log is read block by block. */
  #read: Transaction | undefined;

  get kind(): string {
    return "jbd2.log";
  }
  /** Bytes of all its transactions. */
  get length(): number {
    return this.#blocks * BLOCK_SIZE;
  }
  /** Whether the next transaction should begin another one. */
  get isFull(): boolean {
    return this.packed.end >= SEGMENT_BYTES;
  }

  /** Gives up the room for more: it is full. */
  seal(): void {
    this.packed.seal();
    this.#begins = this.#begins.slice();
  }

  /** Adds a transaction, whose records are of `blocks` blocks in all. @param placed - is told where the record of each block, or run, lies. */
  add(
    transaction: {
      readonly sequence: number;
      readonly metadata: readonly Metadata[];
      readonly blocks: number;
      readonly revoked: readonly number[];
    },
    placed: (block: number, packed: PackedWords, at: number) => void,
  ): void {
    const { packed } = this;
    const { sequence, metadata, blocks, revoked } = transaction;
    this.#begins.push(this.#blocks, packed.end);
    packed.put(sequence);
    packed.put(metadata.length);
    packed.putAll(revoked);
    for (let index = 0; index < metadata.length; index++) {
      const one = metadata[index] as Metadata;
      placed(one.block, packed, packed.putBlock(one));
    }
    this.#blocks += logBlocksOf(blocks, revoked.length);
  }

  blockAt(offset: number, length: number): BlockRecord | undefined {
    const inBlock = offset % BLOCK_SIZE;
    if (length > BLOCK_SIZE) return undefined;
    const block = (offset - inBlock) / BLOCK_SIZE;
    let transaction = this.#read;
    if (transaction === undefined || block < transaction.first || block >= transaction.end) {
      transaction = this.#unpack(block);
      this.#read = transaction;
    }
    return wholeAt(blockOf(transaction, block - transaction.first), inBlock, length);
  }

  /** The transaction that a block belongs to. */
  #unpack(block: number): Transaction {
    const begins = this.#begins;
    let low = 0;
    let high = begins.length / 2 - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((begins[2 * middle] as number) <= block) low = middle;
      else high = middle - 1;
    }
    const first = begins[2 * low] as number;
    const { packed } = this;
    const reader = new PackedReader(packed, begins[2 * low + 1] as number);
    const sequence = reader.unsigned();
    const count = reader.unsigned();
    const revoked = reader.unsignedList();
    let { at } = reader;
    const homes: number[] = [];
    const records: PackedBlock[] = [];
    for (let entry = 0; entry < count; entry++, at += packed.sizeOf(at)) {
      for (let index = 0; index < packed.blocksOf(at); index++) {
        homes.push(packed.homeOf(at) + index);
        records.push(new PackedBlock({ packed, at }, index));
      }
    }
    return { first, end: first + logBlocksOf(records.length, revoked.length), sequence, revoked, homes, records };
  }
}

/** One block of a transaction. */
function blockOf(transaction: Transaction, index: number): JournalRecord | PackedBlock {
  const { sequence, revoked, homes, records } = transaction;
  const revokeBlocks = Math.ceil(revoked.length / REVOKES_PER_BLOCK);
  if (index < revokeBlocks) {
    const blocks = revoked.slice(index * REVOKES_PER_BLOCK, (index + 1) * REVOKES_PER_BLOCK);
    return { kind: "jbd2.revoke", length: BLOCK_SIZE, sequence, blocks };
  }
  if (index === transaction.end - transaction.first - 1) return { kind: "jbd2.commit", length: BLOCK_SIZE, sequence };
  const behind = index - revokeBlocks;
  const place = behind % (TAGS_PER_DESCRIPTOR + 1);
  const first = ((behind - place) / (TAGS_PER_DESCRIPTOR + 1)) * TAGS_PER_DESCRIPTOR;
  const end = first + TAGS_PER_DESCRIPTOR;
  if (place === 0)
    return {
      kind: "jbd2.descriptor",
      length: BLOCK_SIZE,
      sequence,
      blocks: homes.slice(first, end),
      checks: records.slice(first, end),
    };
  const record = records[first + place - 1];
  assert(record !== undefined, `the log has no block ${index} in transaction ${sequence}`);
  return record as PackedBlock;
}
