/** Stores into a shared mapping that was read through. */
import type { Content } from "../core/content.ts";
import type { Errno } from "../core/errno.ts";
import type { FileHandle, FileSystem } from "./filesystem.ts";

/** Stores into a file: as `write` does, unless its filesystem does so otherwise. */
export function writeMapped(fs: FileSystem, file: FileHandle, offset: number, content: Content): number | Errno {
  return fs.writeMapped === undefined ? fs.write(file, offset, content) : fs.writeMapped(file, offset, content);
}
