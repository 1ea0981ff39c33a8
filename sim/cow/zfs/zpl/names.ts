/**
 * Making and removing names (module/os/linux/zfs/zfs_vnops_os.c: zfs_create, zfs_mkdir, zfs_symlink, zfs_link, zfs_remove, zfs_rmdir, zfs_rename; zfs_dir.c).
 *
 * Interface: an object without names that is held waits on the list of unlinked ones and is freed by the last `drop`.
 */
import { EINVAL, ENOENT, ENOTEMPTY, type Errno, isErrno } from "../../../core/errno.ts";
import { type Name, utf8Length } from "../../../core/names.ts";
import { type NewInode, S_IFDIR, S_IFLNK, S_IFMT } from "../../../vfs/filesystem.ts";
import { layoutOf } from "../attributes.ts";
import { SECTOR } from "../compress.ts";
import {
  ATIME,
  BLOCK_SIZE,
  CRTIME,
  CTIME,
  EXTRA_SLOTS,
  GENERATION,
  GID,
  LEVELS,
  MODE,
  MTIME,
  NLINK,
  PARENT,
  RDEV,
  SIZE,
  UID,
} from "../records.ts";
import { DirectoryData } from "./directory-data.ts";
import type { ZplState } from "./state.ts";

/** What one call may need of space beside its data. */
const CALL_BYTES = 1024;

/** A directory's names, read when they are first asked for. */
export function directoryOf(state: ZplState, directory: number): DirectoryData | Errno {
  const known = state.directories.get(directory);
  if (known !== undefined) return known;
  const { set, dentries } = state;
  const made = new DirectoryData({ object: directory, set, dentries, names: state.environment.names });
  const failed = made.load();
  if (failed !== undefined) return failed;
  state.directories.set(directory, made);
  return made;
}

export function lookup(state: ZplState, directory: number, name: Name): number | Errno {
  if (!state.directories.has(directory)) {
    const loaded = directoryOf(state, directory);
    if (isErrno(loaded)) return loaded;
  }
  const found = state.dentries.lookup(directory, name);
  return found === 0 ? ENOENT : (state.set.load(found) ?? found);
}

/** A number for a new object, its dnode in memory. */
function takeNumber({ set, processor, lost, dataset }: ZplState): number | Errno {
  const take = (): number => set.numbers.take(processor, dataset.dnodeSlots);
  let object = take();
  while (lost.has(object)) {
    set.numbers.give(object);
    object = take();
  }
  const failed = set.load(object);
  if (failed === undefined) return object;
  set.numbers.give(object);
  return failed;
}

/** Fills a new object. */
function makeObject(state: ZplState, object: number, directory: number, init: NewInode): void {
  const { set, now } = state;
  const type = init.mode & S_IFMT;
  set.setWord(object, MODE, init.mode);
  set.setWord(object, UID, init.uid);
  set.setWord(object, GID, init.gid);
  set.setWord(object, NLINK, type === S_IFDIR ? 2 : 1);
  set.setWord(object, SIZE, type === S_IFLNK ? utf8Length(init.target) : 0);
  set.setWord(object, PARENT, directory);
  set.setWord(object, RDEV, init.rdev);
  set.setWord(object, LEVELS, 1);
  set.setWord(object, GENERATION, set.store.group);
  set.setWord(object, EXTRA_SLOTS, state.dataset.dnodeSlots - 1);
  if (type !== S_IFLNK) set.useLayout(layoutOf(init.mode));
  if (type === S_IFDIR) set.setWord(object, BLOCK_SIZE, SECTOR);
  if (type === S_IFLNK) set.setBody(object, { target: init.target });
  for (const which of [ATIME, MTIME, CTIME, CRTIME]) set.setTime(object, which, now);
  set.objects += 1;
  if (type !== S_IFDIR) return;
  const { dentries } = state;
  const data = new DirectoryData({ object, set, dentries, names: state.environment.names });
  state.directories.set(object, data);
  set.addPending(object, data);
}

function addEntry(state: ZplState, data: DirectoryData, place: { directory: number; name: Name }, object: number): void {
  state.dentries.insert(place.directory, place.name, object);
  data.add(place.name);
}

export function create(state: ZplState, directory: number, name: Name, init: NewInode): number | Errno {
  const data = directoryOf(state, directory);
  if (isErrno(data)) return data;
  if (state.set.word(directory, NLINK) === 0) return ENOENT;
  const refused = state.begin(CALL_BYTES);
  if (refused !== undefined) return refused;
  const object = takeNumber(state);
  if (isErrno(object)) return object;
  createAs(state, { directory, name, data }, object, init);
  return object;
}

/** Makes an object of a given number under a name: also what the intent log replays. */
export function createAs(
  state: ZplState,
  place: { directory: number; name: Name; data: DirectoryData },
  object: number,
  init: NewInode,
): void {
  const { directory, name, data } = place;
  makeObject(state, object, directory, init);
  addEntry(state, data, place, object);
  const { set } = state;
  if ((init.mode & S_IFMT) === S_IFDIR) set.setWord(directory, NLINK, set.word(directory, NLINK) + 1);
  state.stamp(directory, true);
  state.dataset.intend({ op: "create", directory, name: state.text(name), object, init });
}

/** Makes the hidden folder of an object's extended attributes (zfs_make_xattrdir). */
export function makeFolder(state: ZplState, owner: number): number | Errno {
  const refused = state.begin(CALL_BYTES);
  if (refused !== undefined) return refused;
  const object = takeNumber(state);
  if (isErrno(object)) return object;
  return makeFolderAs(state, owner, object) ?? object;
}

/** The same with a given number: also what the intent log replays. */
export function makeFolderAs(state: ZplState, owner: number, object: number): Errno | undefined {
  const { set } = state;
  const body = set.body(owner) ?? {};
  if (isErrno(body)) return body;
  const [uid, gid] = [set.word(owner, UID), set.word(owner, GID)];
  makeObject(state, object, owner, { mode: S_IFDIR | 0o1777, uid, gid, rdev: 0, target: "" });
  set.setBody(owner, { ...body, folder: object });
  state.dataset.intend({ op: "folder", owner, object });
  return undefined;
}

export function tmpfile(state: ZplState, directory: number, init: NewInode): number | Errno {
  const refused = state.begin(CALL_BYTES);
  if (refused !== undefined) return refused;
  const object = takeNumber(state);
  if (isErrno(object)) return object;
  makeObject(state, object, directory, init);
  state.set.setWord(object, NLINK, 0);
  state.set.unlinked.add(object);
  state.holds.set(object, 1);
  return object;
}

export function link(state: ZplState, source: number, directory: number, name: Name): Errno | undefined {
  const data = directoryOf(state, directory);
  if (isErrno(data)) return data;
  if (state.set.word(directory, NLINK) === 0) return ENOENT;
  const refused = state.begin(CALL_BYTES);
  if (refused !== undefined) return refused;
  const { set } = state;
  const isTemporary = set.unlinked.delete(source);
  set.setWord(source, NLINK, set.word(source, NLINK) + 1);
  state.stamp(source, false);
  addEntry(state, data, { directory, name }, source);
  state.stamp(directory, true);
  // What was done to a file without a name is in no log: its first name waits for the group instead (zfs_link).
  if (isTemporary) return state.dataset.waitSynced();
  state.dataset.intend({ op: "link", directory, name: state.text(name), object: source });
  return undefined;
}

/** An object lost its last name: it is freed now, or, when held, by the last `drop`. */
function orphan(state: ZplState, object: number): void {
  // For a moment at least: on Linux others hold the inode while it is removed (zfs_unlinked_add).
  state.set.touchQueue();
  if ((state.holds.get(object) ?? 0) === 0) freeWhole(state, object);
  else {
    state.set.unlinked.add(object);
    state.set.touch();
  }
}

/** Frees an object with all that it has. */
export function freeWhole(state: ZplState, object: number): void {
  const body = state.set.body(object);
  if (body !== undefined && !isErrno(body) && body.folder !== undefined) freeFolder(state, body.folder);
  state.files.get(object)?.discard();
  state.files.delete(object);
  state.directories.delete(object);
  state.set.unlinked.delete(object);
  state.set.free(object);
}

/** Frees the hidden folder of an object's extended attributes, and its files (zfs_purgedir). */
function freeFolder(state: ZplState, folder: number): void {
  const { dentries, set } = state;
  if (set.load(folder) !== undefined || isErrno(directoryOf(state, folder))) return;
  for (let row = dentries.first(folder); row !== 0; row = dentries.first(folder)) {
    const file = dentries.child(row);
    dentries.remove(row);
    if (set.load(file) === undefined) freeWhole(state, file);
  }
  freeWhole(state, folder);
}

/** Takes an entry out of a directory, and the name from its object. @returns the object. */
function removeEntry(state: ZplState, data: DirectoryData, place: { directory: number; name: Name }): number {
  const { set, dentries } = state;
  const row = dentries.find(place.directory, place.name);
  const object = dentries.child(row);
  data.remove(place.name);
  dentries.remove(row);
  const isDirectory = state.isDirectory(object);
  const left = isDirectory ? 0 : set.word(object, NLINK) - 1;
  set.setWord(object, NLINK, left);
  if (isDirectory) set.setWord(place.directory, NLINK, set.word(place.directory, NLINK) - 1);
  state.stamp(object, false);
  if (left === 0) orphan(state, object);
  return object;
}

export function unlink(state: ZplState, directory: number, name: Name): Errno | undefined {
  const data = directoryOf(state, directory);
  if (isErrno(data)) return data;
  if (state.dentries.find(directory, name) === 0) return ENOENT;
  const refused = state.begin(0);
  if (refused !== undefined) return refused;
  const object = removeEntry(state, data, { directory, name });
  state.stamp(directory, true);
  state.dataset.intend({ op: "remove", directory, name: state.text(name), object });
  return undefined;
}

export function rmdir(state: ZplState, directory: number, name: Name): Errno | undefined {
  const victim = lookup(state, directory, name);
  if (isErrno(victim)) return victim;
  const inside = directoryOf(state, victim);
  if (isErrno(inside)) return inside;
  return state.dentries.count(victim) > 0 ? ENOTEMPTY : unlink(state, directory, name);
}

interface Side {
  readonly directory: number;
  readonly name: Name;
}

export function rename(state: ZplState, source: Side, target: Side, flags: number): Errno | undefined {
  // OpenZFS before 2.2 knows none of renameat2's flags (zpl_rename2).
  if (flags !== 0) return EINVAL;
  const from = directoryOf(state, source.directory);
  const to = directoryOf(state, target.directory);
  if (isErrno(from)) return from;
  if (isErrno(to)) return to;
  const { dentries, set } = state;
  const moved = dentries.lookup(source.directory, source.name);
  const replaced = dentries.lookup(target.directory, target.name);
  if (replaced !== 0 && state.isDirectory(replaced)) {
    const inside = directoryOf(state, replaced);
    if (isErrno(inside)) return inside;
    if (dentries.count(replaced) > 0) return ENOTEMPTY;
  }
  const refused = state.begin(CALL_BYTES);
  if (refused !== undefined) return refused;
  if (replaced !== 0) removeEntry(state, to, target);
  from.remove(source.name);
  dentries.move(dentries.find(source.directory, source.name), target.directory, target.name);
  to.add(target.name);
  if (state.isDirectory(moved) && source.directory !== target.directory) {
    set.setWord(source.directory, NLINK, set.word(source.directory, NLINK) - 1);
    set.setWord(target.directory, NLINK, set.word(target.directory, NLINK) + 1);
  }
  set.setWord(moved, PARENT, target.directory);
  state.stamp(source.directory, true);
  state.stamp(target.directory, true);
  state.stamp(moved, false);
  const { directory, name } = source;
  const { directory: toDirectory, name: toName } = target;
  const texts = { name: state.text(name), toName: state.text(toName) };
  state.dataset.intend({ op: "rename", object: moved, directory, toDirectory, ...texts });
  return undefined;
}
