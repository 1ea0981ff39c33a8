/**
 * Writing everything, as whoever does not count bytes himself expects it: Go's os.File.Write, os.WriteFile and io.Copy, write_all of a language's library.
 */
import type { Content } from "../../sim/core/content.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { O_WRONLY } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";

/** Opens a file for writing, writes all of it and closes it. @returns the first error */
export function writePath(
  task: Task,
  path: string,
  how: { readonly flags: number; readonly mode: number },
  content: Content,
): Errno | undefined {
  const fd = task.open(path, O_WRONLY | how.flags, how.mode);
  if (isErrno(fd)) return fd;
  const failed = writeAll(task, fd, content);
  const closed = task.close(fd);
  return failed ?? closed;
}

/** Calls write(2) until all is written: one that wrote less, since there was no room, is followed by one that says so. @returns write(2)'s error */
export function writeAll(task: Task, fd: number, content: Content): Errno | undefined {
  for (let done = 0; done < content.length; ) {
    const written = task.write(fd, content.slice(done));
    if (isErrno(written)) return written;
    done += written;
  }
  return undefined;
}
