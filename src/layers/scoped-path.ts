/**
 * Paths of a container as the host sees them (moby pkg/symlink, FollowSymlinkInScope): symbolic links are followed, and none leads out.
 */
import { EINVAL, ELOOP, ENOENT, isErrno } from "../../sim/core/errno.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { type DriverError, pathError } from "../drivers/driver.ts";

const LINKS_MAX = 255;

/**
 * The path without symbolic links; from the first part that is not there, the rest as it stands.
 * @param inside - a task whose root the path is taken from
 */
export function scopedPath(inside: Task, path: string): string | DriverError {
  const left = path.split("/");
  let at = "";
  let links = 0;
  for (let part = left.shift(); part !== undefined; part = left.shift()) {
    if (part === "" || part === ".") continue;
    if (part === "..") {
      at = at.slice(0, Math.max(at.lastIndexOf("/"), 0));
      continue;
    }
    const target = inside.readlink(`${at}/${part}`);
    if (target === EINVAL || target === ENOENT) at = `${at}/${part}`;
    else if (isErrno(target)) return pathError("lstat", `${at}/${part}`, target);
    else {
      links += 1;
      if (links > LINKS_MAX) return pathError("lstat", path, ELOOP);
      if (target.startsWith("/")) at = "";
      left.unshift(...target.split("/"));
    }
  }
  return at === "" ? "/" : at;
}
