/**
 * Writing everything, as whoever does not count bytes himself expects it: Go's os.File.Write, os.WriteFile and io.Copy, write_all of a language's library.
 */
import type { Content } from "../../sim/core/content.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import type { Task } from "../../sim/vfs/task.ts";

/** Calls write(2) until all is written: one that wrote less, since there was no room, is followed by one that says so. @returns write(2)'s error */
export function writeAll(task: Task, fd: number, content: Content): Errno | undefined {
  for (let done = 0; done < content.length; ) {
    const written = task.write(fd, content.slice(done));
    if (isErrno(written)) return written;
    done += written;
  }
  return undefined;
}
