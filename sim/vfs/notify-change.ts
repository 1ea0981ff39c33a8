/**
 * A change of attributes, and who is told of it (fs/attr.c, notify_change; include/linux/fsnotify.h, fsnotify_change; Linux 6.18).
 */
import type { Errno } from "../core/errno.ts";
import type { AttributeChange } from "./filesystem.ts";
import type { Process } from "./process.ts";
import { IN_ATTRIB, IN_MODIFY, type Reached } from "./watches.ts";

/** The events of a change. Of atime alone it would be IN_ACCESS, which nobody watches for here. */
function eventsOf({ mode, uid, gid, size, atime, mtime }: AttributeChange): number {
  const isTouched = atime !== undefined && mtime !== undefined;
  const attributes = mode !== undefined || uid !== undefined || gid !== undefined || isTouched ? IN_ATTRIB : 0;
  return attributes | (size !== undefined || (mtime !== undefined && !isTouched) ? IN_MODIFY : 0);
}

/** Makes a change, and tells of it. */
export function notifyChange({ vfs }: Process, reached: Reached, change: AttributeChange): Errno | undefined {
  const failed = reached.mount.fs.setattr(reached.inode, change);
  const events = failed === undefined && vfs.watches !== undefined ? eventsOf(change) : 0;
  if (events !== 0) vfs.watches?.changed(reached, events);
  return failed;
}
