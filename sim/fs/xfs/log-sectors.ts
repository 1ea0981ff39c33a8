/**
 * What the sectors of a log tell (fs/xfs/libxfs/xfs_log_format.h: xlog_get_cycle, xlog_rec_header): in which time round they were written, and
 * of which record they are.
 *
 * Interface: sectors are counted from the log's beginning. `read` is one command of the device.
 */
import type { BlockDevice } from "../../block/device.ts";
import type { BlockRecord } from "../../core/block-record.ts";
import { Content } from "../../core/content.ts";
import { type Errno, isErrno } from "../../core/errno.ts";
import { bytes } from "../../core/units.ts";
import { type Geometry, SECTOR_SIZE, SECTORS_PER_BLOCK } from "./layout.ts";
import type { LogRecord } from "./records.ts";

/** XLOG_HEADER_MAGIC_NUM, which a record's header begins with; its cycle follows. Other sectors begin with the cycle. */
const HEADER_MAGIC = 0xfeedbabe;

/** Sectors that a mount wrote so that nobody takes what was there for newer: headers of records without content (xlog_add_record). */
interface StaleSectors extends BlockRecord {
  readonly kind: "xfs.staleLog";
  readonly cycle: number;
}

export function staleSectors(count: number, cycle: number): Content {
  const length = count * SECTOR_SIZE;
  const encode = (): Uint8Array => {
    const words = new DataView(new ArrayBuffer(length));
    for (let at = 0; at < length; at += SECTOR_SIZE) {
      words.setUint32(at, HEADER_MAGIC);
      words.setUint32(at + 4, cycle);
    }
    return new Uint8Array(words.buffer);
  };
  const stale: StaleSectors = { kind: "xfs.staleLog", length, cycle, encode };
  return Content.record(stale);
}

/** Sectors one behind the other that were written together, or never. */
export interface SectorRun {
  /** The first one. */
  readonly from: number;
  readonly count: number;
  /** 0: they were never written. */
  readonly cycle: number;
  /** The record that they are a part of; undefined: of none that holds anything. */
  readonly record: LogRecord | undefined;
  /** Which sector of the record the first one is. */
  readonly offset: number;
}

/** Whether a run begins with a record's header. */
export function beginsRecord({ record, offset }: SectorRun): boolean {
  return record !== undefined && offset === 0;
}

export class LogSectors {
  readonly #device: BlockDevice;
  readonly #first: number;
  /** How many there are (l_logBBsize). */
  readonly count: number;

  constructor(device: BlockDevice, geometry: Geometry) {
    this.#device = device;
    this.#first = geometry.logStart * SECTORS_PER_BLOCK;
    this.count = geometry.logBlocks * SECTORS_PER_BLOCK;
  }

  /** Reads sectors, which must not go round the log's end. */
  read(from: number, count: number): readonly SectorRun[] | Errno {
    const content = this.#device.read(bytes((this.#first + from) * SECTOR_SIZE), bytes(count * SECTOR_SIZE));
    return isErrno(content) ? content : this.#runsOf(content, from);
  }

  /** Reads sectors that may go on at the log's beginning. */
  readRound(from: number, count: number): readonly SectorRun[] | Errno {
    const start = from % this.count;
    const rest = Math.min(count, this.count - start);
    const first = this.read(start, rest);
    if (isErrno(first) || rest === count) return first;
    const second = this.read(0, count - rest);
    return isErrno(second) ? second : [...first, ...second];
  }

  #runsOf(content: Content, from: number): readonly SectorRun[] {
    const runs: SectorRun[] = [];
    let at = from;
    for (const run of content.runs) {
      const count = run.length / SECTOR_SIZE;
      const part = run.recordPart();
      if (part?.record.kind === "xfs.log") {
        const record = part.record as LogRecord;
        const offset = part.from / SECTOR_SIZE;
        const cycle = record.place.cycle + (record.place.sector + offset < this.count ? 0 : 1);
        runs.push({ from: at, count, cycle, record, offset });
      } else if (part?.record.kind === "xfs.staleLog") {
        runs.push({ from: at, count, cycle: (part.record as StaleSectors).cycle, record: undefined, offset: 0 });
      } else if (run.isZero || part !== undefined) runs.push({ from: at, count, cycle: 0, record: undefined, offset: 0 });
      else for (let n = 0; n < count; n++) runs.push(foreign(run, n, at + n));
      at += count;
    }
    return runs;
  }

  /** Writes stale sectors. */
  makeStale(from: number, count: number, cycle: number): Errno | undefined {
    if (count === 0) return undefined;
    return this.#device.write(bytes((this.#first + from) * SECTOR_SIZE), staleSectors(count, cycle));
  }
}

/** A sector of bytes that no log wrote: what stands in it counts all the same. */
function foreign(run: Content, at: number, from: number): SectorRun {
  const word = (index: number): number => {
    const four = run.slice(at * SECTOR_SIZE + index * 4, at * SECTOR_SIZE + index * 4 + 4).toBytes();
    return new DataView(four.buffer, four.byteOffset).getUint32(0);
  };
  const first = word(0);
  return { from, count: 1, cycle: first === HEADER_MAGIC ? word(1) : first, record: undefined, offset: 0 };
}
