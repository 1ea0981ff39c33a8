/**
 * Doing a call again from the intent log (module/zfs/zfs_replay.c). Content of an object that is not there any more is passed over: it may have been
 * written to the log after the object's end.
 */
import { type Errno, isErrno } from "../../../core/errno.ts";
import { ATIME, GID, MODE, MTIME, UID } from "../records.ts";
import { replayTruncate, write } from "./files.ts";
import { createAs, directoryOf, link, rename, unlink } from "./names.ts";
import type { ContentIntent, Intent, SettledChange, ZplState } from "./state.ts";
import { replayXattr } from "./xattrs.ts";

/** @returns an error that the call gives now and did not give then: the log is read no further. */
export function replayIntent(state: ZplState, intent: Intent): Errno | undefined {
  const { names } = state.environment;
  const { set } = state;
  const unread = set.load(intent.object);
  if (unread !== undefined) return unread;
  switch (intent.op) {
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

function replayContent(state: ZplState, intent: ContentIntent): Errno | undefined {
  switch (intent.op) {
    case "write": {
      const written = write(state, intent.object, intent.offset, intent.content);
      return isErrno(written) ? written : undefined;
    }
    case "truncate":
      return replayTruncate(state, intent.object, intent);
    case "xattr":
      replayXattr(state, intent.object, intent.name, intent.value);
      return undefined;
    default:
      replayAttributes(state, intent.object, intent.change);
      return undefined;
  }
}

function replayAttributes(state: ZplState, object: number, { mode, uid, gid, atime, mtime }: SettledChange): void {
  const { set } = state;
  if (mode !== undefined) set.setWord(object, MODE, (set.word(object, MODE) & 0o170000) | (mode & 0o7777));
  if (uid !== undefined) set.setWord(object, UID, uid);
  if (gid !== undefined) set.setWord(object, GID, gid);
  if (atime !== undefined) set.setTime(object, ATIME, atime);
  if (mtime !== undefined) set.setTime(object, MTIME, mtime);
  state.stamp(object, false);
}
