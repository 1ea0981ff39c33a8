/**
 * Watches: inotify(7), with what was told until it is asked for.
 */
import { EBADF, isErrno } from "../../sim/core/errno.ts";
import {
  IN_ATTRIB,
  IN_CREATE,
  IN_DELETE,
  IN_DELETE_SELF,
  IN_IGNORED,
  IN_ISDIR,
  IN_MODIFY,
  IN_MOVE_SELF,
  IN_MOVED_FROM,
  IN_MOVED_TO,
} from "../../sim/vfs/watches.ts";
import { type Call, type CallTable, call } from "./call.ts";
import { textOf } from "./step.ts";

/** The events that are watched for, by bit; IN_ISDIR stands beside another one. */
const EVENTS = {
  IN_MODIFY,
  IN_ATTRIB,
  IN_MOVED_FROM,
  IN_MOVED_TO,
  IN_CREATE,
  IN_DELETE,
  IN_DELETE_SELF,
  IN_MOVE_SELF,
  IN_IGNORED,
  IN_ISDIR,
} as const;
const MASK: number = Object.values(EVENTS).reduce((sum, bit) => sum | bit, 0);

/** An event in words: its bits, and the name that it is about. */
function eventText(mask: number, name: string): string {
  const words = Object.entries(EVENTS).flatMap(([word, bit]) => ((mask & bit) === 0 ? [] : [word]));
  return `${words.join("|")}${name === "" ? "" : ` ${name}`}`;
}

const watch: Call = call("path fd", (session, task, step) => {
  const told: string[] = [];
  const end = task.watch(textOf(step, "path"), MASK, (mask, name) => {
    const text = eventText(mask, name);
    // The queue of inotify holds no event twice in a row (inotify_merge).
    if (told.at(-1) !== text) told.push(text);
  });
  if (isErrno(end)) return end;
  session.watches.set(textOf(step, "fd"), { told, end });
  return undefined;
});

const watched: Call = call("fd", (session, _task, step) => {
  const found = session.watches.get(textOf(step, "fd"));
  return found === undefined ? EBADF : found.told.splice(0);
});

export const WATCH_CALLS: CallTable = { watch, watched };
