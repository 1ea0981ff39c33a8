/**
 * How the records of one commit are laid into log blocks (module/zfs/zil.c, zil_lwb_commit; OpenZFS 2.1): one behind the other; the data of a write behind
 * its record, in several blocks if one does not hold it, each part with a record of its own.
 */
import { alignUp } from "../../core/units.ts";
import { CHAIN_BYTES, LOG_BLOCK_BYTES } from "./log-chain.ts";
import { type DataRecord, type Intent, type LogRecord, RECORD_UNIT, recordBytes, WRITE_BYTES } from "./log-records.ts";

/** The most data that one block holds (zil_max_log_data), and how much room at a block's end is rather left than used for a part (zil_max_waste_space). */
const DATA_BYTES_MAX = LOG_BLOCK_BYTES - CHAIN_BYTES - WRITE_BYTES;
const WASTE_BYTES_MAX = DATA_BYTES_MAX / 8;

/** Writes a block that is full, or the last. @returns bytes of the next; undefined when that failed. */
type Issue = (used: number, records: readonly LogRecord[]) => number | undefined;

/** What a write comes to when the log is written; undefined: nothing is left of it to be told. */
export type LoggedWrite = Exclude<LogRecord, Exclude<Intent, { op: "write" }>> | undefined;

export class LogFill {
  /** Bytes of records and data so far (zl_cur_used). */
  committed = 0;
  readonly #issue: Issue;
  #records: LogRecord[] = [];
  #used = CHAIN_BYTES;

  constructor(issue: Issue) {
    this.#issue = issue;
  }

  /** Adds a call. @param data - of a write. @param size - of the block at work, in bytes. @returns whether all blocks that were full could be written. */
  add(intent: Intent, data: LoggedWrite, size: number): boolean {
    const record = recordBytes(intent);
    const length = intent.op === "write" && !intent.indirect ? alignUp(intent.length, RECORD_UNIT) : 0;
    this.committed += record + length;
    let left = length;
    let space = size - this.#used;
    do {
      if (!fits(record, left, space)) {
        const next = this.#next();
        if (next === undefined) return false;
        space = next - this.#used;
      }
      const now = Math.min(left, space - record);
      const told = intent.op === "write" ? partOf(data, length - left, now) : intent;
      // A write of which nothing is left takes no room, though it was reckoned with.
      if (told !== undefined) {
        this.#records.push(told);
        this.#used += record + now;
        space -= record + now;
      }
      left -= now;
      if (left > 0) this.committed += record;
    } while (left > 0 && data !== undefined);
    return true;
  }

  /** Writes the last block: of a commit whose calls a group has come to hold meanwhile, an empty one. */
  end(): boolean {
    return this.#next() !== undefined;
  }

  #next(): number | undefined {
    const next = this.#issue(this.#used, this.#records);
    this.#records = [];
    this.#used = CHAIN_BYTES;
    return next;
  }
}

/** Whether a record goes into the room that is left of a block: whole, or in as few parts as it would from a block of its own on. */
function fits(record: number, data: number, space: number): boolean {
  if (record > space) return false;
  if (record + data <= space || space >= WASTE_BYTES_MAX) return true;
  const last = data % DATA_BYTES_MAX;
  return last !== 0 && space >= record + last;
}

function partOf(data: LoggedWrite, from: number, length: number): LogRecord | undefined {
  if (data?.op !== "data") return data;
  const { offset, content } = data;
  const part: DataRecord = { ...data, offset: offset + from, content: content.slice(from, from + length) };
  return part;
}
