/**
 * The open files of one union mount: rows that are used again.
 */
import { type FileHandle, type FileSystem, fileHandle } from "../vfs/filesystem.ts";
import type { Node } from "./nodes.ts";

/** What `real` holds for a directory or a special file. */
export const NO_FILE: number = -1;

/** A file that is being opened. */
export interface OpenedFile {
  readonly node: Node;
  /** The real file, or NO_FILE. */
  real: number;
  /** The real file's flags. */
  readonly flags: number;
  readonly fs: FileSystem;
  readonly isUpper: boolean;
}

/** The open files of one mount: rows that are used again. */
export class OpenFiles {
  readonly nodes: number[] = [0];
  readonly real: number[] = [NO_FILE];
  readonly flags: number[] = [0];
  /** The filesystem of the real file: the upper layer's or a lower one's. */
  readonly filesystems: (FileSystem | undefined)[] = [undefined];
  /** Whether the real file is the upper layer's. */
  readonly isUpper: boolean[] = [false];
  readonly #free: number[] = [];

  /** How many files are open. */
  get size(): number {
    return this.nodes.length - 1 - this.#free.length;
  }

  add(opened: OpenedFile): FileHandle {
    const row = this.#free.pop() ?? this.nodes.length;
    this.nodes[row] = opened.node;
    this.real[row] = opened.real;
    this.flags[row] = opened.flags;
    this.filesystems[row] = opened.fs;
    this.isUpper[row] = opened.isUpper;
    return fileHandle(row);
  }

  remove(file: FileHandle): void {
    this.nodes[file] = 0;
    this.#free.push(file);
  }
}
