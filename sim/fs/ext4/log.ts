/**
 * One transaction as it lies in the log (fs/jbd2/commit.c): revoke blocks, then descriptors, each before the up to 254 blocks whose homes it
 * tells, then the commit block.
 *
 * Interface: `LoggedTransaction` is all of them as one record, so that the disk holds one run for a commit. The journal's own blocks are made when they are read.
 */
import { type BlockRecord, wholeAt } from "../../core/block-record.ts";
import { BLOCK_SIZE } from "./layout.ts";
import type { JournalRecord, MetadataRecord } from "./records.ts";

/** Tags in a descriptor block: 4096 - 12 of header - 16 of UUID - 4 of checksum, 16 bytes each (journal_block_tag3_t). */
const TAGS_PER_DESCRIPTOR = 254;
/** Block numbers in a revoke block, 8 bytes each behind 16 bytes of header and before 4 of checksum. */
const REVOKES_PER_BLOCK = 509;

/** Blocks that a transaction takes in the log. */
export function logBlocksOf(blocks: number, revoked: number): number {
  return Math.ceil(revoked / REVOKES_PER_BLOCK) + Math.ceil(blocks / TAGS_PER_DESCRIPTOR) + blocks + 1;
}

export class LoggedTransaction implements BlockRecord {
  readonly length: number;
  readonly #sequence: number;
  readonly #records: readonly MetadataRecord[];
  /** Where each record belongs. */
  readonly #homes: readonly number[];
  readonly #revoked: readonly number[];

  constructor(sequence: number, records: readonly MetadataRecord[], homes: readonly number[], revoked: readonly number[]) {
    this.length = logBlocksOf(records.length, revoked.length) * BLOCK_SIZE;
    this.#sequence = sequence;
    this.#records = records;
    this.#homes = homes;
    this.#revoked = revoked;
  }

  get kind(): string {
    return "jbd2.transaction";
  }

  blockAt(offset: number, length: number): BlockRecord | undefined {
    const inBlock = offset % BLOCK_SIZE;
    if (length > BLOCK_SIZE) return undefined;
    return wholeAt(this.#block((offset - inBlock) / BLOCK_SIZE), inBlock, length);
  }

  #block(index: number): JournalRecord | MetadataRecord {
    const sequence = this.#sequence;
    const revokeBlocks = Math.ceil(this.#revoked.length / REVOKES_PER_BLOCK);
    if (index < revokeBlocks) {
      const blocks = this.#revoked.slice(index * REVOKES_PER_BLOCK, (index + 1) * REVOKES_PER_BLOCK);
      return { kind: "jbd2.revoke", length: BLOCK_SIZE, sequence, blocks };
    }
    const behind = index - revokeBlocks;
    const place = behind % (TAGS_PER_DESCRIPTOR + 1);
    const first = ((behind - place) / (TAGS_PER_DESCRIPTOR + 1)) * TAGS_PER_DESCRIPTOR;
    if ((index + 1) * BLOCK_SIZE === this.length) return { kind: "jbd2.commit", length: BLOCK_SIZE, sequence };
    if (place > 0) return this.#records[first + place - 1] as MetadataRecord;
    const end = first + TAGS_PER_DESCRIPTOR;
    return {
      kind: "jbd2.descriptor",
      length: BLOCK_SIZE,
      sequence,
      blocks: this.#homes.slice(first, end),
      checks: this.#records.slice(first, end),
    };
  }
}
