/**
 * Where a log ends, and from where it counts (fs/xfs/xfs_log_recover.c: xlog_find_head, xlog_find_tail): by halving, as sectors before the head were
 * written one time round later than those behind it; then by a look at what may have been under way when the power failed.
 *
 * Words: the *head* is the sector that is written next, the *tail* the one from which records count.
 */
import { EIO, type Errno, EUCLEAN, isErrno } from "../../core/errno.ts";
import { SECTOR_SIZE } from "./layout.ts";
import { beginsRecord, type LogSectors, type SectorRun } from "./log-sectors.ts";
import type { LogRecord } from "./records.ts";

/** XLOG_MAX_ICLOGS: records that may be under way at once; below, in buffers of the largest size (XLOG_TOTAL_REC_SHIFT). */
export const RECORDS_IN_FLIGHT = 8;
const BUFFER_SECTORS_MAX: number = (256 * 1024) / SECTOR_SIZE;
export const IN_FLIGHT_SECTORS: number = RECORDS_IN_FLIGHT * BUFFER_SECTORS_MAX;
/** "The beginning of the log was reached", which is no sector. */
export const NOT_FOUND = -1;

/** A record, and where its header was found. */
export interface FoundRecord {
  readonly record: LogRecord;
  readonly at: number;
  /** Whether the search for it went round the log's end. */
  readonly wrapped: boolean;
}

export class LogSearch {
  readonly #log: LogSectors;

  constructor(log: LogSectors) {
    this.#log = log;
  }

  #cycleAt(sector: number): number | Errno {
    const runs = this.#log.read(sector, 1);
    return isErrno(runs) ? runs : (runs[0]?.cycle ?? 0);
  }

  /** xlog_find_head. @returns the head; undefined: nothing was ever written */
  head(): number | Errno | undefined {
    const first = this.#cycleAt(0);
    if (isErrno(first)) return first;
    if (first === 0) return undefined;
    const last = this.#cycleAt(this.#log.count - 1);
    if (isErrno(last)) return last;
    return last === 0 ? this.#headBeforeZeros() : this.#headOfFull();
  }

  /** xlog_find_zeroed: the log was not yet written to its end. */
  #headBeforeZeros(): number | Errno {
    const found = this.#firstOf(0, 0, this.#log.count - 1);
    if (isErrno(found)) return found;
    const start = Math.max(0, found - IN_FLIGHT_SECTORS);
    const earlier = this.#earliest(start, found - start, 0);
    if (isErrno(earlier)) return earlier;
    const head = this.#beforeTorn(start, earlier === NOT_FOUND ? found : earlier, 0);
    return head === NOT_FOUND ? EIO : head;
  }

  /** The rest of xlog_find_head: every sector was written once. */
  #headOfFull(): number | Errno {
    const { count } = this.#log;
    const first = this.#cycleAt(0);
    if (isErrno(first)) return first;
    const last = this.#cycleAt(count - 1);
    if (isErrno(last)) return last;
    const found = first === last ? count : this.#firstOf(last, 0, count - 1);
    if (isErrno(found)) return found;
    const stop = first === last ? last - 1 : last;
    const earlier = this.#earliestInFlight(found, stop);
    if (isErrno(earlier)) return earlier;
    const head = this.#beforeTornRound(earlier);
    return isErrno(head) ? head : head % count;
  }

  /** xlog_find_cycle_start: the first sector with a cycle, by halving. */
  #firstOf(cycle: number, from: number, to: number): number | Errno {
    let low = from;
    let high = to;
    for (let middle = (low + high) >>> 1; middle !== low && middle !== high; middle = (low + high) >>> 1) {
      const found = this.#cycleAt(middle);
      if (isErrno(found)) return found;
      if (found === cycle) high = middle;
      else low = middle;
    }
    return high;
  }

  /** xlog_find_verify_cycle: the first of some sectors with a cycle, or NOT_FOUND. */
  #earliest(from: number, count: number, cycle: number): number | Errno {
    if (count === 0) return NOT_FOUND;
    const runs = this.#log.read(from, count);
    if (isErrno(runs)) return runs;
    return runs.find((run) => run.cycle === cycle)?.from ?? NOT_FOUND;
  }

  /** The head, or a sector before it that should have been written and was not: what was under way reached the disk in any order. */
  #earliestInFlight(head: number, stop: number): number | Errno {
    const { count } = this.#log;
    const scanned = Math.min(count, IN_FLIGHT_SECTORS);
    if (head < scanned) {
      const start = count - (scanned - head);
      const atEnd = this.#earliest(start, scanned - head, stop - 1);
      if (atEnd !== NOT_FOUND) return atEnd;
    }
    const start = Math.max(0, head - scanned);
    const found = this.#earliest(start, head - start, stop);
    return found === NOT_FOUND ? head : found;
  }

  /** The head, or the beginning of the record that it would cut; NOT_FOUND where no record begins before it in the log. */
  #beforeTornRound(head: number): number | Errno {
    const { count } = this.#log;
    const found = this.#beforeTorn(Math.max(0, head - BUFFER_SECTORS_MAX), head, 0);
    if (found !== NOT_FOUND) return found;
    if (head >= BUFFER_SECTORS_MAX) return EIO;
    const atEnd = this.#beforeTorn(count - (BUFFER_SECTORS_MAX - head), count, head);
    if (atEnd === NOT_FOUND) return EIO;
    return atEnd === count ? head : atEnd;
  }

  /** xlog_find_verify_log_record. @param more - sectors of the record behind `last`, at the log's beginning */
  #beforeTorn(start: number, last: number, more: number): number | Errno {
    const runs = this.#log.read(start, last - start);
    if (isErrno(runs)) return runs;
    const header = runs.findLast(beginsRecord);
    if (header?.record === undefined) return start === 0 ? NOT_FOUND : EUCLEAN;
    const length = header.record.length / SECTOR_SIZE;
    return last - header.from + more === length ? last : header.from;
  }

  /** xlog_rseek_logrec_hdr: goes back from the head, sector by sector. @returns up to `most` records, the last one first */
  recordsBefore(head: number, tail: number, most: number): readonly FoundRecord[] | Errno {
    const found: FoundRecord[] = [];
    const end = head > tail ? tail : 0;
    const failed = this.#goBack(head - 1, end, { most, wrapped: false }, found);
    if (failed !== undefined) return failed;
    if (tail < head || found.length === most) return found;
    return this.#goBack(this.#log.count - 1, tail, { most, wrapped: true }, found) ?? found;
  }

  #goBack(
    from: number,
    to: number,
    { most, wrapped }: { readonly most: number; readonly wrapped: boolean },
    found: FoundRecord[],
  ): Errno | undefined {
    for (let at = from; at >= to && found.length < most; at--) {
      const runs = this.#log.read(at, 1);
      if (isErrno(runs)) return runs;
      const [run] = runs;
      if (run?.record !== undefined && beginsRecord(run)) found.push({ record: run.record, at, wrapped });
    }
    return undefined;
  }

  /** xlog_seek_logrec_hdr: the `nth` record from the tail on; NOT_FOUND: none before the head. */
  recordFrom(tail: number, head: number, nth: number): number | Errno {
    const { count } = this.#log;
    let found = 0;
    for (let at = tail, left = (head - tail + count) % count; left > 0; at = (at + 1) % count, left--) {
      const runs = this.#log.read(at, 1);
      if (isErrno(runs)) return runs;
      if (runs[0] !== undefined && beginsRecord(runs[0])) found += 1;
      if (found === nth) return at;
    }
    return NOT_FOUND;
  }
}

/** Whether some sectors are a record, all of it. */
export function isWhole(runs: readonly SectorRun[], record: LogRecord): boolean {
  let next = 0;
  for (const run of runs) {
    if (run.record !== record || run.offset !== next) return false;
    next += run.count;
  }
  return next === record.length / SECTOR_SIZE;
}
