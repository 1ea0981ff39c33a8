/**
 * Log recovery (fs/xfs/xfs_log_recover.c): the ends of the log are found, what lies ahead is made stale, and every whole checkpoint from the tail
 * on is replayed in place.
 */
import type { BlockDevice } from "../../block/device.ts";
import { EBADMSG, type Errno, EUCLEAN, isErrno } from "../../core/errno.ts";
import { type Geometry, SECTOR_SIZE } from "./layout.ts";
import { logBufferOf } from "./log.ts";
import { type FoundRecord, IN_FLIGHT_SECTORS, isWhole, LogSearch, NOT_FOUND, RECORDS_IN_FLIGHT } from "./log-search.ts";
import { LogSectors } from "./log-sectors.ts";
import { type LoggedBuffer, type LogPlace, type LogRecord, writeRecord } from "./records.ts";

/** Where a log begins that nothing was ever written to. */
const BEGINNING: LogPlace = { cycle: 1, sector: 0 };

/** The log as it was found. */
interface LogEnds {
  readonly head: LogPlace;
  /** The sector from which records count. */
  readonly tail: number;
  /** The last record; undefined: nothing was ever written. */
  readonly last: LogRecord | undefined;
}

/** What recovery did and where the log goes on. */
export interface Recovered {
  readonly head: LogPlace;
  /** A number above every checkpoint's in the log. */
  readonly checkpoint: number;
  /** Checkpoints that were replayed; 0 after an unmount. */
  readonly replayed: number;
}

/** A record that is not whole: where it begins, and what it is to whoever needs it: a wrong checksum, or a header that is none. */
interface Torn {
  readonly at: number;
  readonly errno: typeof EBADMSG | typeof EUCLEAN;
}

/** Records from one place to another as they are read, and the first that is not whole, if one is not. */
interface Pass {
  readonly records: readonly LogRecord[];
  readonly torn: Torn | undefined;
}

class Recovery {
  readonly log: LogSectors;
  readonly #search: LogSearch;
  readonly #headerSectors: number;
  /** Sectors of records that may have been under way when the power failed. */
  readonly #underWay: number;

  constructor(device: BlockDevice, geometry: Geometry) {
    this.log = new LogSectors(device, geometry);
    this.#search = new LogSearch(this.log);
    const { headerBytes, dataBytes } = logBufferOf(geometry);
    this.#headerSectors = headerBytes / SECTOR_SIZE;
    this.#underWay = (RECORDS_IN_FLIGHT * (headerBytes + dataBytes)) / SECTOR_SIZE;
  }

  /** xlog_find_tail. */
  ends(): LogEnds | Errno {
    const head = this.#search.head();
    if (isErrno(head)) return head;
    if (head === undefined) return this.#neverWritten();
    const found = this.#lastBefore(head, head);
    if (isErrno(found)) return found;
    return found.clean ? this.#endsOf(found.last, head, head) : this.#verified(found.last, head);
  }

  /** The last record before a head, and whether it is an unmount record. */
  #lastBefore(head: number, tail: number): { readonly last: FoundRecord; readonly clean: boolean } | Errno {
    const found = this.#search.recordsBefore(head, tail, 1);
    if (isErrno(found)) return found;
    const [last] = found;
    if (last === undefined) return EUCLEAN;
    const clean = this.#unmounted(last, head);
    return isErrno(clean) ? clean : { last, clean };
  }

  /** The first sector is looked at once more before it is believed. */
  #neverWritten(): LogEnds | Errno {
    const first = this.log.read(0, 1);
    return isErrno(first) ? first : { head: BEGINNING, tail: 0, last: undefined };
  }

  #endsOf({ record, wrapped }: FoundRecord, head: number, tail: number): LogEnds {
    return { head: { cycle: record.place.cycle + (wrapped ? 1 : 0), sector: head }, tail, last: record };
  }

  /** xlog_check_unmount_rec: whether the last record says that nothing before it counts. */
  #unmounted({ record, at }: FoundRecord, head: number): boolean | Errno {
    const { count } = this.log;
    // Checkpoints have more than one operation each.
    if (head !== (at + record.length / SECTOR_SIZE) % count || record.buffers.length > 0 || record.cancelled.length > 0)
      return false;
    const operation = this.log.read((at + this.#headerSectors) % count, 1);
    return isErrno(operation) ? operation : record.unmount;
  }

  /** xlog_verify_head: a record that did not reach the disk whole ends the log, and so does all behind it. */
  #verified(last: FoundRecord, head: number): LogEnds | Errno {
    const tail = last.record.tail.sector;
    const recent = this.#search.recordsBefore(head, tail, RECORDS_IN_FLIGHT);
    if (isErrno(recent)) return recent;
    const pass = this.#pass((recent.at(-1) ?? last).at, head);
    if (isErrno(pass)) return pass;
    if (pass.torn === undefined) return this.#verifyTail(last, head, tail);
    const end = pass.torn.at;
    const found = this.#lastBefore(end, tail);
    if (isErrno(found)) return found;
    const { last: whole, clean } = found;
    return clean ? this.#endsOf(whole, end, end) : this.#verifyTail(whole, end, whole.record.tail.sector);
  }

  /** xlog_verify_tail: every record from the tail to the head must be whole, but for those that what was under way has overwritten. */
  #verifyTail(last: FoundRecord, head: number, tail: number): LogEnds | Errno {
    if (tail === head) return this.#endsOf(last, head, tail);
    let first = this.#search.recordFrom(tail, head, 1);
    for (;;) {
      if (isErrno(first)) return first;
      if (first === NOT_FOUND) return EUCLEAN;
      const pass = this.#pass(first, head);
      if (isErrno(pass)) return pass;
      const { torn } = pass;
      if (torn === undefined) return this.#endsOf(last, head, first);
      if (this.#ahead(head, torn.at) > this.#underWay) return torn.errno;
      first = this.#search.recordFrom(torn.at, head, 2);
    }
  }

  /** How far ahead of the head a sector is (xlog_tail_distance). */
  #ahead(head: number, sector: number): number {
    return head < sector ? sector - head : sector + this.log.count - head;
  }

  /** xlog_do_recovery_pass: reads record after record, header and content. */
  #pass(tail: number, head: number): Pass | Errno {
    const { count } = this.log;
    const records: LogRecord[] = [];
    // What tells how long the headers are.
    const size = this.log.read(tail, 1);
    if (isErrno(size)) return size;
    const end = tail > head ? head + count : head;
    for (let at = tail; at < end; ) {
      const header = this.log.readRound(at, this.#headerSectors);
      if (isErrno(header)) return header;
      const record = header[0]?.offset === 0 ? header[0].record : undefined;
      if (record === undefined) return { records, torn: { at: at % count, errno: EUCLEAN } };
      const content = this.log.readRound(at + this.#headerSectors, record.length / SECTOR_SIZE - this.#headerSectors);
      if (isErrno(content)) return content;
      if (!isWhole([...header, ...content], record)) return { records, torn: { at: at % count, errno: EBADMSG } };
      records.push(record);
      at += record.length / SECTOR_SIZE;
    }
    return { records, torn: undefined };
  }

  /** xlog_clear_stale_blocks: as much ahead of the head as may be under way at once, but not the tail. */
  clearAhead({ head, tail, last }: LogEnds): Errno | undefined {
    if (last === undefined) return undefined;
    const { count } = this.log;
    const cleared = Math.min(IN_FLIGHT_SECTORS, this.#ahead(head.sector, tail));
    const rest = Math.min(cleared, count - head.sector);
    return this.log.makeStale(head.sector, rest, head.cycle - 1) ?? this.log.makeStale(0, cleared - rest, head.cycle);
  }

  /** xlog_do_log_recovery: once for what was freed, once to replay. @returns the records */
  recordsFrom(tail: number, head: number): readonly LogRecord[] | Errno {
    const freed = this.#pass(tail, head);
    if (isErrno(freed)) return freed;
    const replayed = this.#pass(tail, head);
    return isErrno(replayed) ? replayed : replayed.records;
  }
}

interface Checkpoint {
  readonly first: LogRecord;
  readonly last: LogRecord;
  readonly buffers: LoggedBuffer[];
}

/** Checkpoints whose parts are all there. */
function checkpointsOf(records: readonly LogRecord[]): Checkpoint[] {
  const parts = new Map<number, LogRecord[]>();
  for (const record of records) {
    const known = parts.get(record.checkpoint);
    if (known === undefined) parts.set(record.checkpoint, [record]);
    else known.push(record);
  }
  const whole: Checkpoint[] = [];
  for (const [, some] of parts) {
    const [first] = some;
    const last = some.at(-1);
    if (first === undefined || last === undefined || some.length !== first.parts) continue;
    whole.push({ first, last, buffers: some.flatMap((record) => record.buffers) });
  }
  return whole;
}

function replay(device: BlockDevice, checkpoints: readonly Checkpoint[]): Errno | undefined {
  /** The last checkpoint that freed a buffer: copies from it or earlier ones are not replayed. */
  const cancelledAt = new Map<number, number>();
  for (const { last } of checkpoints) for (const sector of last.cancelled) cancelledAt.set(sector, last.checkpoint);
  for (const { first, buffers } of checkpoints) {
    for (const { sector, record } of buffers) {
      if ((cancelledAt.get(sector) ?? -1) >= first.checkpoint) continue;
      const failed = writeRecord(device, sector, record);
      if (failed !== undefined) return failed;
    }
  }
  return device.flush();
}

/** Whether a mount would have anything to replay. @returns EIO, EBADMSG or EUCLEAN when the log cannot be read */
export function needsRecovery(device: BlockDevice, geometry: Geometry): boolean | Errno {
  const ends = new Recovery(device, geometry).ends();
  return isErrno(ends) ? ends : ends.tail !== ends.head.sector;
}

/** Replays the log of a device. @returns EIO when it cannot be read, EBADMSG or EUCLEAN when it makes no sense */
export function recoverLog(device: BlockDevice, geometry: Geometry): Recovered | Errno {
  const recovery = new Recovery(device, geometry);
  const ends = recovery.ends();
  if (isErrno(ends)) return ends;
  const { head, tail, last } = ends;
  const failed = recovery.clearAhead(ends);
  if (failed !== undefined) return failed;
  const checkpoint = (last?.checkpoint ?? 0) + 1;
  if (tail === head.sector) return { head, checkpoint, replayed: 0 };
  const records = recovery.recordsFrom(tail, head.sector);
  if (isErrno(records)) return records;
  const needed = checkpointsOf(records);
  return replay(device, needed) ?? { head, checkpoint, replayed: needed.length };
}
