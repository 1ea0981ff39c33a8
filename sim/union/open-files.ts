/**
 * The open files of one union mount by their handles, which are used again.
 */
import { InvariantError } from "../core/assert.ts";
import { type FileHandle, type FileSystem, fileHandle } from "../vfs/filesystem.ts";
import type { Node } from "./nodes.ts";

/** What `real` holds for a directory or a special file. */
export const NO_FILE: number = -1;

/** An open file: one object, made when it is opened, so that a call on it looks at one place. */
export interface OpenedFile {
  readonly node: Node;
  /** The real file, or NO_FILE. */
  real: number;
  /** The real file's flags. */
  readonly flags: number;
  /** The filesystem of the real file: the upper layer's or a lower one's. */
  fs: FileSystem;
  /** Whether the real file is the upper layer's. */
  isUpper: boolean;
  /** Of a directory of overlayfs: whether it was made up of several when it was opened, or was seeked in from its beginning last. */
  isMerged?: boolean;
}

export class OpenFiles {
  readonly #files: (OpenedFile | undefined)[] = [undefined];
  readonly #free: number[] = [];

  add(opened: OpenedFile): FileHandle {
    const place = this.#free.pop() ?? this.#files.length;
    this.#files[place] = opened;
    return fileHandle(place);
  }

  at(file: FileHandle): OpenedFile {
    const opened = this.#files[file];
    if (opened === undefined) throw new InvariantError(`file ${file} is not open`);
    return opened;
  }

  remove(file: FileHandle): void {
    this.#files[file] = undefined;
    this.#free.push(file);
  }

  /** Those that are open, by their handles. */
  all(): OpenedFile[] {
    return this.#files.filter((opened) => opened !== undefined);
  }
}
