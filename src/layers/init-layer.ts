/**
 * The init layer: what every container finds beside its image (moby v20.10.27 daemon/initlayer/setup_unix.go; spec/drivers.md §3.1).
 *
 * Rule: each part of a path is unlinked first, which takes away files and links that stand in the way, and no folder.
 */
import type { Task } from "../../sim/vfs/task.ts";
import { type DriverError, pathError } from "../drivers/driver.ts";
import { exists, makeDirectories, parentPath, writeFile } from "../drivers/files.ts";

const FOLDERS = ["/dev/pts", "/dev/shm", "/proc", "/sys"];
const FILES = ["/.dockerenv", "/etc/resolv.conf", "/etc/hosts", "/etc/hostname", "/dev/console"];
/** [path, target] */
const LINKS = [["/etc/mtab", "/proc/mounts"]] as const;

/** Fills a mounted init layer. @param root - its path on the host */
export function setUpInitLayer(task: Task, root: string): DriverError | undefined {
  for (const path of [...FOLDERS, ...FILES, ...LINKS.map(([link]) => link)].sort()) {
    let part = "";
    for (const name of path.split("/").slice(1)) {
      part += `/${name}`;
      task.unlink(root + part);
    }
    if (exists(task, root + path)) continue;
    const failed = makeDirectories(task, root + parentPath(path), 0o755) ?? makeOne(task, root, path);
    if (failed !== undefined) return failed;
  }
  return undefined;
}

function makeOne(task: Task, root: string, path: string): DriverError | undefined {
  if (FOLDERS.includes(path)) return makeDirectories(task, root + path, 0o755);
  const target = LINKS.find(([link]) => link === path)?.[1];
  if (target !== undefined) {
    const errno = task.symlink(target, root + path);
    return errno === undefined ? undefined : pathError("symlink", root + path, errno);
  }
  return writeFile(task, root + path, { text: "", mode: 0o755 });
}
