/**
 * The journal: metadata blocks change in place only after a transaction with all of them is durable (fs/jbd2/{transaction,commit,checkpoint,recovery}.c).
 *
 * Interface:
 * - `dirty` puts a block into the running transaction: a comparison of stamps when it is there already. Its record is packed at the commit.
 *   `dirtyRun` puts several that follow each other, none of which is in it.
 * - `commit` writes revokes, descriptors, blocks, flushes, and writes the commit block, flushed. Afterwards the blocks wait for `checkpoint`.
 * - `forget` ends a metadata block that is freed: it leaves the transaction, and a revoke keeps replay from writing an older copy over
 *   what its block holds next. Until that is committed, a copy of an earlier transaction still goes to its place: a cut may bring it back.
 * - After a failed write the journal is aborted: nothing is written any more (`error`).
 */
import { type BlockDevice, writeEach } from "../../block/device.ts";
import { assert } from "../../core/assert.ts";
import type { Clock } from "../../core/clock.ts";
import { Content } from "../../core/content.ts";
import { EINVAL, type Errno, isErrno } from "../../core/errno.ts";
import { bytes } from "../../core/units.ts";
import { BLOCK_SIZE } from "./layout.ts";
import { LogSegment, logBlocksOf } from "./log.ts";
import { PackedBlock, PackedRun } from "./packed-records.ts";
import { type Metadata, type MetadataRun, PackedWords, type Place } from "./packed-words.ts";
import { type JournalRecord, readRecord, SUPERBLOCK_BYTES, writeRecord } from "./records.ts";
import { replayLog, scanLog } from "./recovery.ts";
import { type Waiting, WaitingBlocks } from "./waiting-blocks.ts";

/** dirty_expire_centisecs: how long a committed block may wait before the flusher writes it in place. */
const EXPIRE_NANOSECONDS = 30e9;

const NO_BLOCKS: readonly number[] = [];

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
  /** Whether a mount goes on where the last one stopped (journal_reset). */
  readonly #continues: boolean;
  #running: Metadata[] = [];
  /** How many blocks it has more than entries: those of runs behind their first. */
  #behindFirst = 0;
  /** Whether blocks among them were freed since. */
  #hasForgotten = false;
  /** What commits are packed into. */
  #segment = new LogSegment();
  #revoked = new Set<number>();
  /** Committed and not yet in place. */
  readonly #waiting = new WaitingBlocks();
  /** The log's next block, 1 to length - 1. */
  #head = 1;
  /** Log blocks in use since the last checkpoint. */
  #used = 0;
  /** Whether the superblock on the device says that the log is empty (JBD2_FLUSHED): the first commit tells it otherwise. */
  #isMarkedEmpty = true;
  /** The sequence number of the running transaction: also the stamp of its blocks. */
  sequence = 1;
  error: Errno | undefined;

  constructor(device: BlockDevice, clock: Clock, runs: readonly number[], continues: boolean) {
    this.#device = device;
    this.#clock = clock;
    this.#runs = runs;
    this.#continues = continues;
    let length = 0;
    for (let at = 1; at < runs.length; at += 2) length += runs[at] as number;
    this.#length = length;
  }

  get isIdle(): boolean {
    return this.#running.length === 0 && this.#revoked.size === 0;
  }
  get waitingBlocks(): number {
    return this.#waiting.blocks;
  }
  /** Whether the running transaction is as large as jbd2 lets one grow: a quarter of the journal. */
  get isFull(): boolean {
    return this.#running.length + this.#behindFirst >= this.#length / 4 - 64;
  }

  /** The block will be part of the next commit. */
  dirty(metadata: Metadata): void {
    if (metadata.stamp === this.sequence) return;
    metadata.stamp = this.sequence;
    this.#running.push(metadata);
    if (this.#revoked.size > 0) this.#revoked.delete(metadata.block);
  }

  /** The blocks, which are in no transaction yet, will be part of the next commit. */
  dirtyRun(run: MetadataRun): void {
    run.stamp = this.sequence;
    this.#running.push(run);
    this.#behindFirst += run.count - 1;
  }

  /** Puts runs in the place of one of the running transaction. */
  replaceRun(run: MetadataRun, parts: readonly MetadataRun[]): void {
    const at = this.#running.indexOf(run);
    assert(at >= 0, `the run of blocks from ${run.block} on is not in the running transaction`);
    this.#running.splice(at, 1, ...parts);
    this.#behindFirst -= run.count - 1;
    for (const part of parts) this.#behindFirst += part.count - 1;
  }

  forget(metadata: Metadata): void {
    metadata.stamp = -1;
    this.#hasForgotten = true;
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

  /** How many blocks of the journal's file follow each other on the device from one on. */
  #inRow(index: number): number {
    let end = 0;
    for (let at = 1; at < this.#runs.length && end <= index; at += 2) end += this.#runs[at] as number;
    return end - index;
  }

  /** Writes the next blocks of the log, each with a command of its own. */
  #log(content: Content): Errno | undefined {
    const blocks = content.length / BLOCK_SIZE;
    this.#used += blocks;
    this.counters.logBlocks += blocks;
    for (let done = 0; done < blocks; ) {
      const count = Math.min(blocks - done, this.#length - this.#head, this.#inRow(this.#head));
      const failed = writeEach(
        this.#device,
        bytes(this.#place(this.#head) * BLOCK_SIZE),
        content.slice(done * BLOCK_SIZE, (done + count) * BLOCK_SIZE),
        bytes(BLOCK_SIZE),
      );
      if (failed !== undefined) return failed;
      done += count;
      this.#head = this.#head + count === this.#length ? 1 : this.#head + count;
    }
    return undefined;
  }

  /** Writes the journal's superblock: where the first transaction needed begins; `start` 0: none is. */
  #writeSuperblock(start: number): Errno | undefined {
    this.counters.logBlocks += 1;
    this.#isMarkedEmpty = start === 0;
    const record: JournalRecord = {
      kind: "jbd2.superblock",
      length: BLOCK_SIZE,
      decisiveBytes: SUPERBLOCK_BYTES,
      sequence: this.sequence,
      start,
      head: this.#head,
    };
    return writeRecord(this.#device, this.#place(0), record);
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
    const { sequence } = this;
    if (this.#hasForgotten) this.#running = this.#running.filter((metadata) => metadata.stamp === sequence);
    const revoked = this.#revoked.size === 0 ? NO_BLOCKS : [...this.#revoked];
    const blocks = this.#running.length + this.#behindFirst;
    const size = logBlocksOf(blocks, revoked.length);
    assert(size < this.#length, `a transaction of ${size} blocks in a journal of ${this.#length}`);
    let failed: Errno | undefined;
    if (this.#used + size >= this.#length - 1) failed = this.checkpoint();
    if (this.#isMarkedEmpty) failed ??= this.#writeSuperblock(this.#head);
    if (this.#segment.isFull) {
      this.#segment.seal();
      this.#segment = new LogSegment();
    }
    const segment = this.#segment;
    const begin = segment.length;
    for (const block of revoked) this.#waiting.delete(block);
    segment.add({ sequence, metadata: this.#running, blocks, revoked }, this.#wait);
    const commitBlock = segment.length - BLOCK_SIZE;
    failed ??= this.#log(Content.record(segment, begin, commitBlock));
    failed ??= this.#device.flush();
    failed ??= this.#log(Content.record(segment, commitBlock, segment.length));
    failed ??= this.#device.flush();
    if (failed !== undefined) return failed;
    this.#running.length = 0;
    this.#behindFirst = 0;
    this.#hasForgotten = false;
    if (revoked.length > 0) this.#revoked = new Set();
    this.sequence += 1;
    this.counters.commits += 1;
    return undefined;
  }

  /** A committed block is to be written in place. */
  readonly #wait = (block: number, packed: PackedWords, at: number): void => {
    this.#waiting.add(block, packed, at, this.#clock.now);
  };

  /** Writes committed blocks in place, those that wait since `before` or earlier, in the order of the disk; the log is kept. */
  writeBack(before: number = Number.POSITIVE_INFINITY): Errno | undefined {
    if (this.error !== undefined) return this.error;
    const failed = this.#waiting.take(before, (block, waiting, from, count) => {
      this.counters.checkpointBlocks += count;
      if (!waiting.isRun) return writePacked(this.#device, block, waiting);
      return writeRun(this.#device, block, waiting, from, count);
    });
    if (failed !== undefined) this.error = failed;
    return failed;
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
    const packed = new PackedWords();
    for (const metadata of this.#running)
      failed ??= writePacked(this.#device, metadata.block, { packed, at: packed.putBlock(metadata) });
    this.#running = [];
    return failed;
  }

  /** Makes a new journal's superblock. */
  format(): Errno | undefined {
    return this.#writeSuperblock(0);
  }

  /**
   * Writes every whole transaction of the log in place (jbd2_journal_recover). The first one that is torn or missing ends the log.
   * @returns how many transactions were replayed, EIO when the journal cannot be read, EINVAL where it has no superblock.
   */
  recover(): number | Errno {
    const superblock = readRecord(this.#device, this.#place(0));
    if (isErrno(superblock)) return superblock;
    if (superblock?.kind !== "jbd2.superblock") return EINVAL;
    this.sequence = superblock.sequence;
    this.#head = this.#continues ? superblock.head : 1;
    if (superblock.start === 0) return 0;
    const log = { device: this.#device, length: this.#length, place: (index: number) => this.#place(index) };
    const found = scanLog(log, superblock.start, superblock.sequence);
    if (isErrno(found)) return found;
    const { transactions, head } = found;
    const written = replayLog(this.#device, transactions);
    if (written !== undefined) return written;
    const failed = this.#device.flush();
    if (failed !== undefined) return failed;
    this.sequence += transactions.length + 1;
    this.#head = this.#continues ? head : 1;
    return this.#writeSuperblock(0) ?? transactions.length;
  }
}

/** Writes blocks of a run in place, from one of them on, each with a command of its own. */
function writeRun(device: BlockDevice, block: number, place: Waiting, from: number, count: number): Errno | undefined {
  const content = Content.record(new PackedRun(place), from * BLOCK_SIZE, (from + count) * BLOCK_SIZE);
  return writeEach(device, bytes(block * BLOCK_SIZE), content, bytes(BLOCK_SIZE));
}

/** Writes a packed record in place. */
function writePacked(device: BlockDevice, block: number, place: Place): Errno | undefined {
  return device.write(bytes(block * BLOCK_SIZE), Content.record(new PackedBlock(place)));
}
