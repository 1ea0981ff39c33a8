/**
 * The log (fs/xfs/xfs_log.c, xfs_log_cil.c, xfs_trans_ail.c, xfs_log_recover.c): buffers change in place only after a checkpoint with all of them is durable.
 *
 * Words: the *CIL* is what the running checkpoint will hold; the *AIL* what was logged and is not yet in place; the *tail* is where the
 * oldest of it lies in the log.
 *
 * Interface:
 * - `dirty` puts a buffer into the running checkpoint: a comparison of stamps when it is there already. Its record is made when it is forced.
 * - `force` writes the checkpoint: as records of up to 32 KiB, the last one behind a flush and flushed itself. Its length is that of the
 *   regions that the kernel would log, not of whole buffers.
 * - `forget` ends a buffer that is freed: it leaves the checkpoint, and recovery replays no older copy (XFS_BLF_CANCEL).
 * - After a failed write the filesystem is shut down: nothing is written any more (`error`).
 */
import type { BlockDevice } from "../../block/device.ts";
import { assert } from "../../core/assert.ts";
import { Content } from "../../core/content.ts";
import type { Errno } from "../../core/errno.ts";
import { bytes } from "../../core/units.ts";
import { BLOCK_SIZE, type Geometry, SECTOR_SIZE, SECTORS_PER_BLOCK } from "./layout.ts";
import { IN_FLIGHT_SECTORS } from "./log-search.ts";
import { type LoggedSize, measureBuffer } from "./logged-pieces.ts";
import { type LoggedBuffer, type LogPlace, type LogRecord, type MetadataRecord, writeRecord } from "./records.ts";

/** A metadata buffer in memory. */
export interface Metadata {
  /** Its home: a sector of the device. */
  readonly sector: number;
  /** The checkpoint it last joined; -1: freed. */
  stamp: number;
  freeze(): MetadataRecord;
  /** Adds what a checkpoint logs of it: what changed since the last one, of blocks all that changed since they were written in place. */
  measure(into: LoggedSize): void;
  /** It was written in place as it is. */
  written?(): void;
  /** Adds what a checkpoint logs of it although it was freed in that checkpoint. */
  measureFreed?(into: LoggedSize): void;
}

/** xlog_op_header. */
const OP_BYTES = 12;
/** Start record, transaction header (16 bytes), commit record. */
const FRAME_OPS = 3;
const FRAME_BYTES: number = FRAME_OPS * OP_BYTES + 16;
/** What the CIL counts for a buffer, about: its format and a few pieces. */
const BUFFER_LOGGED_BYTES = 512;
/** Operations of a checkpoint that logs a superblock and nothing else: by this number the log knows a dummy (XLOG_COVER_OPS). */
const COVER_OPS = 5;
/** An in-core log buffer: 32 KiB, or the log's stripe unit where that is more. A sector of it for each 32 KiB is the header. */
const BUFFER_BYTES = 32_768;

function logUnitBytes({ logUnit }: Geometry): number {
  return logUnit > 0 ? logUnit * BLOCK_SIZE : SECTOR_SIZE;
}

/** What a record has at most: bytes of headers, and bytes beside them. */
export function logBufferOf(geometry: Geometry): { readonly headerBytes: number; readonly dataBytes: number } {
  const buffer = Math.max(BUFFER_BYTES, logUnitBytes(geometry));
  const headerBytes = Math.ceil(buffer / BUFFER_BYTES) * SECTOR_SIZE;
  return { headerBytes, dataBytes: buffer - headerBytes };
}

interface Waiting {
  readonly metadata: Metadata;
  readonly record: MetadataRecord;
  readonly checkpoint: number;
}

export interface LogCounters {
  commits: number;
  /** Blocks' worth of log written, records' headers included; fractions are counted up. */
  logBlocks: number;
  /** Buffers written in place. */
  checkpointBlocks: number;
}

/** Whether the log has to be covered by dummies when the filesystem rests (l_covered_state). */
type Covering = "idle" | "need" | "need2";

export class Log {
  readonly counters: LogCounters = { commits: 0, logBlocks: 0, checkpointBlocks: 0 };
  readonly #device: BlockDevice;
  readonly #first: number;
  readonly #sectors: number;
  /** What a record's length is a multiple of: a sector, or the stripe unit. */
  readonly #unit: number;
  readonly #headerBytes: number;
  /** What a record holds beside its header at most. */
  readonly #dataBytes: number;
  #running: Metadata[] = [];
  #cancelled = new Set<number>();
  /** Of inodes, in bytes, what the running checkpoint will log. */
  #inodeBytes = 0;
  /** Of what was freed. */
  #freed: LoggedSize = { regions: 0, bytes: 0 };
  #waiting = new Map<number, Waiting>();
  /** Where each checkpoint began that the AIL may still need, by number. */
  readonly #begun = new Map<number, LogPlace>();
  #head: LogPlace = { cycle: 1, sector: 0 };
  #covering: Covering = "idle";
  /** The running checkpoint's number: also the stamp of its buffers. */
  checkpoint = 1;
  error: Errno | undefined;

  constructor(device: BlockDevice, geometry: Geometry) {
    this.#device = device;
    this.#first = geometry.logStart * SECTORS_PER_BLOCK;
    this.#sectors = geometry.logBlocks * SECTORS_PER_BLOCK;
    this.#unit = logUnitBytes(geometry);
    const { headerBytes, dataBytes } = logBufferOf(geometry);
    this.#headerBytes = headerBytes;
    this.#dataBytes = dataBytes;
  }

  get isIdle(): boolean {
    return this.#running.length === 0 && this.#cancelled.size === 0;
  }
  /** Where the next record goes, counted over all rounds of the log: it only grows, over mounts too. */
  get position(): number {
    return this.#head.cycle * this.#sectors + this.#head.sector;
  }
  get waitingBuffers(): number {
    return this.#waiting.size;
  }
  /** Whether the running checkpoint is as large as the CIL lets one grow (XLOG_CIL_SPACE_LIMIT): an eighth of the log, at most 32 MiB. */
  get isFull(): boolean {
    const logged = this.#running.length * BUFFER_LOGGED_BYTES + this.#inodeBytes;
    return logged >= Math.min((this.#sectors * SECTOR_SIZE) / 8, 2 ** 25);
  }

  /** An inode joins the running checkpoint with so many regions and bytes. */
  logsInode(regions: number, loggedBytes: number): void {
    this.#inodeBytes += loggedBytes + regions * OP_BYTES;
  }

  /** The buffer will be part of the next checkpoint. */
  dirty(metadata: Metadata): void {
    if (metadata.stamp === this.checkpoint) return;
    metadata.stamp = this.checkpoint;
    this.#running.push(metadata);
    if (this.#cancelled.size > 0) this.#cancelled.delete(metadata.sector);
  }

  forget(metadata: Metadata): void {
    if (metadata.stamp === this.checkpoint) metadata.measureFreed?.(this.#freed);
    metadata.stamp = -1;
    this.#cancelled.add(metadata.sector);
  }

  #after(place: LogPlace, sectors: number): LogPlace {
    const sector = place.sector + sectors;
    return sector < this.#sectors ? { cycle: place.cycle, sector } : { cycle: place.cycle + 1, sector: sector - this.#sectors };
  }

  /** Where the oldest buffer of the AIL lies; the head where there is none. */
  #tail(): LogPlace {
    let oldest = this.checkpoint;
    for (const { checkpoint } of this.#waiting.values()) if (checkpoint < oldest) oldest = checkpoint;
    for (const known of this.#begun.keys()) if (known < oldest) this.#begun.delete(known);
    return this.#begun.get(oldest) ?? this.#head;
  }

  #used(tail: LogPlace): number {
    return (this.#head.cycle - tail.cycle) * this.#sectors + this.#head.sector - tail.sector;
  }

  /** How long a record is that holds so many bytes (xlog_calc_iclog_size). */
  #lengthOf(dataBytes: number): number {
    return Math.ceil((this.#headerBytes + dataBytes) / this.#unit) * this.#unit;
  }

  /** Writes one record at the head; one that reaches the end of the log goes on at its beginning. */
  #write(record: LogRecord): Errno | undefined {
    const sectors = record.length / SECTOR_SIZE;
    const rest = this.#sectors - record.place.sector;
    this.counters.logBlocks += Math.ceil(record.length / BLOCK_SIZE);
    this.#head = this.#after(record.place, sectors);
    if (sectors <= rest) return writeRecord(this.#device, this.#first + record.place.sector, record);
    const content = Content.record(record);
    return (
      this.#device.write(bytes((this.#first + record.place.sector) * SECTOR_SIZE), content.slice(0, rest * SECTOR_SIZE)) ??
      this.#device.write(bytes(this.#first * SECTOR_SIZE), content.slice(rest * SECTOR_SIZE))
    );
  }

  /** Makes the running checkpoint durable. @returns EIO when the device fails: the filesystem is shut down then. */
  force(): Errno | undefined {
    if (this.error !== undefined) return this.error;
    if (this.isIdle) return undefined;
    const failed = this.#force();
    if (failed !== undefined) this.error = failed;
    return failed;
  }

  #force(): Errno | undefined {
    const buffers = this.#running.filter((metadata) => metadata.stamp === this.checkpoint);
    const size = this.#freed;
    for (const metadata of buffers) metadata.measure(size);
    for (let n = 0; n < this.#cancelled.size; n++) measureBuffer(size, 0);
    const logged = buffers.map((metadata) => ({ metadata, sector: metadata.sector, record: metadata.freeze() }));
    const total = FRAME_BYTES + size.bytes + size.regions * OP_BYTES;
    let failed = this.#makeRoom(total);
    failed ??= this.#writeCheckpoint(logged, [...this.#cancelled], total);
    if (failed !== undefined) return failed;
    for (const sector of this.#cancelled) this.#waiting.delete(sector);
    for (const { metadata, sector, record } of logged) {
      this.#waiting.delete(sector);
      this.#waiting.set(sector, { metadata, record, checkpoint: this.checkpoint });
    }
    this.#running = [];
    this.#cancelled = new Set();
    this.#inodeBytes = 0;
    this.#freed = { regions: 0, bytes: 0 };
    this.checkpoint += 1;
    this.counters.commits += 1;
    if (size.regions + FRAME_OPS !== COVER_OPS || this.#covering !== "idle") this.#covering = "need";
    return undefined;
  }

  /** Pushes the AIL where the checkpoint would not find room behind the tail. */
  #makeRoom(total: number): Errno | undefined {
    const sectors = Math.ceil(total / this.#dataBytes) * ((this.#dataBytes + this.#headerBytes) / SECTOR_SIZE);
    assert(sectors < this.#sectors / 2, `a checkpoint of ${sectors} sectors in a log of ${this.#sectors}`);
    if (this.#used(this.#tail()) + sectors < this.#sectors - IN_FLIGHT_SECTORS) return undefined;
    return this.push() ?? this.#device.flush();
  }

  #writeCheckpoint(logged: readonly LoggedBuffer[], cancelled: readonly number[], total: number): Errno | undefined {
    const parts = Math.max(1, Math.ceil(total / this.#dataBytes));
    const share = Math.ceil(logged.length / parts);
    this.#begun.set(this.checkpoint, this.#head);
    const tail = this.#tail();
    let failed: Errno | undefined;
    for (let part = 0; part < parts && failed === undefined; part++) {
      const isLast = part === parts - 1;
      const rest = isLast ? total - part * this.#dataBytes : this.#dataBytes;
      // What the log covers in place, and data that the checkpoint maps, is durable before it is.
      if (part === 0 || isLast) failed = this.#device.flush();
      failed ??= this.#write({
        kind: "xfs.log",
        length: this.#lengthOf(rest),
        place: this.#head,
        tail,
        checkpoint: this.checkpoint,
        part,
        parts,
        buffers: logged.slice(part * share, (part + 1) * share),
        cancelled: isLast ? cancelled : [],
        unmount: false,
      });
    }
    return failed ?? this.#device.flush();
  }

  /** Writes every logged buffer in place, in the order of the disk (xfs_ail_push_all). */
  push(): Errno | undefined {
    if (this.error !== undefined) return this.error;
    const due = [...this.#waiting.keys()].sort((one, other) => one - other);
    for (const sector of due) {
      const { metadata, record } = this.#waiting.get(sector) as Waiting;
      const failed = writeRecord(this.#device, sector, record);
      if (failed !== undefined) {
        this.error = failed;
        return failed;
      }
      this.#waiting.delete(sector);
      if (metadata.stamp !== this.checkpoint) metadata.written?.();
    }
    this.counters.checkpointBlocks += due.length;
    return undefined;
  }

  /**
   * Brings the log to rest: everything in place, and as many dummies behind it as keep recovery from replaying anything older
   * (xfs_log_quiesce, xfs_log_cover).
   * @param superblock - what a dummy logs.
   */
  quiesce(superblock: Metadata): Errno | undefined {
    let failed = this.force() ?? this.push();
    let dummies = this.#covering === "idle" ? 1 : 2;
    for (; dummies > 0 && failed === undefined; dummies--) {
      this.dirty(superblock);
      failed = this.force() ?? this.push();
    }
    this.#covering = "idle";
    return failed;
  }

  /** Ends the log with a record that tells recovery to do nothing. */
  close(superblock: Metadata): Errno | undefined {
    return this.quiesce(superblock) ?? this.#writeUnmount() ?? this.#device.flush();
  }

  /** Writes the unmount record (xlog_unmount_write). */
  #writeUnmount(): Errno | undefined {
    const place = this.#head;
    const flushed = this.#device.flush();
    if (flushed !== undefined) return flushed;
    const written = this.#write({
      kind: "xfs.log",
      length: this.#lengthOf(SECTOR_SIZE),
      place,
      tail: place,
      checkpoint: this.checkpoint,
      part: 0,
      parts: 1,
      buffers: [],
      cancelled: [],
      unmount: true,
    });
    this.checkpoint += 1;
    return written ?? this.#device.flush();
  }

  /** Writes the running checkpoint in place at once, past the log: mkfs. */
  writeRunning(): Errno | undefined {
    let failed: Errno | undefined;
    for (const metadata of this.#running) failed ??= writeRecord(this.#device, metadata.sector, metadata.freeze());
    this.#running = [];
    return failed;
  }

  /** Makes an empty log (libxfs_log_clear): zeros, and an unmount record. */
  format(): Errno | undefined {
    return (
      this.#device.write(bytes(this.#first * SECTOR_SIZE), Content.zeros(this.#sectors * SECTOR_SIZE)) ?? this.#writeUnmount()
    );
  }

  /** The log goes on where recovery found its end. */
  resume(head: LogPlace, checkpoint: number): void {
    this.#head = head;
    this.checkpoint = checkpoint;
  }
}
