/**
 * What du(1) tells of a folder: the space of everything in it, each inode once.
 */
import { isErrno } from "../../sim/core/errno.ts";
import { newAttributes, S_IFDIR, S_IFMT } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";

/** Bytes of a unit of st_blocks. */
const BLOCK = 512;

/**
 * Bytes that a folder and everything below it take, as `du -s` counts them.
 * @param acrossMounts - whether it goes on into what is mounted below, as it does without -x
 */
export function diskUsage(task: Task, folder: string, acrossMounts: boolean): number {
  const seen = new Set<string>();
  const top = task.lstat(folder, newAttributes());
  if (isErrno(top)) return 0;
  let blocks = 0;
  const visit = (path: string): void => {
    const of = task.lstat(path, newAttributes());
    if (isErrno(of) || (!acrossMounts && of.device !== top.device)) return;
    const key = `${of.device}:${of.inodeNumber}`;
    if (seen.has(key)) return;
    seen.add(key);
    blocks += of.blocks;
    if ((of.mode & S_IFMT) !== S_IFDIR) return;
    const entries = task.readdir(path);
    if (!isErrno(entries)) for (const { name } of entries) visit(`${path}/${name}`);
  };
  visit(folder);
  return blocks * BLOCK;
}
