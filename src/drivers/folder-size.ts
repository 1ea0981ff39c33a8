/**
 * What a folder's files hold together (moby pkg/directory, Size).
 */
import { isErrno } from "../../sim/core/errno.ts";
import { newAttributes } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { isDirectory } from "./files.ts";

/** Bytes of everything below a folder but folders, each inode once. */
export function folderSize(task: Task, folder: string): number {
  const seen = new Set<number>();
  let size = 0;
  const visit = (path: string): void => {
    const entries = task.readdir(path);
    if (isErrno(entries)) return;
    for (const { name } of entries) {
      const of = task.lstat(`${path}/${name}`, newAttributes());
      if (isErrno(of)) continue;
      if (isDirectory(of)) visit(`${path}/${name}`);
      else if (!seen.has(of.inodeNumber)) {
        seen.add(of.inodeNumber);
        size += of.size;
      }
    }
  };
  visit(folder);
  return size;
}
