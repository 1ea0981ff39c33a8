/**
 * Open files: each stands on a real file of a branch (fs/aufs/file.c, f_op.c; spec/union.md section 13 and part D, C5, C6 and C11).
 *
 * Interface: nothing is copied up at open. A file is copied up when it is first written, preallocated or synchronised for writing; one that was
 * opened before reads the copy afterwards. Pages belong to the branch's inode, so that mounts over one lower file share its pages.
 */
import { EBADF, EINVAL, ENXIO, EROFS, type Errno, EXDEV, isErrno } from "../../core/errno.ts";
import {
  type FileHandle,
  type FileSystem,
  fileHandle,
  type Inode,
  O_ACCMODE,
  O_CREAT,
  O_DIRECT,
  O_EXCL,
  O_NOCTTY,
  O_PATH,
  O_RDONLY,
  O_TRUNC,
  S_IFDIR,
  S_IFREG,
} from "../../vfs/filesystem.ts";
import { IS_DIRECTORY, IS_UNLINKED, NO_NODE, type Node, ROOT_NODE } from "../nodes.ts";
import { NO_FILE } from "../open-files.ts";
import { copyUp, copyUpTo } from "./copy-up.ts";
import { branchOfName } from "./lookup.ts";
import { nearestWritable } from "./policy.ts";
import type { Aufs, Place } from "./state.ts";

/** Flags of open(2) that the real file does not get. */
const OPENING_FLAGS = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC;

/** @returns EINVAL for O_DIRECT, unless the mount has the option dio. */
export function open(aufs: Aufs, node: Node, flags: number): FileHandle | Errno {
  const { nodes } = aufs;
  if ((flags & O_DIRECT) !== 0 && !aufs.options.directIo) return EINVAL;
  const place = { directory: nodes.parentOf(node), name: nodes.nameOf(node) };
  const early = copyOnOpen(aufs, node, place);
  if (early !== undefined) return early;
  if (nodes.typeOf(node) !== S_IFREG) {
    return add(aufs, node, { real: NO_FILE, flags, fs: aufs.fsOf(node), isUpper: aufs.isOnWritable(node) });
  }
  const top = branchOfName(aufs, node, place.directory, place.name);
  // A name of a pseudo-linked node that was not brought up yet is where it was; one without any lower part is the node's own.
  const isOwn = top === aufs.branchOf(node) || nodes.lowerOf(node) === 0;
  const isUpper = isOwn && aufs.isOnWritable(node);
  const [fs, inode] = isOwn ? [aufs.fsOf(node), aufs.inodeOf(node)] : originOf(aufs, node);
  const realFlags = flags & ~OPENING_FLAGS;
  // A branch that is read-only is never opened for writing.
  const real = fs.open(inode, isUpper ? realFlags : realFlags & ~O_ACCMODE);
  return isErrno(real) ? real : add(aufs, node, { real, flags: realFlags, fs, isUpper });
}

/** Keeps the name of what is no open file of aufs: of O_PATH, a device or a FIFO. */
export function openHeld(aufs: Aufs, node: Node): FileHandle {
  return add(aufs, node, { real: NO_FILE, flags: O_PATH, fs: aufs.fsOf(node), isUpper: aufs.isOnWritable(node) });
}

/** What a node was copied up from. */
function originOf({ view, nodes }: Aufs, node: Node): [FileSystem, Inode] {
  const lower = nodes.lowerOf(node);
  return [view.fsOf(lower), view.inodeOf(lower)];
}

/**
 * The branch attributes coo_reg and coo_all: what is opened comes up to the nearest writable branch above its own, if there is one. With moo, a
 * file leaves the branch that it was on; that it cannot be unlinked there is not told (au_cmoo, aufs 4.x [S]).
 */
function copyOnOpen(aufs: Aufs, node: Node, place: Place): Errno | undefined {
  const { nodes, uppers } = aufs;
  if (node === ROOT_NODE) return undefined;
  const index = nodes.hasUpper(node) ? aufs.branchOf(node) : uppers.length + nodes.layerOf(node);
  const { copyOnOpen: how, moveOnOpen = false } = aufs.branches[index]?.permission ?? {};
  const type = nodes.typeOf(node);
  const comes = type === S_IFREG ? how !== "" || moveOnOpen : type === S_IFDIR && how === "coo_all";
  const branch = comes ? nearestWritable(aufs, index - 1) : EROFS;
  if (isErrno(branch) || nodes.has(node, IS_UNLINKED)) return undefined;
  const failed = copyUpTo(aufs, node, branch, { place });
  if (failed !== undefined || !moveOnOpen || type !== S_IFREG) return failed;
  aufs.upperAt(index).fs.unlink(aufs.mustBeOn(place.directory, index), place.name);
  return undefined;
}

/** A real file that was opened. */
interface RealFile {
  readonly real: number;
  readonly flags: number;
  readonly fs: FileSystem;
  readonly isUpper: boolean;
}

function add(aufs: Aufs, node: Node, { real, flags, fs, isUpper }: RealFile): FileHandle {
  const { nodes } = aufs;
  nodes.hold(node);
  const file = aufs.files.add({ node, real, flags, fs, isUpper });
  aufs.openedAs.note(file, { node, directory: nodes.parentOf(node), name: nodes.nameOf(node) });
  return file;
}

export function close(aufs: Aufs, file: FileHandle): void {
  const { node, real, flags, fs, isUpper } = aufs.files.at(file);
  if (real !== NO_FILE) fs.close(fileHandle(real), isUpper ? flags : flags & ~O_ACCMODE);
  aufs.files.remove(file);
  aufs.openedAs.drop(file);
  aufs.nodes.drop(node);
}

/** The filesystem of a file's real file, as `realFile` left it. */
export function realFs(aufs: Aufs, file: FileHandle): FileSystem {
  return aufs.files.at(file).fs;
}

/** The real file to read from: the copy on a writable branch since there is one, for which the file's name comes up too (C5). */
export function readable(aufs: Aufs, file: FileHandle): FileHandle | Errno {
  const { node, real, isUpper } = aufs.files.at(file);
  if (real === NO_FILE) return EBADF;
  if (isUpper || !aufs.isOnWritable(node)) return fileHandle(real);
  return moveUp(aufs, file, node);
}

/** The real file to write to: copied up for it. */
export function writable(aufs: Aufs, file: FileHandle): FileHandle | Errno {
  const { node, real, isUpper } = aufs.files.at(file);
  if (real === NO_FILE) return EBADF;
  return isUpper ? fileHandle(real) : moveUp(aufs, file, node);
}

/** Brings a file's name up, and opens it there in the place of the lower file. */
function moveUp(aufs: Aufs, file: FileHandle, node: Node): FileHandle | Errno {
  const opened = aufs.files.at(file);
  const place = aufs.openedAs.of(file);
  const failed = copyUp(aufs, node, place === undefined || place.directory === NO_NODE ? { nameless: true } : { place });
  if (failed !== undefined) return failed;
  const { flags } = opened;
  const fs = aufs.fsOf(node);
  const reopened = fs.open(aufs.inodeOf(node), flags);
  if (isErrno(reopened)) return reopened;
  opened.fs.close(fileHandle(opened.real), flags & ~O_ACCMODE);
  opened.real = reopened;
  opened.fs = fs;
  opened.isUpper = true;
  return reopened;
}

/** Of a file that is open for writing: copies up (C6). Of a directory what is on writable branches is written; of any other there is nothing to do. */
export function fsync(aufs: Aufs, file: FileHandle, dataOnly: boolean): Errno | undefined {
  const { files, counters } = aufs;
  const opened = files.at(file);
  if (aufs.nodes.has(opened.node, IS_DIRECTORY)) return fsyncDirectory(aufs, opened.node, dataOnly);
  if (opened.real === NO_FILE || (opened.flags & O_ACCMODE) === O_RDONLY) return undefined;
  const real = writable(aufs, file);
  if (isErrno(real)) return real;
  counters.fsyncs += 1;
  return realFs(aufs, file).fsync(real, dataOnly);
}

/** Of a directory that is open still, though perhaps removed (fs/aufs/dir.c, au_do_fsync_dir). */
function fsyncDirectory(aufs: Aufs, node: Node, dataOnly: boolean): Errno | undefined {
  for (const [branch, { fs, permission }] of aufs.uppers.entries()) {
    const inode = permission.writable ? aufs.inodeOn(node, branch) : undefined;
    if (inode === undefined) continue;
    const real = fs.open(inode, O_RDONLY);
    if (isErrno(real)) return real;
    aufs.counters.fsyncs += 1;
    const failed = fs.fsync(real, dataOnly);
    fs.close(real, O_RDONLY);
    if (failed !== undefined) return failed;
  }
  return undefined;
}

/** Holes do not show: all is data up to the end (C11). Of a place before the beginning only a hole is found (default_llseek). @returns ENXIO, EINVAL. */
export function seek(aufs: Aufs, file: FileHandle, offset: number, hole: boolean): number | Errno {
  const { node } = aufs.files.at(file);
  const size = aufs.fsOf(node).size(aufs.inodeOf(node));
  if (offset >= size) return ENXIO;
  if (hole) return size;
  return offset < 0 ? EINVAL : offset;
}

/** Whether bytes can be copied from file to file: both on one filesystem, when the target has been made ready (aufs_copy_file_range). @returns EXDEV. */
export function mayCopy(aufs: Aufs, source: FileHandle, target: FileHandle): Errno | undefined {
  const to = writable(aufs, target);
  if (isErrno(to)) return to;
  const from = readable(aufs, source);
  if (isErrno(from)) return from;
  return realFs(aufs, source) === realFs(aufs, target) ? undefined : EXDEV;
}

/** Shares extents for such a copy. */
export function clone(
  aufs: Aufs,
  source: FileHandle,
  target: FileHandle,
  range: { readonly from: number; readonly to: number; readonly length: number },
): Errno | undefined {
  const from = readable(aufs, source);
  if (isErrno(from)) return from;
  const to = writable(aufs, target);
  if (isErrno(to)) return to;
  const fs = realFs(aufs, target);
  return fs === realFs(aufs, source) ? fs.clone(from, range.from, to, range.to, range.length) : EXDEV;
}
