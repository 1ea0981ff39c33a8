/**
 * What a search for a name finds in the branches.
 */
import type { Inode } from "../../vfs/filesystem.ts";
import type { ViewNode } from "../view-nodes.ts";

/** What the branches have at a name. Filled again by each search. */
export interface Found {
  /** The topmost upper branch that has something, and its inode; -1 for none. */
  branch: number;
  inode: Inode;
  /** A whiteout ended the search before anything was found. */
  isWhited: boolean;
  /** Of what was found. */
  isDirectory: boolean;
  /** A directory is opaque on the last of `instances`. */
  isOpaque: boolean;
  /** The inodes of a directory by upper branch. */
  readonly instances: (Inode | undefined)[];
  /** What the lower branches have; 0 for nothing. */
  lower: ViewNode;
}

/** Nothing found yet. */
export function newFound(): Found {
  return { branch: -1, inode: 0 as Inode, isWhited: false, isDirectory: false, isOpaque: false, instances: [], lower: 0 };
}
