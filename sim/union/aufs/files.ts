/**
 * Open files: each stands on a real file of a branch (fs/aufs/file.c, f_op.c; spec/union.md section 13 and part D, C5, C6 and C11).
 *
 * Interface: nothing is copied up at open. A file is copied up when it is first written, preallocated or synchronised for writing; one that was
 * opened before reads the copy afterwards. Pages belong to the branch's inode, so that mounts over one lower file share its pages.
 */
import { assert } from "../../core/assert.ts";
import { EBADF, EINVAL, ENXIO, type Errno, EXDEV, isErrno } from "../../core/errno.ts";
import {
  type FileHandle,
  type FileSystem,
  fileHandle,
  O_ACCMODE,
  O_CREAT,
  O_DIRECT,
  O_EXCL,
  O_NOCTTY,
  O_RDONLY,
  O_TRUNC,
  S_IFMT,
  S_IFREG,
} from "../../vfs/filesystem.ts";
import { NO_NODE, type Node } from "../nodes.ts";
import { NO_FILE } from "../open-files.ts";
import { copyUp } from "./copy-up.ts";
import { isOnUpper } from "./lookup.ts";
import type { Aufs } from "./state.ts";

/** Flags of open(2) that the real file does not get. */
const OPENING_FLAGS = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC;

/** @returns EINVAL for O_DIRECT, unless the mount has the option dio. */
export function open(aufs: Aufs, node: Node, flags: number): FileHandle | Errno {
  const { nodes } = aufs;
  if ((flags & O_DIRECT) !== 0 && !aufs.options.directIo) return EINVAL;
  if ((aufs.fsOf(node).mode(aufs.inodeOf(node)) & S_IFMT) !== S_IFREG) {
    return add(aufs, node, { real: NO_FILE, flags, onUpper: nodes.hasUpper(node) });
  }
  const place = { directory: nodes.parentOf(node), name: nodes.nameOf(node) };
  const early = copiesOnOpen(aufs, node, flags) ? copyUp(aufs, node, { place }) : undefined;
  if (early !== undefined) return early;
  const onUpper = isOnUpper(aufs, node, place.directory, place.name) || (nodes.hasUpper(node) && nodes.lowerOf(node) === 0);
  const realFlags = flags & ~OPENING_FLAGS;
  const lower = nodes.lowerOf(node);
  // A branch that is read-only is never opened for writing.
  const given = onUpper ? realFlags : realFlags & ~O_ACCMODE;
  const real = onUpper
    ? aufs.fsOf(node).open(nodes.upperOf(node), given)
    : aufs.view.fsOf(lower).open(aufs.view.inodeOf(lower), given);
  if (isErrno(real)) return real;
  return add(aufs, node, { real, flags: realFlags, onUpper });
}

/** The branch attributes coo_reg and coo_all. */
function copiesOnOpen(aufs: Aufs, node: Node, flags: number): boolean {
  if (aufs.upper === undefined || aufs.nodes.hasUpper(node)) return false;
  const how = aufs.lower?.branches[aufs.view.layerOf(aufs.nodes.lowerOf(node))]?.permission.copyOnOpen;
  return how === "coo_all" || (how === "coo_reg" && (flags & O_ACCMODE) !== O_RDONLY);
}

function add(
  aufs: Aufs,
  node: Node,
  { real, flags, onUpper }: { readonly real: number; readonly flags: number; readonly onUpper: boolean },
): FileHandle {
  const { nodes, upper } = aufs;
  const fs = onUpper && upper !== undefined ? upper.fs : aufs.view.fsOf(nodes.lowerOf(node));
  aufs.hold(node);
  const file = aufs.files.add({ node, real, flags, fs, isUpper: onUpper });
  aufs.openedAs.note(file, { node, directory: nodes.parentOf(node), name: nodes.nameOf(node) });
  return file;
}

export function close(aufs: Aufs, file: FileHandle): void {
  const { files } = aufs;
  const node = files.nodes[file] as Node;
  const real = files.real[file] as number;
  const flags = files.flags[file] as number;
  if (real !== NO_FILE) realFs(aufs, file).close(fileHandle(real), files.isUpper[file] === true ? flags : flags & ~O_ACCMODE);
  files.remove(file);
  aufs.openedAs.drop(file);
  aufs.drop(node);
}

/** The filesystem of a file's real file, as `realFile` left it. */
export function realFs(aufs: Aufs, file: FileHandle): FileSystem {
  const fs = aufs.files.filesystems[file];
  assert(fs !== undefined, `file ${file} is not open`);
  return fs;
}

/** The real file to read from: the copy on the writable branch since there is one, for which the file's name comes up too (C5). */
export function readable(aufs: Aufs, file: FileHandle): FileHandle | Errno {
  const { files, nodes } = aufs;
  const real = files.real[file] as number;
  if (real === NO_FILE) return EBADF;
  const node = files.nodes[file] as Node;
  if (files.isUpper[file] === true || !nodes.hasUpper(node)) return fileHandle(real);
  return moveUp(aufs, file, node);
}

/** The real file to write to: copied up for it. */
export function writable(aufs: Aufs, file: FileHandle): FileHandle | Errno {
  const { files } = aufs;
  const real = files.real[file] as number;
  if (real === NO_FILE) return EBADF;
  return files.isUpper[file] === true ? fileHandle(real) : moveUp(aufs, file, files.nodes[file] as Node);
}

/** Brings a file's name up, and opens it there in the place of the lower file. */
function moveUp(aufs: Aufs, file: FileHandle, node: Node): FileHandle | Errno {
  const { files, nodes, upper } = aufs;
  const place = aufs.openedAs.of(file);
  const failed = copyUp(aufs, node, place === undefined || place.directory === NO_NODE ? { nameless: true } : { place });
  if (failed !== undefined || upper === undefined) return failed ?? EBADF;
  const flags = files.flags[file] as number;
  const reopened = upper.fs.open(nodes.upperOf(node), flags);
  if (isErrno(reopened)) return reopened;
  realFs(aufs, file).close(fileHandle(files.real[file] as number), flags & ~O_ACCMODE);
  files.real[file] = reopened;
  files.filesystems[file] = upper.fs;
  files.isUpper[file] = true;
  return reopened;
}

/** Of a file that is open for writing: copies up (C6). Of any other there is nothing to do. */
export function fsync(aufs: Aufs, file: FileHandle, dataOnly: boolean): Errno | undefined {
  const { files, counters } = aufs;
  if (files.real[file] === NO_FILE || ((files.flags[file] as number) & O_ACCMODE) === O_RDONLY) return undefined;
  const real = writable(aufs, file);
  if (isErrno(real)) return real;
  counters.fsyncs += 1;
  return realFs(aufs, file).fsync(real, dataOnly);
}

/** Holes do not show: all is data up to the end (C11). */
export function seek(aufs: Aufs, file: FileHandle, offset: number, hole: boolean): number | Errno {
  const node = aufs.files.nodes[file] as Node;
  const size = aufs.fsOf(node).size(aufs.inodeOf(node));
  if (offset >= size) return ENXIO;
  return hole ? size : offset;
}

/** Two files of one mount on the same filesystem. */
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
