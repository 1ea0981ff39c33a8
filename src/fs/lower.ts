/**
 * Lowers: what the read-only layers of an overlayFs are filled with.
 */
import { Buffer } from "node:buffer";
import { posix } from "node:path";
import { Content } from "../../sim/core/content.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { O_CREAT, O_TRUNC, O_WRONLY } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { makeDirectories } from "../drivers/files.ts";
import { systemError } from "./errors.ts";

/** A source of a layer's files. */
export interface Lower {
  /** Puts the files into a tree. @param task - a process of root's at its top */
  fill(task: Task): void;
}

/** Files by path, as memfs takes and gives them: text or bytes; null is an empty directory. */
export type FilesJson = Readonly<Record<string, string | Uint8Array | null>>;

function done<T>(result: T | Errno, syscall: string, path: string): T {
  if (isErrno(result)) throw systemError(result, syscall, { path });
  return result;
}

/** Makes the directories of a path. */
function makeFolders(task: Task, path: string): void {
  const failed = makeDirectories(task, path, 0o755);
  if (failed?.errno !== undefined) throw systemError(failed.errno, "mkdir", { path });
}

/**
 * A layer of files given by path. Folders get mode 0755, files 0644.
 * @param folder - where relative paths begin; default "/"
 */
export function fromJson(files: FilesJson, folder = "/"): Lower {
  return {
    fill: (task) => {
      for (const [name, data] of Object.entries(files)) {
        const path = posix.resolve(folder, name);
        if (data === null) {
          makeFolders(task, path);
          continue;
        }
        makeFolders(task, posix.dirname(path));
        const fd = done(task.open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644), "open", path);
        done(task.write(fd, Content.copyOf(typeof data === "string" ? Buffer.from(data) : data)), "write", path);
        task.close(fd);
      }
    },
  };
}
