/**
 * The journal: metadata blocks change in place only after a transaction with all of them is durable (fs/jbd2/{transaction,commit,checkpoint,recovery}.c).
 *
 * Interface:
 * - `dirty` puts a block into the running transaction: a comparison of stamps when it is there already. Its record is made at the commit.
 * - `commit` writes revokes, descriptors, blocks, flushes, and writes the commit block, flushed. Afterwards the blocks wait for `checkpoint`.
 * - `forget` ends a metadata block that is freed: it leaves the transaction, and a revoke keeps replay from writing an older copy over
 *   what its block holds next. Until that is committed, a copy of an earlier transaction still goes to its place: a cut may bring it back.
 * - After a failed write the journal is aborted: nothing is written any more (`error`).
 */
import type { BlockDevice } from "../../block/device.ts";
import { assert } from "../../core/assert.ts";
import type { Clock } from "../../core/clock.ts";
import { type Errno, isErrno } from "../../core/errno.ts";
import { BLOCK_SIZE } from "./layout.ts";
import {
  type Ext4Record,
  type JournalDescriptor,
  type JournalRecord,
  type MetadataRecord,
  readRecord,
  SUPERBLOCK_BYTES,
  writeRecord,
} from "./records.ts";

/** A metadata block in memory. */
export interface Metadata {
  /** Its home on the device. */
  readonly block: number;
  /** The transaction it last joined; -1: freed. */
  stamp: number;
  freeze(): MetadataRecord;
}

/** Tags in a descriptor block: 4096 - 12 of header - 16 of UUID - 4 of checksum, 16 bytes each (journal_block_tag3_t). */
const TAGS_PER_DESCRIPTOR = 254;
/** Block numbers in a revoke block, 8 bytes each behind 16 bytes of header and before 4 of checksum. */
const REVOKES_PER_BLOCK = 509;
/** dirty_expire_centisecs: how long a committed block may wait before the flusher writes it in place. */
const EXPIRE_NANOSECONDS = 30e9;

interface Waiting {
  readonly record: MetadataRecord;
  readonly since: number;
}

export interface JournalCounters {
  commits: number;
  /** Blocks written to the journal, its own included. */
  logBlocks: number;
  /** Blocks written in place. */
  checkpointBlocks: number;
}

export class Journal {
  readonly counters: JournalCounters = { commits: 0, logBlocks: 0, checkpointBlocks: 0 };
  readonly #device: BlockDevice;
  readonly #clock: Clock;
  /** The journal inode's blocks: pairs of first block and count. */
  readonly #runs: readonly number[];
  readonly #length: number;
  #running: Metadata[] = [];
  #revoked = new Set<number>();
  /** Committed and not yet in place. */
  #waiting = new Map<number, Waiting>();
  /** The log's next block, 1 to length - 1. */
  #head = 1;
  /** Log blocks in use since the last checkpoint. */
  #used = 0;
  /** Whether the superblock on the device says that the log is empty (JBD2_FLUSHED): the first commit tells it otherwise. */
  #isMarkedEmpty = true;
  /** The sequence number of the running transaction: also the stamp of its blocks. */
  sequence = 1;
  error: Errno | undefined;

  constructor(device: BlockDevice, clock: Clock, runs: readonly number[]) {
    this.#device = device;
    this.#clock = clock;
    this.#runs = runs;
    let length = 0;
    for (let at = 1; at < runs.length; at += 2) length += runs[at] as number;
    this.#length = length;
  }

  get isIdle(): boolean {
    return this.#running.length === 0 && this.#revoked.size === 0;
  }
  get waitingBlocks(): number {
    return this.#waiting.size;
  }
  /** Whether the running transaction is as large as jbd2 lets one grow: a quarter of the journal. */
  get isFull(): boolean {
    return this.#running.length >= this.#length / 4 - 64;
  }

  /** The block will be part of the next commit. */
  dirty(metadata: Metadata): void {
    if (metadata.stamp === this.sequence) return;
    metadata.stamp = this.sequence;
    this.#running.push(metadata);
    if (this.#revoked.size > 0) this.#revoked.delete(metadata.block);
  }

  forget(metadata: Metadata): void {
    metadata.stamp = -1;
    this.#revoked.add(metadata.block);
  }

  /** The block in the journal's file, on the device. */
  #place(index: number): number {
    let rest = index;
    for (let at = 0; at < this.#runs.length; at += 2) {
      const count = this.#runs[at + 1] as number;
      if (rest < count) return (this.#runs[at] as number) + rest;
      rest -= count;
    }
    throw new RangeError(`the journal has no block ${index}`);
  }

  #log(record: JournalRecord | MetadataRecord): Errno | undefined {
    const failed = writeRecord(this.#device, this.#place(this.#head), record);
    this.#head = this.#head + 1 === this.#length ? 1 : this.#head + 1;
    this.#used += 1;
    this.counters.logBlocks += 1;
    return failed;
  }

  /** Writes the journal's superblock: where the first transaction needed begins; `start` 0: none is. */
  #writeSuperblock(start: number): Errno | undefined {
    this.counters.logBlocks += 1;
    this.#isMarkedEmpty = start === 0;
    const record: JournalRecord = {
      kind: "jbd2.superblock",
      length: SUPERBLOCK_BYTES,
      sequence: this.sequence,
      start,
      head: this.#head,
    };
    return writeRecord(this.#device, this.#place(0), record) ?? this.#device.flush();
  }

  /** Makes the running transaction durable. @returns EIO when the device fails: the journal is aborted then. */
  commit(): Errno | undefined {
    if (this.error !== undefined) return this.error;
    if (this.isIdle) return undefined;
    const failed = this.#commit();
    if (failed !== undefined) this.error = failed;
    return failed;
  }

  #commit(): Errno | undefined {
    const blocks = this.#running.filter((metadata) => metadata.stamp === this.sequence);
    const revoked = [...this.#revoked];
    const size =
      blocks.length + Math.ceil(blocks.length / TAGS_PER_DESCRIPTOR) + Math.ceil(revoked.length / REVOKES_PER_BLOCK) + 1;
    assert(size < this.#length, `a transaction of ${size} blocks in a journal of ${this.#length}`);
    let failed: Errno | undefined;
    if (this.#used + size >= this.#length - 1) failed = this.checkpoint();
    if (this.#isMarkedEmpty) failed ??= this.#writeSuperblock(this.#head);
    const sequence = this.sequence;
    for (let at = 0; at < revoked.length; at += REVOKES_PER_BLOCK) {
      const part = revoked.slice(at, at + REVOKES_PER_BLOCK);
      failed ??= this.#log({ kind: "jbd2.revoke", length: BLOCK_SIZE, sequence, blocks: part });
    }
    const records = blocks.map((metadata) => metadata.freeze());
    for (let at = 0; at < blocks.length; at += TAGS_PER_DESCRIPTOR) {
      const checks = records.slice(at, at + TAGS_PER_DESCRIPTOR);
      const homes = blocks.slice(at, at + TAGS_PER_DESCRIPTOR).map((metadata) => metadata.block);
      failed ??= this.#log({ kind: "jbd2.descriptor", length: BLOCK_SIZE, sequence, blocks: homes, checks });
      for (const record of checks) failed ??= this.#log(record);
    }
    failed ??= this.#device.flush();
    failed ??= this.#log({ kind: "jbd2.commit", length: BLOCK_SIZE, sequence });
    failed ??= this.#device.flush();
    if (failed !== undefined) return failed;
    const since = this.#clock.now;
    for (const block of revoked) this.#waiting.delete(block);
    blocks.forEach((metadata, index) => {
      this.#waiting.delete(metadata.block);
      this.#waiting.set(metadata.block, { record: records[index] as MetadataRecord, since });
    });
    this.#running = [];
    this.#revoked = new Set();
    this.sequence += 1;
    this.counters.commits += 1;
    return undefined;
  }

  /** Writes committed blocks in place, those that wait since `before` or earlier, in the order of the disk; the log is kept. */
  writeBack(before: number = Number.POSITIVE_INFINITY): Errno | undefined {
    if (this.error !== undefined) return this.error;
    const due: number[] = [];
    for (const [block, waiting] of this.#waiting) {
      if (waiting.since > before) break;
      due.push(block);
    }
    due.sort((one, other) => one - other);
    for (const block of due) {
      const failed = writeRecord(this.#device, block, (this.#waiting.get(block) as Waiting).record);
      if (failed !== undefined) {
        this.error = failed;
        return failed;
      }
      this.#waiting.delete(block);
    }
    this.counters.checkpointBlocks += due.length;
    return undefined;
  }

  /** What the flusher does to committed blocks that are older than 30 seconds. */
  writeExpired(): Errno | undefined {
    return this.writeBack(this.#clock.now - EXPIRE_NANOSECONDS);
  }

  /** Writes everything in place and moves the log's tail to its head (jbd2_log_do_checkpoint, jbd2_cleanup_journal_tail). */
  checkpoint(): Errno | undefined {
    const failed = this.writeBack() ?? this.#device.flush();
    if (failed !== undefined || this.#used === 0) return failed;
    this.#used = 0;
    return this.#writeSuperblock(this.#head);
  }

  /** Ends the journal: everything in place, the log marked empty (jbd2_journal_destroy). */
  close(): Errno | undefined {
    const failed = this.commit() ?? this.checkpoint();
    if (failed !== undefined || this.#isMarkedEmpty) return failed;
    return this.#writeSuperblock(0);
  }

  /** Writes the running transaction in place at once, past the log: mkfs. */
  writeRunning(): Errno | undefined {
    let failed: Errno | undefined;
    for (const metadata of this.#running) failed ??= writeRecord(this.#device, metadata.block, metadata.freeze());
    this.#running = [];
    return failed;
  }

  /** Makes a new journal's superblock. */
  format(): Errno | undefined {
    return this.#writeSuperblock(0);
  }

  /**
   * Writes every whole transaction of the log in place (jbd2_journal_recover). The first one that is torn or missing ends the log.
   * @returns how many transactions were replayed, or EUCLEAN's kin EIO when the journal cannot be read.
   */
  recover(): number | Errno {
    const superblock = readRecord(this.#device, this.#place(0));
    if (isErrno(superblock)) return superblock;
    if (superblock === undefined || superblock.kind !== "jbd2.superblock") return 0;
    this.sequence = superblock.sequence;
    this.#head = superblock.head;
    if (superblock.start === 0) return 0;
    const found = this.#scan(superblock.start);
    if (isErrno(found)) return found;
    const written = this.#replay(found);
    if (written !== undefined) return written;
    const failed = this.#device.flush();
    if (failed !== undefined) return failed;
    this.sequence += found.length + 1;
    this.#head = 1;
    return this.#writeSuperblock(0) ?? found.length;
  }

  /** The log's whole transactions from block `start` on. */
  #scan(start: number): LoggedTransaction[] | Errno {
    const found: LoggedTransaction[] = [];
    let at = start;
    const next = (): Ext4Record | Errno | undefined => {
      const record = readRecord(this.#device, this.#place(at));
      at = at + 1 === this.#length ? 1 : at + 1;
      return record;
    };
    for (let read = 0; read < this.#length; ) {
      const transaction: LoggedTransaction = { blocks: new Map(), revoked: [] };
      const sequence = this.sequence + found.length;
      for (;;) {
        const record = next();
        read += 1;
        if (isErrno(record)) return record;
        if (record === undefined || !isLog(record) || record.sequence !== sequence) return found;
        if (record.kind === "jbd2.commit") break;
        if (record.kind === "jbd2.revoke") transaction.revoked.push(...record.blocks);
        else {
          const whole = this.#readTagged(record, next, transaction);
          if (isErrno(whole)) return whole;
          if (!whole) return found;
          read += record.blocks.length;
        }
      }
      found.push(transaction);
    }
    return found;
  }

  #readTagged(
    descriptor: JournalDescriptor,
    next: () => Ext4Record | Errno | undefined,
    into: LoggedTransaction,
  ): boolean | Errno {
    for (const [index, home] of descriptor.blocks.entries()) {
      const record = next();
      if (isErrno(record)) return record;
      if (record !== descriptor.checks[index]) return false;
      into.blocks.set(home, record as MetadataRecord);
    }
    return true;
  }

  #replay(found: readonly LoggedTransaction[]): Errno | undefined {
    /** The last transaction that revoked a block: copies from it or earlier ones are not replayed. */
    const revokedAt = new Map<number, number>();
    for (const [index, transaction] of found.entries()) for (const block of transaction.revoked) revokedAt.set(block, index);
    for (const [index, transaction] of found.entries()) {
      for (const [block, record] of transaction.blocks) {
        if ((revokedAt.get(block) ?? -1) >= index) continue;
        const failed = writeRecord(this.#device, block, record);
        if (failed !== undefined) return failed;
      }
    }
    return undefined;
  }
}

interface LoggedTransaction {
  readonly blocks: Map<number, MetadataRecord>;
  readonly revoked: number[];
}

function isLog(record: Ext4Record): record is Exclude<JournalRecord, { kind: "jbd2.superblock" }> {
  return record.kind === "jbd2.descriptor" || record.kind === "jbd2.revoke" || record.kind === "jbd2.commit";
}
