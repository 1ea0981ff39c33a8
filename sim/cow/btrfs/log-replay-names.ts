/**
 * Names that a log tree tells of come into the subvolume; those that it knows to be gone go (fs/btrfs/tree-log.c: replay_dir_deletes, replay_one_dir_item,
 * add_inode_ref, fixup_inode_link_counts; Linux 6.18).
 *
 * Interface: counts of links do not matter before the end: each inode that is met is counted then.
 */
import { assert } from "../../core/assert.ts";
import { S_IFDIR, S_IFMT } from "../../vfs/filesystem.ts";
import type { Key } from "../key.ts";
import type { Tree } from "../tree.ts";
import { writeInode } from "./delayed-inodes.ts";
import { addEntry, addRef, extrefKey, lookupEntry } from "./directories.ts";
import type { InodeState } from "./inode-state.ts";
import { inodeOf } from "./inodes.ts";
import type { DirEntry, InodeExtref, InodeRef } from "./items.ts";
import { DIR_INDEX, DIR_LOG_INDEX, handleOf, INODE_EXTREF, INODE_REF, key } from "./layout.ts";
import { inodeIn } from "./log-context.ts";
import type { LoggedRange } from "./log-directory.ts";
import { addOrphan, takeName } from "./namei.ts";
import type { BtrfsState } from "./state.ts";
import type { Subvolume } from "./subvolume.ts";

/** The replay of one log tree. */
export interface Replay {
  readonly state: BtrfsState;
  readonly subvolume: Subvolume;
  readonly log: Tree;
  /** Inodes whose links are to be counted. */
  readonly toFix: Set<number>;
}

type Ref = InodeRef | InodeExtref;

/** A name in the directory that has it. */
interface Place {
  readonly directory: InodeState;
  readonly name: string;
}

function inodeAt({ state, subvolume }: Replay, ino: number): InodeState {
  return inodeOf(state, handleOf(subvolume.id, ino));
}

/** Takes a name away from its inode and its directory. */
function unlinkName({ state }: Replay, { directory, name }: Place, inode: InodeState): void {
  // A replay waits with nothing.
  inode.nameIndex = 0;
  takeName(state, directory, name, inode);
  state.delayedInodes.settle(directory, state.generation);
  state.delayedInodes.settle(inode, state.generation);
}

/** Takes an entry away that is in the way, or that has gone. */
function dropEntry(replay: Replay, directory: InodeState, entry: DirEntry): void {
  assert(!entry.isSubvolume, `no log tells that subvolume ${entry.target} has lost its name`);
  replay.toFix.add(entry.target);
  unlinkName(replay, { directory, name: entry.name }, inodeAt(replay, entry.target));
}

/** Gives an inode a name, listed at an index. */
function addName({ state }: Replay, { directory, name }: Place, inode: InodeState, index: number): void {
  addEntry(state, directory, { name, target: inode.ino, isSubvolume: false, type: inode.mode & S_IFMT }, index);
  state.delayedInodes.settle(directory, state.generation);
  addRef(inode, directory.ino, { index, name });
  writeInode(inode);
}

// Entries

/** Removes what a directory has at indices of which the log says all that there is, and the log does not have. */
export function replayDeletedEntries(replay: Replay, ino: number): void {
  const { state, subvolume, log } = replay;
  const directory = inodeIn(state, subvolume, ino);
  if (directory === undefined) return;
  const gone = new Map<number, DirEntry>();
  log.visit(key(ino, DIR_LOG_INDEX), key(ino, DIR_LOG_INDEX + 1), ({ offset }, value) => {
    subvolume.tree.visit(key(ino, DIR_INDEX, offset), key(ino, DIR_INDEX, (value as LoggedRange).end + 1), (at, entry) => {
      const logged = log.get(at) as DirEntry | undefined;
      if (logged?.name !== (entry as DirEntry).name) gone.set(at.offset, entry as DirEntry);
      return false;
    });
    return false;
  });
  for (const entry of gone.values()) dropEntry(replay, directory, entry);
}

/** The entry of a name. */
function entryOf(state: BtrfsState, directory: InodeState, name: string): DirEntry | undefined {
  return lookupEntry(state, directory, state.environment.names.intern(name));
}

/** The entry that is listed at an index, if it has that name. */
function entryAt(directory: InodeState, index: number, name: string): DirEntry | undefined {
  const entry = directory.subvolume.tree.get(key(directory.ino, DIR_INDEX, index)) as DirEntry | undefined;
  return entry?.name === name ? entry : undefined;
}

const isSame = (one: DirEntry, other: DirEntry): boolean =>
  one.target === other.target && one.isSubvolume === other.isSubvolume && one.type === other.type;

/** Brings an entry over, if its inode is there (replay_one_name). What an inode itself tells of in the log comes with the inode. */
export function replayEntry(replay: Replay, ino: number, index: number, entry: DirEntry): void {
  const { state, subvolume, log } = replay;
  const directory = inodeAt(replay, ino);
  const inode = entry.isSubvolume ? undefined : inodeIn(state, subvolume, entry.target);
  const exists = entry.isSubvolume ? state.subvolumes.has(entry.target) : inode !== undefined;
  let same = 0;
  for (const find of [() => entryOf(state, directory, entry.name), () => entryAt(directory, index, entry.name)]) {
    const there = find();
    if (there === undefined) continue;
    if (isSame(there, entry)) same += 1;
    else if (exists) dropEntry(replay, directory, there);
  }
  if (same === 2 || inode === undefined || hasRef(log, inode.ino, directory.ino, entry.name)) return;
  if (entryOf(state, directory, entry.name) !== undefined) return;
  addName(replay, { directory, name: entry.name }, inode, index);
  if (entry.type !== S_IFDIR) replay.toFix.add(inode.ino);
}

// References

/** Whether a tree says that an inode has a name. */
function hasRef(tree: Tree, ino: number, parent: number, name: string): boolean {
  const refs = (tree.get(key(ino, INODE_REF, parent)) ?? []) as readonly InodeRef[];
  if (refs.some((ref) => ref.name === name)) return true;
  const extended = (tree.get(extrefKey(ino, parent, name)) ?? []) as readonly InodeExtref[];
  return extended.some((ref) => ref.name === name && ref.parent === parent);
}

/** Gives an inode the names that its item of references in the log has, and takes those away that the subvolume's has beside them. */
export function replayRefs(replay: Replay, at: Key, refs: readonly Ref[], size: number): void {
  const { state, subvolume } = replay;
  const inode = inodeAt(replay, at.object);
  const parentOf = (ref: Ref): number => (at.kind === INODE_REF ? at.offset : (ref as InodeExtref).parent);
  // Not all directories of an inode need be in the log; its links are counted in the end.
  if (refs[0] === undefined || inodeIn(state, subvolume, parentOf(refs[0])) === undefined) return;
  // The root folder's is of itself.
  if (at.kind === INODE_REF && at.object === at.offset) return;
  for (const ref of refs) {
    const directory = inodeIn(state, subvolume, parentOf(ref));
    if (directory === undefined) continue;
    const place = { directory, name: ref.name };
    if (hasEntry(state, place, inode, ref.index)) continue;
    clearWay(replay, place, inode, ref.index);
    addName(replay, place, inode, ref.index);
  }
  const there = (subvolume.tree.get(at) ?? []) as readonly Ref[];
  for (const ref of there) {
    const isKept = refs.some((one) => one.name === ref.name && parentOf(one) === parentOf(ref));
    if (!isKept) unlinkName(replay, { directory: inodeAt(replay, parentOf(ref)), name: ref.name }, inode);
  }
  subvolume.tree.set(at, size, refs);
}

function hasEntry(state: BtrfsState, { directory, name }: Place, inode: InodeState, index: number): boolean {
  return entryAt(directory, index, name)?.target === inode.ino && entryOf(state, directory, name)?.target === inode.ino;
}

/** Takes away what stands against a name: names of the inode in that directory that the log does not have, and another's entry of that name (__add_inode_ref). */
function clearWay(replay: Replay, { directory, name }: Place, inode: InodeState, index: number): void {
  const { state, subvolume, log } = replay;
  const { ino } = inode;
  const known = (subvolume.tree.get(key(ino, INODE_REF, directory.ino)) ?? []) as readonly InodeRef[];
  const logged = (log.get(key(ino, INODE_REF, directory.ino)) ?? []) as readonly InodeRef[];
  for (const ref of known)
    if (logged.every((one) => one.name !== ref.name)) unlinkName(replay, { directory, name: ref.name }, inode);
  const extended = (subvolume.tree.get(extrefKey(ino, directory.ino, name)) ?? []) as readonly InodeExtref[];
  for (const ref of extended)
    if (ref.parent === directory.ino && !hasExtref(log, ino, ref)) unlinkName(replay, { directory, name: ref.name }, inode);
  const listed = entryAt(directory, index, name);
  if (listed !== undefined) dropEntry(replay, directory, listed);
  const named = entryOf(state, directory, name);
  if (named !== undefined) dropEntry(replay, directory, named);
}

function hasExtref(log: Tree, ino: number, { parent, name }: InodeExtref): boolean {
  const refs = (log.get(extrefKey(ino, parent, name)) ?? []) as readonly InodeExtref[];
  return refs.some((ref) => ref.name === name && ref.parent === parent);
}

// Links

/** Counts the links of all inodes that were met, the last one first. What has none is left to the mount, which frees it; a directory loses its entries. */
export function fixLinkCounts(replay: Replay): void {
  const { state, subvolume, toFix } = replay;
  while (toFix.size > 0) {
    const ino = Math.max(...toFix);
    toFix.delete(ino);
    const inode = inodeIn(state, subvolume, ino);
    if (inode === undefined) continue;
    inode.nlink = countRefs(subvolume.tree, ino);
    writeInode(inode);
    if (inode.nlink > 0) continue;
    if (inode.isDirectory) dropAllEntries(replay, inode);
    addOrphan(inode);
  }
}

function countRefs(tree: Tree, ino: number): number {
  let count = 0;
  tree.visit(key(ino, INODE_REF), key(ino, INODE_EXTREF + 1), (_at, value) => {
    count += (value as readonly Ref[]).length;
    return false;
  });
  return count;
}

function dropAllEntries(replay: Replay, directory: InodeState): void {
  const entries: DirEntry[] = [];
  directory.subvolume.tree.visit(key(directory.ino, DIR_INDEX), key(directory.ino, DIR_INDEX + 1), (_at, value) => {
    entries.push(value as DirEntry);
    return false;
  });
  for (const entry of entries) dropEntry(replay, directory, entry);
}
