/** Reading the log after a crash (fs/jbd2/recovery.c): its whole transactions, and writing them in place. */
import type { BlockDevice } from "../../block/device.ts";
import type { BlockRecord } from "../../core/block-record.ts";
import { Content } from "../../core/content.ts";
import { EBADMSG, type Errno, isErrno } from "../../core/errno.ts";
import { bytes } from "../../core/units.ts";
import { BLOCK_SIZE } from "./layout.ts";
import { type Ext4Record, type JournalDescriptor, type JournalRecord, readRecord } from "./records.ts";

export interface FoundTransaction {
  readonly blocks: Map<number, BlockRecord>;
  readonly revoked: number[];
  /** A block is not what its tag says: its checksum is wrong. */
  spoilt: boolean;
}

/** A log to be read. */
export interface Log {
  readonly device: BlockDevice;
  /** Blocks of the journal, its superblock included. */
  readonly length: number;
  /** The block on the device. */
  place(index: number): number;
}

export interface FoundLog {
  readonly transactions: readonly FoundTransaction[];
  /** The log's block behind the last of them. */
  readonly head: number;
}

/**
 * The log's committed transactions from block `start` on; the first has number `sequence`. Where a descriptor or a commit block is missing the log ends;
 * blocks between the two are only looked at when they are replayed (do_one_pass).
 */
export function scanLog(log: Log, start: number, sequence: number): FoundLog | Errno {
  const transactions: FoundTransaction[] = [];
  let at = start;
  let head = start;
  const next = (): Ext4Record | Errno | undefined => {
    const record = readRecord(log.device, log.place(at));
    at = at + 1 === log.length ? 1 : at + 1;
    return record;
  };
  for (let read = 0; read < log.length; ) {
    const transaction: FoundTransaction = { blocks: new Map(), revoked: [], spoilt: false };
    for (;;) {
      const record = next();
      read += 1;
      if (isErrno(record)) return record;
      if (record === undefined || !isLog(record) || record.sequence !== sequence + transactions.length)
        return { transactions, head };
      if (record.kind === "jbd2.commit") break;
      if (record.kind === "jbd2.revoke") transaction.revoked.push(...record.blocks);
      else {
        const unread = readTagged(record, next, transaction);
        if (unread !== undefined) return unread;
        read += record.blocks.length;
      }
    }
    transactions.push(transaction);
    head = at;
  }
  return { transactions, head };
}

function readTagged(
  descriptor: JournalDescriptor,
  next: () => Ext4Record | Errno | undefined,
  into: FoundTransaction,
): Errno | undefined {
  for (const [index, home] of descriptor.blocks.entries()) {
    const record = next();
    if (isErrno(record)) return record;
    if (record === undefined || record !== descriptor.checks[index]) into.spoilt = true;
    else into.blocks.set(home, record);
  }
  return undefined;
}

/**
 * Writes what the transactions hold in place, but for what a later one, or the same, revoked.
 * @returns EBADMSG when a block was spoilt: all others are in place then.
 */
export function replayLog(device: BlockDevice, found: readonly FoundTransaction[]): Errno | undefined {
  /** The last transaction that revoked a block: copies from it or earlier ones are not replayed. */
  const revokedAt = new Map<number, number>();
  for (const [index, transaction] of found.entries()) for (const block of transaction.revoked) revokedAt.set(block, index);
  for (const [index, transaction] of found.entries()) {
    for (const [block, record] of transaction.blocks) {
      if ((revokedAt.get(block) ?? -1) >= index) continue;
      const failed = device.write(bytes(block * BLOCK_SIZE), Content.record(record));
      if (failed !== undefined) return failed;
    }
  }
  return found.some(({ spoilt }) => spoilt) ? EBADMSG : undefined;
}

function isLog(record: Ext4Record): record is Exclude<JournalRecord, { kind: "jbd2.superblock" }> {
  return record.kind === "jbd2.descriptor" || record.kind === "jbd2.revoke" || record.kind === "jbd2.commit";
}
