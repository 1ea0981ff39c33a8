/**
 * A directory's entries in the log tree: those of the running transaction, and of which indices the log says all that there is, so that a replay removes what it does
 * not find there (fs/btrfs/tree-log.c: log_directory_changes, log_dir_items, log_delayed_insertion_items; Linux 6.18).
 */
import { utf8Length } from "../../core/names.ts";
import { Cursor } from "../cursor.ts";
import type { Tree } from "../tree.ts";
import { FIRST_INDEX } from "./directories.ts";
import type { InodeState } from "./inode-state.ts";
import type { DirEntry } from "./items.ts";
import { DIR_BYTES, DIR_INDEX, DIR_LOG_BYTES, DIR_LOG_INDEX, key } from "./layout.ts";
import type { LogContext } from "./log-context.ts";
import type { BtrfsState } from "./state.ts";

/** Stands for the last index that there can be. */
const LAST: number = Number.MAX_SAFE_INTEGER;

/** Of an item DIR_LOG_INDEX, from whose key's offset on. */
export interface LoggedRange {
  /** The last index. */
  readonly end: number;
}

/** The log says all that there is of the indices from `first` to `last`. */
export function logRange(state: BtrfsState, log: Tree, ino: number, first: number, last: number): void {
  const at = key(ino, DIR_LOG_INDEX, first);
  const known = log.get(at) as LoggedRange | undefined;
  const range: LoggedRange = { end: Math.max(last, known?.end ?? 0) };
  state.logs.set(log, at, DIR_LOG_BYTES, range);
}

function logEntry(state: BtrfsState, log: Tree, directory: InodeState, index: number, entry: DirEntry): void {
  state.logs.set(log, key(directory.ino, DIR_INDEX, index), DIR_BYTES + utf8Length(entry.name), entry);
}

/** Logs what is new in a directory's list. */
export function logDirectory(state: BtrfsState, context: LogContext, log: Tree, directory: InodeState): void {
  directory.log.lastIndex ||= FIRST_INDEX - 1;
  for (let from = FIRST_INDEX; from <= LAST; ) from = logFrom(state, context, log, directory, from) + 1;
}

/** Logs what is new from an index on, up to a leaf that the transaction has not changed. @returns up to which index it has looked. */
function logFrom(state: BtrfsState, context: LogContext, log: Tree, directory: InodeState, from: number): number {
  const { ino, subvolume } = directory;
  const end = key(ino, DIR_INDEX + 1);
  const cursor = new Cursor(subvolume.tree);
  let more = cursor.seek(key(ino, DIR_INDEX, from));
  while (more && cursor.nodeAt(0).generation !== state.generation && cursor.compare(end) < 0) more = cursor.nextLeaf();
  const found = more && cursor.compare(end) < 0;
  let lastOld = indexBefore(subvolume.tree, ino, found ? cursor.key.offset : LAST) ?? from - 1;
  let last = LAST;
  for (; found && more && cursor.compare(end) < 0; more = cursor.next()) {
    const { offset: index } = cursor.key;
    if (cursor.nodeAt(0).generation !== state.generation) {
      // What was removed behind the last entry here is before the next one there.
      last = index - 1;
      break;
    }
    const entry = cursor.value as DirEntry;
    if (entry.transid < state.generation) {
      if (index > lastOld + 1) logRange(state, log, ino, lastOld + 1, index - 1);
      lastOld = index;
    } else if (index > directory.log.lastIndex) {
      if (!entry.isSubvolume) context.hasNewEntries = true;
      logEntry(state, log, directory, index, entry);
      directory.log.lastIndex = index;
      directory.log.firstIndex ||= index;
    }
  }
  if (lastOld < last) logRange(state, log, ino, lastOld + 1, last);
  return last;
}

/** The last index of a directory's list before another one. */
function indexBefore(tree: Tree, ino: number, index: number): number | undefined {
  const cursor = new Cursor(tree);
  const found = cursor.seekBefore(key(ino, DIR_INDEX, index)) && cursor.compare(key(ino, DIR_INDEX)) >= 0;
  return found ? cursor.key.offset : undefined;
}

/** Entries that no list has yet, by their indices. */
export type Unlisted = readonly (readonly [index: number, entry: DirEntry])[];

/** A range of indices that follow each other. */
interface Run {
  first: number;
  last: number;
}

/**
 * Logs that entries have gone which wait to be taken out of the list: what the log has of them goes; else it says that it has all that there is of their indices
 * (log_delayed_deletion_items).
 * @param wasLogged - whether the log may have some.
 */
export function logRemoved(state: BtrfsState, log: Tree, directory: InodeState, wasLogged: boolean): void {
  const { ino, unlistedLater } = directory;
  const gone = [...unlistedLater].filter(([, isLogged]) => !isLogged).map(([index]) => index);
  if (gone.length === 0) return;
  for (const index of gone) unlistedLater.set(index, true);
  let run: Run | undefined;
  for (const index of gone.sort((one, other) => one - other)) {
    if (wasLogged && state.logs.claim() && log.remove(key(ino, DIR_INDEX, index))) continue;
    if (run?.last !== index - 1) run = { first: index, last: index };
    run.last = index;
    logRange(state, log, ino, run.first, index);
  }
}

/** Logs entries that wait to be listed. */
export function logUnlisted(state: BtrfsState, log: Tree, directory: InodeState, unlisted: Unlisted): void {
  for (const [index, entry] of unlisted) {
    if (index <= directory.log.lastIndex) continue;
    logEntry(state, log, directory, index, entry);
    directory.log.lastIndex = index;
  }
}
