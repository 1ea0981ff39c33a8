/**
 * What ADD unpacks (moby v20.10.27 builder/dockerfile/copy.go, isArchivePath): a file that is a tar, compressed or not.
 */
import type { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { newAttributes } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { contentOf } from "../archive/export.ts";
import { ArchiveFault } from "../archive/fault.ts";
import { opened } from "../archive/open-compressed.ts";
import { readTar } from "../archive/tar-read.ts";

/** The tar in a file; undefined where there is none. */
export function tarWithin(task: Task, path: string): Content | undefined {
  const of = newAttributes();
  const content = isErrno(task.stat(path, of)) ? undefined : contentOf(task, path, of.size);
  if (content === undefined) return undefined;
  try {
    const tar = opened(content);
    return readTar(tar, { mode: "docker" }).next().done === true ? undefined : tar;
  } catch (error) {
    if (error instanceof ArchiveFault) return undefined;
    throw error;
  }
}
