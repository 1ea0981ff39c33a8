/** Metadata blocks kept as the objects that a filesystem wrote: what a Content of kind "record" holds (content.ts). */
import { InvariantError } from "./assert.ts";

/** An immutable metadata block of some filesystem: an inode table block, a directory block, a superblock. */
export interface BlockRecord {
  /** Whose block and which, such as "ext4.inodeTable". */
  readonly kind: string;
  /** Bytes on the device. */
  readonly length: number;
  /** How many bytes at its beginning hold all that ever changes: with them it is whole. Absent: all of them. */
  readonly decisiveBytes?: number;
  /** Of several blocks that were written one after the other: the block that these bytes are, whole. */
  blockAt?(offset: number, length: number): BlockRecord | undefined;
  /** The block's real on-disk bytes, where an encoder exists; its result has exactly `length` bytes. */
  encode?(): Uint8Array;
}

/** The record if `length` bytes of it, from `offset` on, are all that counts of it. */
export function wholeAt(record: BlockRecord, offset: number, length: number): BlockRecord | undefined {
  return offset === 0 && length >= (record.decisiveBytes ?? record.length) ? record : undefined;
}

/** The block that `length` bytes of a record, from `offset` on, are, whole and alone. */
export function blockIn(record: BlockRecord, offset: number, length: number): BlockRecord | undefined {
  return record.blockAt === undefined ? wholeAt(record, offset, length) : record.blockAt(offset, length);
}

/** The real bytes of a record. */
export function encodeRecord(record: BlockRecord): Uint8Array {
  if (record.encode === undefined) throw new InvariantError(`a ${record.kind} record has no encoder to bytes`);
  const raw = record.encode();
  if (raw.length !== record.length)
    throw new InvariantError(`a ${record.kind} record of ${record.length} bytes has ${raw.length}`);
  return raw;
}
