/**
 * Names: a directory's entries are found by the hash of their name and listed by their index; an inode tells its names too
 * (fs/btrfs/dir-item.c, inode-item.c).
 */

import { assert } from "../../core/assert.ts";
import { crc32cText } from "../../core/crc32c.ts";
import type { Name } from "../../core/names.ts";
import { utf8Length } from "../../core/names.ts";
import { inodeHandle, S_IFDIR, type VisitEntry } from "../../vfs/filesystem.ts";
import { Cursor } from "../cursor.ts";
import type { Key } from "../key.ts";
import type { Tree } from "../tree.ts";
import { InodeState } from "./inode-state.ts";
import { dirty, inodeOf } from "./inodes.ts";
import type { DirEntry, InodeExtref, InodeRef, RootRef } from "./items.ts";
import {
  DIR_BYTES,
  DIR_INDEX,
  DIR_ITEM,
  EMPTY_SUBVOLUME,
  EXTREF_BYTES,
  FIRST_FREE,
  handleOf,
  INODE_EXTREF,
  INODE_ITEM,
  INODE_REF,
  ITEM_BYTES_MAX,
  key,
  REF_BYTES,
  ROOT_REF,
} from "./layout.ts";
import { nameHash } from "./name-hash.ts";
import type { BtrfsState } from "./state.ts";

/** The index of a directory's first entry: 0 and 1 are "." and "..". */
export const FIRST_INDEX = 2;
/** Numbers of inodes that stand for subvolumes begin here in a handle. */
const PLACEHOLDERS: number = 2 ** 31;

export function lookupEntry(state: BtrfsState, directory: InodeState, name: Name): DirEntry | undefined {
  if (directory.isPlaceholder) return undefined;
  const { entries: known } = state;
  if (known.knows(directory, name)) return known.found;
  const found = searchEntry(state, directory, name);
  known.put(directory, name, found);
  return found;
}

function searchEntry(state: BtrfsState, directory: InodeState, name: Name): DirEntry | undefined {
  const entries = directory.subvolume.tree.get(key(directory.ino, DIR_ITEM, state.hash(name))) as readonly DirEntry[] | undefined;
  if (entries === undefined) return undefined;
  const text = state.environment.names.text(name);
  return entries.find((entry) => entry.name === text);
}

/** The inode of an entry: a subvolume is only found where it has its name; elsewhere an empty directory stands for it. */
export function handleOfEntry(state: BtrfsState, directory: InodeState, entry: DirEntry): number {
  const { id } = directory.subvolume;
  if (!entry.isSubvolume) return handleOf(id, entry.target);
  const ref = state.rootTree.get(key(id, ROOT_REF, entry.target)) as RootRef | undefined;
  const isHere = ref?.directory === directory.ino && ref.name === entry.name;
  return isHere ? handleOf(entry.target, FIRST_FREE) : placeholderOf(state, directory, entry.name);
}

function placeholderOf(state: BtrfsState, directory: InodeState, name: string): number {
  const place = `${directory.handle}/${name}`;
  const known = state.placeholders.get(place);
  if (known !== undefined) return known;
  const handle = handleOf(directory.subvolume.id, PLACEHOLDERS + state.nextPlaceholder++);
  const inode = new InodeState(handle, EMPTY_SUBVOLUME, directory.subvolume, {
    ...directory.item(),
    generation: state.generation,
    nlink: 1,
    size: 0,
    bytes: 0,
    flags: 0,
  });
  inode.standsIn = directory.handle;
  renewPlaceholder(state, inode);
  state.inodes.set(inode);
  state.placeholders.set(place, handle);
  return handle;
}

/**
 * What stands for a subvolume is made anew for each look at it that nobody keeps: it has its directory's owner and the time of now
 * (fs/btrfs/inode.c: new_simple_dir, btrfs_dentry_delete).
 */
export function renewPlaceholder(state: BtrfsState, inode: InodeState): void {
  const { uid, gid, atime } = inodeOf(state, inode.standsIn);
  const now = state.environment.clock.time();
  Object.assign(inode, { mode: S_IFDIR | 0o755, uid, gid, atime, mtime: now, ctime: now });
}

/** The entry of that name has gone, or means something else now. */
export function forgetPlaceholder(state: BtrfsState, directory: InodeState, name: string): void {
  const place = `${directory.handle}/${name}`;
  const handle = state.placeholders.get(place);
  if (handle === undefined) return;
  state.placeholders.delete(place);
  state.inodes.delete(handle);
}

/** The index that a directory's next entry gets (btrfs_set_inode_index). */
export function takeIndex(directory: InodeState): number {
  if (directory.nextIndex === 0) {
    const cursor = new Cursor(directory.subvolume.tree);
    const found = cursor.seekBefore(key(directory.ino, DIR_INDEX + 1)) && cursor.compare(key(directory.ino, DIR_INDEX)) >= 0;
    directory.nextIndex = found ? cursor.key.offset + 1 : FIRST_INDEX;
  }
  return directory.nextIndex++;
}

function hashItems(directory: InodeState, hash: number): readonly DirEntry[] {
  return (directory.subvolume.tree.get(key(directory.ino, DIR_ITEM, hash)) ?? []) as readonly DirEntry[];
}

function setHashItem(directory: InodeState, hash: number, entries: readonly DirEntry[]): void {
  const at = key(directory.ino, DIR_ITEM, hash);
  if (entries.length === 0) directory.subvolume.tree.remove(at);
  else
    directory.subvolume.tree.set(
      at,
      entries.reduce((sum, { name }) => sum + DIR_BYTES + utf8Length(name), 0),
      entries,
    );
}

/** Puts an entry into a directory. @param index - where it is to be listed. */
export function addEntry(state: BtrfsState, directory: InodeState, named: Omit<DirEntry, "transid">, index: number): void {
  const { name, target, isSubvolume, type } = named;
  const entry: DirEntry = { name, target, isSubvolume, type, transid: state.generation };
  const hash = nameHash(name);
  const length = utf8Length(name);
  setHashItem(directory, hash, hashItems(directory, hash).concat(entry));
  state.entries.put(directory, state.environment.names.intern(name), entry);
  state.delayedInodes.list(directory, index, entry);
  directory.size += 2 * length;
  dirty(state, directory);
}

/** Takes an entry out of a directory. @param indexOf - tells where it is listed, when it is not found by its name any more. */
export function removeEntry(state: BtrfsState, directory: InodeState, name: string, indexOf: () => number): void {
  const hash = nameHash(name);
  setHashItem(
    directory,
    hash,
    hashItems(directory, hash).filter((entry) => entry.name !== name),
  );
  state.entries.put(directory, state.environment.names.intern(name), undefined);
  state.delayedInodes.unlist(directory, indexOf());
  directory.size -= 2 * utf8Length(name);
  forgetPlaceholder(state, directory, name);
  dirty(state, directory);
}

/** The index of an entry whose reference does not tell it: a placeholder's, which was listed before its snapshot was taken. O(entries). */
export function indexOfEntry(directory: InodeState, name: string): number {
  let index = 0;
  directory.subvolume.tree.visit(key(directory.ino, DIR_INDEX), key(directory.ino, DIR_INDEX + 1), (at, value) => {
    if ((value as DirEntry).name !== name) return false;
    index = at.offset;
    return true;
  });
  return index;
}

// An inode's names

/** Where an inode's name is that is beyond what INODE_REF has room for. */
export function extrefKey(ino: number, parent: number, name: string): ReturnType<typeof key> {
  return key(ino, INODE_EXTREF, crc32cText(parent >>> 0, name));
}

/** Where an inode's only name is listed; 0 where it must be looked for, as it has had others, or its reference lies in another leaf than its item. */
export function nameIndexOf(inode: InodeState): number {
  if (inode.nameIndex >= 0) return inode.nameIndex;
  const cursor = new Cursor(inode.subvolume.tree);
  cursor.seek(key(inode.ino, INODE_ITEM));
  const leaf = cursor.nodeAt(0);
  const isBeside = cursor.next() && cursor.nodeAt(0) === leaf && cursor.key.object === inode.ino && cursor.key.kind === INODE_REF;
  inode.nameIndex = isBeside ? ((cursor.value as readonly InodeRef[])[0]?.index ?? 0) : 0;
  return inode.nameIndex;
}

/** The item that an inode's first name is. */
export function makeRef(
  inode: InodeState,
  parent: number,
  ref: InodeRef,
): { key: Key; size: number; value: readonly InodeRef[] } {
  return { key: key(inode.ino, INODE_REF, parent), size: refBytes(0, ref), value: [ref] };
}

/** Tells an inode a name of its own. */
export function addRef(inode: InodeState, parent: number, ref: InodeRef): void {
  const { tree } = inode.subvolume;
  const at = key(inode.ino, INODE_REF, parent);
  const refs = ((tree.get(at) ?? []) as readonly InodeRef[]).concat(ref);
  const size = refs.reduce(refBytes, 0);
  if (size <= ITEM_BYTES_MAX) tree.set(at, size, refs);
  else {
    const extended = extrefKey(inode.ino, parent, ref.name);
    const all = ((tree.get(extended) ?? []) as readonly InodeExtref[]).concat({ ...ref, parent });
    tree.set(extended, all.reduce(extrefBytes, 0), all);
  }
}

/** Takes a name from an inode, which has it. @returns the index of the entry in its directory. */
export function removeRef(inode: InodeState, parent: number, name: string): number {
  const index = removeRefIn(inode.subvolume.tree, inode.ino, parent, name);
  assert(index !== undefined, `inode ${inode.ino} has the name ${name} in ${parent}`);
  return index;
}

const refBytes = (sum: number, { name }: InodeRef): number => sum + REF_BYTES + utf8Length(name);
const extrefBytes = (sum: number, { name }: InodeRef): number => sum + EXTREF_BYTES + utf8Length(name);

/** Takes a name out of what a tree says of an inode. @returns the index of its entry; undefined where the tree does not have the name. */
export function removeRefIn(tree: Tree, ino: number, parent: number, name: string): number | undefined {
  const at = key(ino, INODE_REF, parent);
  const refs = (tree.get(at) ?? []) as readonly InodeRef[];
  const found = refs.find((ref) => ref.name === name);
  if (found !== undefined) {
    const rest = refs.filter((ref) => ref !== found);
    if (rest.length === 0) tree.remove(at);
    else tree.shorten(at, rest.reduce(refBytes, 0), rest);
    return found.index;
  }
  const extended = extrefKey(ino, parent, name);
  const all = tree.get(extended) as readonly InodeExtref[] | undefined;
  const one = all?.find((ref) => ref.name === name && ref.parent === parent);
  if (all === undefined || one === undefined) return undefined;
  const rest = all.filter((ref) => ref !== one);
  if (rest.length === 0) tree.remove(extended);
  else tree.shorten(extended, rest.reduce(extrefBytes, 0), rest);
  return one.index;
}

/** Visits the entries in the order of their indices. */
export function iterate(state: BtrfsState, directory: InodeState, visit: VisitEntry): void {
  if (directory.isPlaceholder) return;
  const { names } = state.environment;
  const entries: DirEntry[] = [];
  directory.subvolume.tree.visit(key(directory.ino, DIR_INDEX), key(directory.ino, DIR_INDEX + 1), ({ offset }, value) => {
    if (!directory.unlistedLater.has(offset)) entries.push(value as DirEntry);
    return false;
  });
  entries.push(...directory.listedLater.values());
  for (const entry of entries) {
    const number = entry.isSubvolume ? inodeOf(state, inodeHandle(handleOfEntry(state, directory, entry))).ino : entry.target;
    visit(names.intern(entry.name), number, entry.type);
  }
}
