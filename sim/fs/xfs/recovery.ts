/**
 * Log recovery (fs/xfs/xfs_log_recover.c): every whole checkpoint from the tail on is replayed in place.
 */
import type { BlockDevice } from "../../block/device.ts";
import { Content } from "../../core/content.ts";
import { type Errno, isErrno } from "../../core/errno.ts";
import { bytes } from "../../core/units.ts";
import { BLOCK_SIZE, type Geometry, SECTOR_SIZE, SECTORS_PER_BLOCK } from "./layout.ts";
import { type LoggedBuffer, type LogPlace, type LogRecord, writeRecord } from "./records.ts";

/** What recovery did and where the log goes on. */
export interface Recovered {
  readonly head: LogPlace;
  /** A number above every checkpoint's in the log. */
  readonly checkpoint: number;
  /** Checkpoints that were replayed; 0 after an unmount. */
  readonly replayed: number;
}

function isBefore(one: LogPlace, other: LogPlace): boolean {
  return one.cycle < other.cycle || (one.cycle === other.cycle && one.sector < other.sector);
}

/** Every whole record of the log, in the order of writing. */
function recordsOf(device: BlockDevice, geometry: Geometry): LogRecord[] | Errno {
  const length = geometry.logBlocks * BLOCK_SIZE;
  const content = device.read(bytes(geometry.logStart * BLOCK_SIZE), bytes(length));
  if (isErrno(content)) return content;
  const found = new Set<LogRecord>();
  // A record that reaches the end of the log goes on at its beginning.
  for (const run of Content.concat([content, content]).runs) {
    const record = run.wholeRecord();
    if (record?.kind === "xfs.log") found.add(record as LogRecord);
  }
  return [...found].sort((one, other) => (isBefore(one.place, other.place) ? -1 : 1));
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
  return whole.sort((one, other) => one.first.checkpoint - other.first.checkpoint);
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

/** Replays the log of a device. @returns EIO when it cannot be read. */
export function recoverLog(device: BlockDevice, geometry: Geometry): Recovered | Errno {
  const records = recordsOf(device, geometry);
  if (isErrno(records)) return records;
  const checkpoints = checkpointsOf(records);
  const newest = checkpoints.at(-1);
  let checkpoint = 1;
  for (const record of records) checkpoint = Math.max(checkpoint, record.checkpoint + 1);
  if (newest === undefined) return { head: { cycle: 1, sector: 0 }, checkpoint, replayed: 0 };
  const { place, length } = newest.last;
  const end = place.sector + length / SECTOR_SIZE;
  const sectors = geometry.logBlocks * SECTORS_PER_BLOCK;
  const head = end < sectors ? { cycle: place.cycle, sector: end } : { cycle: place.cycle + 1, sector: end - sectors };
  if (newest.last.unmount) return { head, checkpoint, replayed: 0 };
  const needed = checkpoints.filter(({ first }) => !isBefore(first.place, newest.last.tail));
  const failed = replay(device, needed);
  return failed ?? { head, checkpoint, replayed: needed.length };
}
