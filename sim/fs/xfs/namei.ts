/**
 * Making and removing names (fs/xfs/xfs_inode.c, xfs_symlink.c: xfs_create, xfs_create_tmpfile, xfs_link, xfs_remove).
 *
 * Interface: an inode without names that is held is in a chain of its group's AGI and is freed by the last `drop`.
 */
import { EMLINK, ENAMETOOLONG, ENOENT, ENOSPC, ENOTEMPTY, type Errno, EXDEV, isErrno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import { utf8Length } from "../../core/names.ts";
import { type NewInode, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../../vfs/filesystem.ts";
import { initAcls } from "./acl.ts";
import { addEntry, enter, isEmpty, lookupEntry, removeEntry, roomForEntry } from "./directories.ts";
import { flushAll, freeFile } from "./file.ts";
import { FileData } from "./file-data.ts";
import { newDirectoryData } from "./inode-load.ts";
import { allocateInode, canAllocateInode, freeInode } from "./inode-space.ts";
import {
  ATIME,
  BLOCKS,
  CTIME,
  EXTRA,
  FLAGS,
  FORK_OFFSET,
  GID,
  generationOf,
  HOLD,
  HOLDS,
  INNER_FLAGS,
  MODE,
  MTIME,
  NEXT_UNLINKED,
  NLINK,
  nextGeneration,
  PROJECT,
  SymlinkData,
  TIMES,
  UID,
  WORDS,
} from "./inodes.ts";
import { blockOfInode, CHUNK_INODES, firstForkOffset, forkBytes, inodeReserve, LINK_MAX, SYMLINK_BYTES_MAX } from "./layout.ts";
import { canReserve } from "./reserve.ts";
import { allocateMetadata, freeMetadata } from "./space.ts";
import { stamp } from "./stamp.ts";
import type { XfsState } from "./state.ts";
import { addUnlinked, removeUnlinked } from "./unlinked.ts";
import { freeXattrs, xattrsOf } from "./xattrs.ts";

/** FS_PROJINHERIT_FL: what is made in the directory belongs to its project. */
export const PROJECT_INHERIT = 0x20000000;
/** What a new inode takes over from its directory beside the project (xfs_inode_inherit_flags), as chattr shows it: sync, nodump, noatime. */
const INHERITED: number = 0x08 | 0x40 | 0x80;

/** Takes an inode and fills it. @returns ENOSPC when there is none; EIO when its buffer cannot be read, which shuts the filesystem down. */
function makeInode(state: XfsState, directory: number, init: NewInode): number | Errno {
  const type = init.mode & S_IFMT;
  const ino = allocateInode(state, directory, type === S_IFDIR);
  if (ino === 0) return ENOSPC;
  const lost = state.reach(ino);
  if (lost !== undefined) {
    // xfs_inode_item_precommit: the transaction has changed the trees already.
    freeInode(state, ino);
    return state.shutDown();
  }
  const chunk = state.chunk(ino);
  const at = ino % CHUNK_INODES;
  const base = at * WORDS;
  const { words, times } = chunk;
  const parentFlags = state.word(directory, FLAGS);
  const inherits = (parentFlags & PROJECT_INHERIT) !== 0;
  words[base + MODE] = init.mode;
  words[base + UID] = init.uid;
  words[base + GID] = init.gid;
  words[base + NLINK] = type === S_IFDIR ? 2 : 1;
  words[base + FLAGS] = (parentFlags & INHERITED) | (inherits && type === S_IFDIR ? PROJECT_INHERIT : 0);
  words[base + BLOCKS] = 0;
  words[base + EXTRA] = type === S_IFDIR ? directory : init.rdev;
  words[base + HOLDS] = 0;
  words[base + PROJECT] = inherits ? state.word(directory, PROJECT) : 0;
  words[base + NEXT_UNLINKED] = 0;
  words[base + FORK_OFFSET] = type === S_IFLNK ? 0 : firstForkOffset(state.geometry, type);
  words[base + INNER_FLAGS] = generationOf(words[base + INNER_FLAGS] as number);
  if (type !== S_IFLNK) state.noteAttributes();
  times.fill(state.environment.clock.time(), at * TIMES + ATIME, at * TIMES + Math.max(MTIME, CTIME) + 1);
  chunk.sizes[at] = 0;
  chunk.data[at] = undefined;
  state.dirtyInode(ino);
  return ino;
}

/** Whether a target does not fit the inode. */
function isLongTarget(state: XfsState, target: string): boolean {
  return utf8Length(target) > forkBytes(state.geometry);
}

/** What a new inode needs beyond its columns. */
function furnish(state: XfsState, ino: number, init: NewInode): void {
  const type = init.mode & S_IFMT;
  if (type === S_IFDIR) {
    const data = newDirectoryData(state, ino);
    state.setData(ino, data);
    state.setSize(ino, data.shortBytes);
    state.dirtyFork(ino);
  } else if (type === S_IFLNK) {
    let block = 0;
    if (isLongTarget(state, init.target)) {
      block = allocateMetadata(state, blockOfInode(state.geometry, ino));
      state.addBlocks(ino, 1);
    }
    const data = new SymlinkData(init.target, block);
    if (block !== 0) state.log.dirty(data);
    state.setData(ino, data);
    state.setSize(ino, utf8Length(init.target));
    state.dirtyFork(ino);
  }
}

/** The inode's count of names, adjusted. */
export function addLinks(state: XfsState, ino: number, by: number): void {
  state.setWord(ino, NLINK, state.word(ino, NLINK) + by);
  state.dirtyInode(ino);
}

export function create(state: XfsState, directory: number, name: Name, init: NewInode): number | Errno {
  const type = init.mode & S_IFMT;
  if (type === S_IFLNK && utf8Length(init.target) >= SYMLINK_BYTES_MAX) return ENAMETOOLONG;
  const unread = enter(state, directory);
  if (unread !== undefined) return unread;
  if (state.word(directory, NLINK) === 0) return ENOENT;
  if (type === S_IFDIR && state.word(directory, NLINK) >= LINK_MAX) return EMLINK;
  const more = type === S_IFLNK && isLongTarget(state, init.target) ? 1 : 0;
  let room = roomForEntry(state, directory, name, more);
  if (room !== undefined) {
    // xfs_trans_alloc_icreate: what delayed allocation promised for trees comes back first.
    room = flushAll(state) ?? roomForEntry(state, directory, name, more);
  }
  const refused = room ?? state.begin();
  if (refused !== undefined) return refused;
  const ino = makeInode(state, directory, init);
  if (isErrno(ino)) return ino;
  furnish(state, ino, init);
  addEntry(state, directory, name, ino);
  if (type === S_IFDIR) addLinks(state, directory, 1);
  stamp(state, directory, true);
  const failed = init.acls === undefined ? undefined : initAcls(state, ino, init.acls);
  if (failed === undefined) return ino;
  if (type === S_IFDIR) rmdir(state, directory, name);
  else unlink(state, directory, name);
  return failed;
}

/** Makes the whiteout that a rename will leave (xfs_rename_alloc_whiteout). @returns ENOSPC when there is no inode left. */
export function makeWhiteout(state: XfsState, directory: number, init: NewInode): number | Errno {
  return canAllocateInode(state) ? makeInode(state, directory, init) : ENOSPC;
}

export function tmpfile(state: XfsState, directory: number, init: NewInode): number | Errno {
  if (!canReserve(state, directory, inodeReserve(state.geometry))) return ENOSPC;
  const refused = state.begin();
  if (refused !== undefined) return refused;
  const ino = makeInode(state, directory, init);
  if (isErrno(ino)) return ino;
  furnish(state, ino, init);
  state.setWord(ino, NLINK, 0);
  state.setWord(ino, HOLDS, HOLD);
  addUnlinked(state, ino);
  const failed = init.acls === undefined ? undefined : initAcls(state, ino, init.acls);
  if (failed === undefined) return ino;
  state.setWord(ino, HOLDS, 0);
  freeWhole(state, ino);
  return failed;
}

/** EXDEV where something of another project would come into a directory whose project is inherited (xfs_link, xfs_rename). */
export function otherProject(state: XfsState, ino: number, directory: number): Errno | undefined {
  const inherits = (state.word(directory, FLAGS) & PROJECT_INHERIT) !== 0;
  return inherits && state.word(directory, PROJECT) !== state.word(ino, PROJECT) ? EXDEV : undefined;
}

export function link(state: XfsState, source: number, directory: number, name: Name): Errno | undefined {
  if (state.word(source, NLINK) >= LINK_MAX) return EMLINK;
  const refused =
    enter(state, directory) ?? otherProject(state, source, directory) ?? roomForEntry(state, directory, name) ?? state.begin();
  if (refused !== undefined) return refused;
  if (state.word(source, NLINK) === 0) removeUnlinked(state, source);
  addEntry(state, directory, name, source);
  stamp(state, directory, true);
  addLinks(state, source, 1);
  stamp(state, source, false);
  return undefined;
}

/** An inode lost its last name: it is freed now, or, when held, by the last `drop`. */
function orphan(state: XfsState, ino: number): void {
  addUnlinked(state, ino);
  if (state.word(ino, HOLDS) < HOLD) freeWhole(state, ino);
}

/**
 * Frees an inode with all that it has (xfs_inactive, xfs_ifree). Where that cannot be read it stays in its chain; where it is a file's extents, the
 * filesystem is shut down, because the transaction has begun to change things.
 */
export function freeWhole(state: XfsState, ino: number): void {
  if (state.reachBody(ino) !== undefined || isErrno(xattrsOf(state, ino))) {
    if (state.chunk(ino).unread.has(ino % CHUNK_INODES) && (state.word(ino, MODE) & S_IFMT) === S_IFREG) state.shutDown();
    state.left.add(ino);
    return;
  }
  const data = state.data(ino);
  if (data instanceof FileData) freeFile(state, ino, data);
  else if (data instanceof SymlinkData && data.block !== 0) {
    state.addBlocks(ino, -1);
    freeMetadata(state, data, data.block);
  }
  freeXattrs(state, ino);
  removeUnlinked(state, ino);
  state.setData(ino, undefined);
  state.setSize(ino, 0);
  for (const column of [MODE, BLOCKS, NLINK, FLAGS, PROJECT, FORK_OFFSET]) state.setWord(ino, column, 0);
  state.setWord(ino, INNER_FLAGS, nextGeneration(state.word(ino, INNER_FLAGS)));
  state.dirtyInode(ino);
  freeInode(state, ino);
}

/** Takes one name from an inode that is no directory. */
export function dropLink(state: XfsState, ino: number): void {
  addLinks(state, ino, -1);
  stamp(state, ino, false);
  if (state.word(ino, NLINK) === 0) orphan(state, ino);
}

/** Takes the only name from a directory. */
export function dropDirectory(state: XfsState, ino: number): void {
  state.setWord(ino, NLINK, 0);
  stamp(state, ino, false);
  orphan(state, ino);
}

export function unlink(state: XfsState, directory: number, name: Name): Errno | undefined {
  const refused = enter(state, directory) ?? state.begin();
  if (refused !== undefined) return refused;
  const row = state.dentries.find(directory, name);
  const ino = state.dentries.child(row);
  removeEntry(state, directory, row);
  stamp(state, directory, true);
  dropLink(state, ino);
  return undefined;
}

export function rmdir(state: XfsState, directory: number, name: Name): Errno | undefined {
  const refused = state.begin() ?? enter(state, directory);
  if (refused !== undefined) return refused;
  const ino = lookupEntry(state, directory, name);
  if (!isEmpty(state, ino)) return ENOTEMPTY;
  removeEntry(state, directory, state.dentries.find(directory, name));
  addLinks(state, directory, -1);
  // xfs_dir_remove_child: the links of both, then the entry.
  stamp(state, directory, false);
  stamp(state, ino, false);
  stamp(state, directory, true);
  dropDirectory(state, ino);
  return undefined;
}
