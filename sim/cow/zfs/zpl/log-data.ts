/**
 * The data of writes for the intent log (module/zfs/zfs_vnops.c, zfs_get_data; OpenZFS 2.1): as it is when the log is written, not as it was with the call.
 */
import { Content } from "../../../core/content.ts";
import { type Errno, isErrno } from "../../../core/errno.ts";
import type { LoggedWrite } from "../log-fill.ts";
import type { WriteIntent } from "../log-records.ts";
import { BLOCK_SIZE, NLINK, SIZE } from "../records.ts";
import { read } from "./files.ts";
import { fileOf } from "./mapped.ts";
import type { ZplState } from "./state.ts";

/** What the log tells of a write now. @returns undefined when nothing is left of it: the file, or its end, has gone. */
export function loggedWrite(state: ZplState, intent: WriteIntent): LoggedWrite | Errno {
  const { object, offset, length } = intent;
  const { set } = state;
  const unread = set.load(object);
  if (unread !== undefined) return unread;
  if (set.word(object, NLINK) === 0 || offset >= set.word(object, SIZE)) return undefined;
  return intent.indirect ? inPlace(state, intent) : copied(state, object, offset, length);
}

function copied(state: ZplState, object: number, offset: number, length: number): LoggedWrite | Errno {
  const content = read(state, object, offset, length);
  if (isErrno(content)) return content;
  const missing = length - content.length;
  return {
    op: "data",
    object,
    offset,
    content: missing === 0 ? content : Content.concat([content, Content.zeros(missing)]),
  };
}

function inPlace(state: ZplState, { object, offset, length }: WriteIntent): LoggedWrite | Errno {
  const block = Math.floor(offset / state.set.word(object, BLOCK_SIZE));
  const data = fileOf(state, object);
  // What a cut between the write that has the pointer and this one takes away is not there after a replay: so it is on a real pool.
  if (data.isEarly(block)) return { op: "end", object, end: offset + length };
  const early = data.writeEarly(block);
  if (early === undefined || isErrno(early)) return early;
  return { op: "block", object, offset, length, pointer: early.pointer, checksum: early.content };
}
