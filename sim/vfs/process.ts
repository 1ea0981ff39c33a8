/**
 * What a system call's body sees of the task that makes it. The bodies (open.ts, data.ts …) are written against this, and Task, which
 * lists them all, is the one that has it: so neither imports the other in a circle.
 */
import type { Clock } from "../core/clock.ts";
import type { NameTable } from "../core/names.ts";
import type { Credentials } from "./credentials.ts";
import type { Attributes, Inode } from "./filesystem.ts";
import type { Mount, Position } from "./mount.ts";
import type { FileTable } from "./open-file.ts";
import type { PageCache } from "./page-cache.ts";
import type { Pipes } from "./pipes.ts";
import type { Walk } from "./walk.ts";
import type { Listener, Watched, Watches } from "./watches.ts";

/** Switches of /proc/sys/fs. */
export interface Sysctls {
  /** Hard links to others' files need read and write permission. 1 on every distribution; the other protected_* are taken to be 0. */
  readonly protectedHardlinks: boolean;
}

/** What all tasks of a host share. */
export interface Surroundings {
  readonly names: NameTable;
  /** Every mount that has not ended, in the order of mounting. */
  readonly mounts: readonly Mount[];
  readonly clock: Clock;
  readonly cache: Pick<PageCache, "readahead">;
  readonly sysctls: Sysctls;
  /** Goes up whenever some file's security.capability is set: until then a writer need not look for one to remove. */
  capabilityChanges: number;
  /** What is in the FIFOs that are open. */
  readonly pipes: Pipes;
  /** The descriptors of every task that has not ended. */
  readonly tables: Set<FileTable>;
  /** Who is told of changes; undefined while nobody watches. */
  watches: Watches | undefined;
  /** Whether something is mounted on an inode in a tree of mounts, by whichever mount of the tree it was reached (is_local_mountpoint). */
  isMountPoint(mount: Mount, inode: Inode): boolean;
  /** Begins a watch on an inode. @param mask - IN_* of interest. @returns what ends it */
  watch(watched: Watched, mask: number, listener: Listener): () => void;
}

export interface Process {
  readonly vfs: Surroundings;
  /** Where absolute paths begin, and what ".." does not leave. */
  readonly root: Position;
  /** Where relative paths begin. */
  readonly cwd: Position;
  readonly credentials: Credentials;
  /** Permission bits that new files do not get. */
  readonly umask: number;
  /** The open files by descriptor. */
  readonly files: FileTable;
  /** The path walk at work. */
  readonly walk: Walk;
  /** That of a second path, so that each stays where it ended. */
  readonly secondWalk: Walk;
  /** Attributes that a call needs for itself. */
  readonly scratch: Attributes;
  /** Makes a place the working directory, unchecked. */
  chdirTo(place: Position): void;
}
