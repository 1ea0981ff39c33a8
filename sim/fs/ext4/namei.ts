/**
 * Making and removing names (fs/ext4/namei.c, ialloc.c: ext4_create, ext4_mkdir, ext4_symlink, ext4_link, ext4_unlink, ext4_rmdir, ext4_tmpfile).
 *
 * Interface: an inode without names that is held goes on the orphan list and is freed by the last `drop`.
 */
import { EMLINK, ENAMETOOLONG, ENOENT, ENOSPC, ENOTEMPTY, EPERM, type Errno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import { utf8Length } from "../../core/names.ts";
import { type NewInode, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../../vfs/filesystem.ts";
import { blocksForAcls, initAcls } from "./acl.ts";
import { allocateInode, allocateMetadata, canReserve, freeInode, freeMetadata, goalOf } from "./allocate.ts";
import {
  addEntry,
  beginDirectory,
  endDirectory,
  findEntry,
  isEmpty,
  lookupEntry,
  readDirectory,
  removeEntry,
  roomForEntry,
} from "./directories.ts";
import { DirectoryData } from "./directory-data.ts";
import { freeFile } from "./file.ts";
import { FileData } from "./file-data.ts";
import {
  ATIME,
  BLOCKS,
  CTIME,
  EXTENT_FLAG,
  EXTRA,
  endGeneration,
  FLAGS,
  GID,
  HOLD,
  HOLDS,
  MODE,
  MTIME,
  NLINK,
  NOATIME_FLAG,
  putSize,
  UID,
  WORDS,
} from "./inode-words.ts";
import { SymlinkData } from "./inodes.ts";
import { BLOCK_SIZE } from "./layout.ts";
import { dropLone, lonePageIn } from "./lone-file.ts";
import { stamp, stampIn } from "./stamp.ts";
import type { Ext4State } from "./state.ts";
import { putTime } from "./times.ts";
import { freeXattrs } from "./xattrs.ts";

/** EXT4_LINK_MAX. */
const LINK_MAX = 65_000;
/** A target shorter than this lies in the inode (EXT4_N_BLOCKS × 4). */
const FAST_SYMLINK_BYTES = 60;

/** Flags that what is made in a directory has of it: secrm, unrm, compr, sync, nodump, noatime, nocompr, journal-data, notail, dirsync (EXT4_FL_INHERITED). */
const INHERITED = 0x01 | 0x02 | 0x04 | 0x08 | 0x40 | NOATIME_FLAG | 0x400 | 0x4000 | 0x8000 | 0x10000;
/** Of them, what has no sense but for directories; and what has sense for other than files and directories (EXT4_REG_FLMASK, EXT4_OTHER_FLMASK). */
const DIRSYNC = 0x10000;
const OF_OTHERS = 0x40 | NOATIME_FLAG;

/** ext4_mask_flags. */
function inheritedFlags(flags: number, type: number): number {
  if (type === S_IFDIR) return flags & INHERITED;
  return flags & INHERITED & (type === S_IFREG ? ~DIRSYNC : OF_OTHERS);
}

/** Takes an inode and fills it. @returns ENOSPC when there is none, EIO where it cannot be read what lies beside it. */
function makeInode(state: Ext4State, directory: number, init: NewInode): number | Errno {
  const type = init.mode & S_IFMT;
  const ino = allocateInode(state, directory, type === S_IFDIR);
  if (ino === 0) return ENOSPC;
  const unread = state.reach(ino);
  if (unread !== undefined) {
    freeInode(state, ino, type === S_IFDIR);
    return unread;
  }
  const chunk = state.chunk(ino);
  const at = (ino - 1) & 63;
  const base = chunk.start + at * WORDS;
  const { words } = chunk;
  words[base + MODE] = init.mode;
  words[base + UID] = init.uid;
  words[base + GID] = init.gid;
  words[base + NLINK] = type === S_IFDIR ? 2 : 1;
  words[base + FLAGS] = EXTENT_FLAG | inheritedFlags(state.word(directory, FLAGS), type);
  words[base + BLOCKS] = 0;
  words[base + EXTRA] = type === S_IFDIR ? directory : init.rdev;
  words[base + HOLDS] = 0;
  const now = state.environment.clock.time();
  putTime(words, base + ATIME, now);
  putTime(words, base + MTIME, now);
  putTime(words, base + CTIME, now);
  putSize(words, base, 0);
  chunk.setData(at, undefined);
  chunk.dirty(at, state.journal, true);
  return ino;
}

/** What a new inode needs beyond its table entry. */
function furnish(state: Ext4State, ino: number, init: NewInode): void {
  const type = init.mode & S_IFMT;
  if (init.acls !== undefined) initAcls(state, ino, init.acls);
  if (type === S_IFDIR) {
    state.setData(ino, new DirectoryData());
    beginDirectory(state, ino);
  } else if (type === S_IFLNK) {
    const length = utf8Length(init.target);
    let block = 0;
    if (length >= FAST_SYMLINK_BYTES) {
      block = allocateMetadata(state, goalOf(state, ino, false));
      state.addBlocks(ino, 1);
    } else state.setWord(ino, FLAGS, state.word(ino, FLAGS) & ~EXTENT_FLAG);
    const data = new SymlinkData(init.target, block);
    if (block !== 0) state.journal.dirty(data);
    state.setData(ino, data);
    state.setSize(ino, length);
  }
}

/** The inode's count of names, adjusted; a directory beyond 65,000 shows 1 (dir_nlink). */
export function addLinks(state: Ext4State, ino: number, by: number): void {
  const chunk = state.chunk(ino);
  const at = chunk.start + ((ino - 1) & 63) * WORDS;
  const { words } = chunk;
  const isDirectory = ((words[at + MODE] as number) & S_IFMT) === S_IFDIR;
  const links = words[at + NLINK] as number;
  if (isDirectory && links === 1) return;
  const now = links + by;
  words[at + NLINK] = isDirectory && now >= LINK_MAX ? 1 : now;
}

export function create(state: Ext4State, directory: number, name: Name, init: NewInode): number | Errno {
  const type = init.mode & S_IFMT;
  if (type === S_IFLNK && utf8Length(init.target) >= BLOCK_SIZE) return ENAMETOOLONG;
  if (state.word(directory, NLINK) === 0) return ENOENT;
  const unread = readDirectory(state, directory);
  if (unread !== undefined) return unread;
  const ofLists = blocksForAcls(init.acls);
  if (typeof ofLists !== "number") return ofLists;
  const more = type === S_IFDIR || (type === S_IFLNK && utf8Length(init.target) >= FAST_SYMLINK_BYTES) ? 1 : 0;
  const refused = roomForEntry(state, directory, name, more + ofLists) ?? state.begin();
  if (refused !== undefined) return refused;
  const ino = makeInode(state, directory, init);
  if (typeof ino !== "number") return ino;
  furnish(state, ino, init);
  addEntry(state, directory, name, ino);
  if (type === S_IFDIR) addLinks(state, directory, 1);
  stamp(state, directory, true);
  return ino;
}

/** The inode that a rename leaves behind, made before anything is moved (ext4_whiteout_for_rename). @returns ENOSPC where there is none to be had, EIO. */
export function makeWhiteout(state: Ext4State, directory: number, init: NewInode): number | Errno {
  const ino = makeInode(state, directory, init);
  if (typeof ino === "number" && init.acls !== undefined) initAcls(state, ino, init.acls);
  return ino;
}

/** @returns EPERM in a directory that has no name any more (ext4_new_inode). */
export function tmpfile(state: Ext4State, directory: number, init: NewInode): number | Errno {
  if (state.word(directory, NLINK) === 0) return EPERM;
  const ofLists = blocksForAcls(init.acls);
  if (typeof ofLists !== "number") return ofLists;
  if (ofLists > 0 && !canReserve(state, ofLists)) return ENOSPC;
  const refused = state.begin();
  if (refused !== undefined) return refused;
  const ino = makeInode(state, directory, init);
  if (typeof ino !== "number") return ino;
  furnish(state, ino, init);
  state.setWord(ino, NLINK, 0);
  state.setWord(ino, HOLDS, HOLD);
  state.orphans.add(ino);
  state.dirtySuperblock();
  return ino;
}

export function link(state: Ext4State, source: number, directory: number, name: Name): Errno | undefined {
  if (state.word(source, NLINK) >= LINK_MAX) return EMLINK;
  const refused = readDirectory(state, directory) ?? roomForEntry(state, directory, name, 0) ?? state.begin();
  if (refused !== undefined) return refused;
  if (state.orphans.drop(source) !== undefined) state.dirtySuperblock();
  addLinks(state, source, 1);
  stamp(state, source, false);
  addEntry(state, directory, name, source);
  stamp(state, directory, true);
  return undefined;
}

/** An inode lost its last name: it is freed now, or, when held, by the last `drop`. */
function orphan(state: Ext4State, ino: number, holds: number): void {
  state.dirtySuperblock();
  if (holds < HOLD) freeWhole(state, ino);
  else state.orphans.add(ino);
}

/** Frees an inode with all that it has (ext4_evict_inode). */
export function freeWhole(state: Ext4State, ino: number): void {
  const chunk = state.chunk(ino);
  const at = (ino - 1) & 63;
  const base = chunk.start + at * WORDS;
  const { words } = chunk;
  const data = chunk.dataAt(at);
  const isDirectory = ((words[base + MODE] as number) & S_IFMT) === S_IFDIR;
  const page = data === undefined ? lonePageIn(words, base) : 0;
  if (state.allocatedOnClose.size > 0) state.allocatedOnClose.delete(ino);
  if (state.orderedPages.size > 0) state.orderedPages.delete(ino);
  if (page !== 0) dropLone(state, page);
  else if (data instanceof FileData) freeFile(state, ino, data);
  else if (data instanceof DirectoryData) endDirectory(state, ino);
  else if (data instanceof SymlinkData && data.block !== 0) freeMetadata(state, data);
  if (chunk.xattrs !== undefined) freeXattrs(state, ino);
  chunk.setData(at, undefined);
  putSize(words, base, 0);
  endGeneration(words, base);
  words[base + MODE] = 0;
  words[base + EXTRA] = 0;
  words[base + BLOCKS] = 0;
  words[base + NLINK] = 0;
  if (state.orphans.drop(ino) !== undefined) state.dirtySuperblock();
  chunk.dirty(at, state.journal);
  freeInode(state, ino, isDirectory);
}

/** Takes one name from an inode that is no directory. */
export function dropLink(state: Ext4State, ino: number): void {
  const chunk = state.chunk(ino);
  const index = (ino - 1) & 63;
  const at = chunk.start + index * WORDS;
  const { words } = chunk;
  const links = (words[at + NLINK] as number) - 1;
  words[at + NLINK] = links;
  stampIn(state, chunk, index, false);
  if (links === 0) orphan(state, ino, words[at + HOLDS] as number);
}

/** Takes the only name from a directory. */
export function dropDirectory(state: Ext4State, ino: number): void {
  state.setWord(ino, NLINK, 0);
  state.setSize(ino, 0);
  stamp(state, ino, false);
  orphan(state, ino, state.word(ino, HOLDS));
}

export function unlink(state: Ext4State, directory: number, name: Name): Errno | undefined {
  const row = findEntry(state, directory, name);
  if (row === 0) return ENOENT;
  const refused = state.begin();
  if (refused !== undefined) return refused;
  const ino = state.dentries.child(row);
  removeEntry(state, directory, row);
  stamp(state, directory, true);
  dropLink(state, ino);
  return undefined;
}

export function rmdir(state: Ext4State, directory: number, name: Name): Errno | undefined {
  const ino = lookupEntry(state, directory, name);
  if (typeof ino !== "number") return ino;
  if (ino === 0) return ENOENT;
  if (!isEmpty(state, ino)) return ENOTEMPTY;
  const refused = state.begin();
  if (refused !== undefined) return refused;
  removeEntry(state, directory, state.dentries.find(directory, name));
  addLinks(state, directory, -1);
  stamp(state, directory, true);
  dropDirectory(state, ino);
  return undefined;
}
