/**
 * Doing a call again from the intent log (module/zfs/zfs_replay.c). Content of an object that is not there any more is passed over: it may have been
 * written to the log after the object's end.
 */

import { Content } from "../../../core/content.ts";
import { type Errno, isErrno } from "../../../core/errno.ts";
import type { LogRecord, NameIntent, PointerRecord, SettledChange } from "../log-records.ts";
import { ATIME, GID, MODE, MTIME, SIZE, UID } from "../records.ts";
import { replayTruncate, setSize, write } from "./files.ts";
import { createAs, directoryOf, link, makeFolderAs, rename, unlink } from "./names.ts";
import type { ZplState } from "./state.ts";
import { replayXattr } from "./xattrs.ts";

/** @returns an error that the call gives now and did not give then: the log is read no further. */
export function replayRecord(state: ZplState, intent: LogRecord): Errno | undefined {
  const { names } = state.environment;
  const { set } = state;
  const unread = set.load(intent.object);
  if (unread !== undefined) return unread;
  switch (intent.op) {
    case "folder":
      set.numbers.claim(intent.object);
      return set.load(intent.owner) ?? makeFolderAs(state, intent.owner, intent.object);
    case "create": {
      const data = directoryOf(state, intent.directory);
      if (isErrno(data)) return data;
      set.numbers.claim(intent.object);
      createAs(state, { directory: intent.directory, name: names.intern(intent.name), data }, intent.object, intent.init);
      return undefined;
    }
    case "link":
      return link(state, intent.object, intent.directory, names.intern(intent.name));
    case "remove":
      return unlink(state, intent.directory, names.intern(intent.name));
    case "rename": {
      const { directory, toDirectory } = intent;
      const target = { directory: toDirectory, name: names.intern(intent.toName) };
      return rename(state, { directory, name: names.intern(intent.name) }, target, 0);
    }
    default:
      return set.word(intent.object, MODE) === 0 ? undefined : replayContent(state, intent);
  }
}

function replayContent(state: ZplState, record: Exclude<LogRecord, NameIntent>): Errno | undefined {
  switch (record.op) {
    case "data": {
      const written = write(state, record.object, record.offset, record.content);
      return isErrno(written) ? written : undefined;
    }
    case "block":
      return replayBlock(state, record);
    case "end":
      if (record.end > state.set.word(record.object, SIZE)) state.set.setWord(record.object, SIZE, record.end);
      return undefined;
    case "truncate":
      return replayTruncate(state, record.object, record);
    case "xattr":
      return replayXattr(state, record.object, record.name, record.value);
    default:
      return replayAttributes(state, record.object, record.change);
  }
}

/**
 * A block that went to its place is written whole, and the file ends where it did with this write: later ones may only tell of its end (zfs_replay_write, z_replay_eof).
 */
function replayBlock(state: ZplState, { object, offset, length, pointer, checksum }: PointerRecord): Errno | undefined {
  const { set } = state;
  const size = checksum.length;
  const content = pointer === undefined ? Content.zeros(size) : set.store.read(pointer);
  if (isErrno(content)) return content;
  const end = Math.max(set.word(object, SIZE), offset + length);
  const written = write(state, object, offset - (offset % size), content);
  if (isErrno(written)) return written;
  set.setWord(object, SIZE, end);
  return undefined;
}

function replayAttributes(
  state: ZplState,
  object: number,
  { size, mode, uid, gid, atime, mtime }: SettledChange,
): Errno | undefined {
  const { set } = state;
  const failed = size === undefined ? undefined : setSize(state, object, size);
  if (failed !== undefined) return failed;
  if (mode !== undefined) set.setWord(object, MODE, (set.word(object, MODE) & 0o170000) | (mode & 0o7777));
  if (uid !== undefined) set.setWord(object, UID, uid);
  if (gid !== undefined) set.setWord(object, GID, gid);
  if (atime !== undefined) set.setTime(object, ATIME, atime);
  if (mtime !== undefined) set.setTime(object, MTIME, mtime);
  state.stamp(object, false);
  return undefined;
}
