/**
 * Records of the intent log: what calls are while they wait in memory, what stands for them in a log block, and how many bytes that takes
 * (include/sys/zil.h: lr_*_t; module/zfs/zfs_log.c; OpenZFS 2.1).
 */
import type { Time } from "../../core/clock.ts";
import type { Content } from "../../core/content.ts";
import { utf8Length } from "../../core/names.ts";
import { alignUp, KIB } from "../../core/units.ts";
import type { AttributeChange, NewInode } from "../../vfs/filesystem.ts";
import type { BlockPointer } from "./block-pointer.ts";

/** A call on names. A "folder" is the hidden one of an object's extended attributes. */
export type NameIntent =
  | { readonly op: "folder"; readonly owner: number; readonly object: number }
  | { readonly op: "create"; readonly directory: number; readonly name: string; readonly object: number; readonly init: NewInode }
  | { readonly op: "link"; readonly directory: number; readonly name: string; readonly object: number }
  | { readonly op: "remove"; readonly directory: number; readonly name: string; readonly object: number }
  | {
      readonly op: "rename";
      readonly object: number;
      readonly directory: number;
      readonly name: string;
      readonly toDirectory: number;
      readonly toName: string;
    };

/** What setattr changed, with the times that it came to. */
export interface SettledChange extends Pick<AttributeChange, "mode" | "uid" | "gid" | "size"> {
  readonly atime?: Time;
  readonly mtime?: Time;
}

/** A call that changes one object, and neither names nor data. */
type AttributeIntent =
  | { readonly op: "truncate"; readonly object: number; readonly offset: number; readonly length: number; readonly size: number }
  | { readonly op: "setattr"; readonly object: number; readonly change: SettledChange }
  | { readonly op: "xattr"; readonly object: number; readonly name: string; readonly value: Uint8Array | undefined };

/**
 * A write, or a part of one that lies in one block. Its data is asked for when the log is written, as it is then.
 * Indirect ones are written to the block's place then, and the log has a pointer to that alone (WR_INDIRECT, WR_NEED_COPY).
 */
export interface WriteIntent {
  readonly op: "write";
  readonly object: number;
  readonly offset: number;
  readonly length: number;
  readonly indirect: boolean;
}

/** A call that only an fsync of its own object makes durable. */
export type ContentIntent = AttributeIntent | WriteIntent;
/** A call as it waits in memory (itx_t). */
export type Intent = NameIntent | ContentIntent;

/** A write whose data is in the log. */
export interface DataRecord {
  readonly op: "data";
  readonly object: number;
  readonly offset: number;
  readonly content: Content;
}

/** A write whose data is in a block of its own. */
export interface PointerRecord {
  readonly op: "block";
  readonly object: number;
  readonly offset: number;
  readonly length: number;
  /** Undefined: a block of zeros that takes no place. */
  readonly pointer: BlockPointer | undefined;
  /** The block as it was written: stands for its checksum, and for its size. */
  readonly checksum: Content;
}

/** A write into a block that the log has a pointer to already, and that has not changed since: it tells of the file's end alone (TX_WRITE2). */
interface EndRecord {
  readonly op: "end";
  readonly object: number;
  readonly end: number;
}

/** A call as a log block has it. */
export type LogRecord = NameIntent | AttributeIntent | DataRecord | PointerRecord | EndRecord;

/** Whether a call is of an object's content: an fsync of another object need not write it. */
export function isContent(intent: Intent): intent is ContentIntent {
  return intent.op === "write" || intent.op === "truncate" || intent.op === "setattr" || intent.op === "xattr";
}

/** From so many bytes on a write goes to its place at once, and the log has a pointer (zfs_immediate_write_sz). */
const INDIRECT_BYTES: number = KIB(32);

/**
 * What a write into one record of a file leaves (zfs_log_write): one intent, or, where data goes to its place, one for each block.
 * @param how - bytes of the file's blocks, and whether all data goes there (logbias=throughput)
 */
export function writeIntents(
  { object, offset, length }: Pick<WriteIntent, "object" | "offset" | "length">,
  how: { readonly blockSize: number; readonly throughput: boolean },
): WriteIntent[] {
  if (length < INDIRECT_BYTES && !how.throughput) return [{ op: "write", object, offset, length, indirect: false }];
  const intents: WriteIntent[] = [];
  const end = offset + length;
  for (let at = offset; at < end; ) {
    const part = Math.min(end - at, how.blockSize - (at % how.blockSize));
    intents.push({ op: "write", object, offset: at, length: part, indirect: true });
    at += part;
  }
  return intents;
}

/** Bytes of lr_create_t, lr_remove_t, lr_link_t, lr_rename_t and lr_setsaxattr_t before their names, and of lr_write_t, lr_truncate_t and lr_setattr_t. */
const CREATE_BYTES = 104;
const REMOVE_BYTES = 40;
const TWO_OBJECTS_BYTES = 48;
export const WRITE_BYTES = 192;
const TRUNCATE_BYTES = 56;
const SETATTR_BYTES = 112;
/** Records are multiples of so many bytes (zil_itx_create), and so is the data behind one. */
export const RECORD_UNIT = 8;

/** A text with the zero behind it. */
function textBytes(text: string): number {
  return utf8Length(text) + 1;
}

/** Bytes of a call's record without a write's data (lrc_reclen). */
export function recordBytes(intent: Intent): number {
  return alignUp(plainBytes(intent), RECORD_UNIT);
}

function plainBytes(intent: Intent): number {
  switch (intent.op) {
    case "folder":
      return CREATE_BYTES + textBytes("");
    case "create":
      return CREATE_BYTES + textBytes(intent.name) + (intent.init.target === "" ? 0 : textBytes(intent.init.target));
    case "remove":
      return REMOVE_BYTES + textBytes(intent.name);
    case "link":
      return TWO_OBJECTS_BYTES + textBytes(intent.name);
    case "rename":
      return TWO_OBJECTS_BYTES + textBytes(intent.name) + textBytes(intent.toName);
    case "write":
      return WRITE_BYTES;
    case "truncate":
      return TRUNCATE_BYTES;
    case "xattr":
      return TWO_OBJECTS_BYTES + textBytes(intent.name) + (intent.value?.length ?? 0);
    default:
      return SETATTR_BYTES;
  }
}
