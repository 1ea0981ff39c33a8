/**
 * Doing a call again from the intent log (module/zfs/zfs_replay.c). What is there already, or is not there any more, is passed over.
 */
import { isErrno } from "../../../core/errno.ts";
import { ATIME, GID, MODE, MTIME, UID } from "../records.ts";
import { replayTruncate, write } from "./files.ts";
import { createAs, directoryOf, link, rename, unlink } from "./names.ts";
import type { Intent, ZplState } from "./state.ts";
import { replayXattr } from "./xattrs.ts";

export function replayIntent(state: ZplState, intent: Intent): void {
  const { names } = state.environment;
  const { set } = state;
  switch (intent.op) {
    case "create": {
      const data = directoryOf(state, intent.directory);
      const name = names.intern(intent.name);
      if (isErrno(data) || set.word(intent.object, MODE) !== 0) return;
      set.numbers.claim(intent.object);
      createAs(state, { directory: intent.directory, name, data }, intent.object, intent.init);
      return;
    }
    case "link":
      link(state, intent.object, intent.directory, names.intern(intent.name));
      return;
    case "remove":
      unlink(state, intent.directory, names.intern(intent.name));
      return;
    case "rename": {
      const { directory, toDirectory } = intent;
      const target = { directory: toDirectory, name: names.intern(intent.toName) };
      rename(state, { directory, name: names.intern(intent.name) }, target, 0);
      return;
    }
    default:
      if (set.word(intent.object, MODE) !== 0) replayContent(state, intent);
  }
}

/** An intent that changes one object. */
function replayContent(state: ZplState, intent: Exclude<Intent, { readonly name: string; readonly directory: number }>): void {
  const { set } = state;
  const { object } = intent;
  switch (intent.op) {
    case "write":
      write(state, object, intent.offset, intent.content);
      return;
    case "truncate":
      replayTruncate(state, object, intent);
      return;
    case "xattr":
      replayXattr(state, object, intent.name, intent.value);
      return;
    default: {
      const { mode, uid, gid, atime, mtime } = intent.change;
      if (mode !== undefined) set.setWord(object, MODE, (set.word(object, MODE) & 0o170000) | (mode & 0o7777));
      if (uid !== undefined) set.setWord(object, UID, uid);
      if (gid !== undefined) set.setWord(object, GID, gid);
      if (atime !== undefined) set.setTime(object, ATIME, atime);
      if (mtime !== undefined) set.setTime(object, MTIME, mtime);
      state.stamp(object, false);
      return;
    }
  }
}
