/**
 * Open files: each stands on a real file of the upper or a lower layer (fs/overlayfs/file.c; union.md section 6).
 *
 * Interface: pages belong to the real inode, so that mounts over one lower file share its pages. A file that was opened for reading follows a
 * later copy-up, where the kernel does (profile.readOnlyFollowsCopyUp).
 */
import { EBADF, EINVAL, EPERM, type Errno, EXDEV, isErrno } from "../../core/errno.ts";
import type { CopyRange } from "../../vfs/copy-range.ts";
import {
  accessOf,
  type FileHandle,
  type FileSystem,
  fileHandle,
  O_CREAT,
  O_EXCL,
  O_NOCTTY,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
  S_IFREG,
  WRITES,
} from "../../vfs/filesystem.ts";
import { IS_INDEXED, IS_METACOPY, NO_NODE, type Node } from "../nodes.ts";
import { NO_FILE, type OpenedFile } from "../open-files.ts";
import { copyUp } from "./copy-up.ts";
import type { Overlay } from "./state.ts";

/** Flags of open(2) that the real file does not get (ovl_open). */
const OPENING_FLAGS = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC;
function opened(overlay: Overlay, node: Node, real: number, flags: number): OpenedFile {
  const isUpper = overlay.nodes.hasUpper(node) && !overlay.nodes.has(node, IS_METACOPY);
  return { node, real, flags, fs: overlay.dataFsOf(node), isUpper, isMerged: overlay.isMerged(node) };
}

/**
 * Closes the file through which a copy was filled that is cut at once. The kernel does it as the open with O_TRUNC ends (fput defers it): the copy's
 * filesystem is told of a close behind the cut, and before anything is written.
 */
export function endCopy(overlay: Overlay, node: Node): void {
  overlay.copiedToCut = NO_NODE;
  const { fs } = overlay.writable;
  const file = fs.open(overlay.nodes.upperOf(node), O_WRONLY);
  if (!isErrno(file)) fs.close(file, O_WRONLY);
}

/** Opens; a regular file for writing or with O_TRUNC is copied up, in the latter case without its data. */
export function open(overlay: Overlay, node: Node, flags: number): FileHandle | Errno {
  if (overlay.nodes.typeOf(node) !== S_IFREG) return add(overlay, opened(overlay, node, NO_FILE, flags));
  if ((accessOf(flags) & WRITES) !== 0 || (flags & O_TRUNC) !== 0) {
    const cuts = (flags & O_TRUNC) !== 0;
    const isCut = cuts && !overlay.nodes.hasUpper(node);
    const failed = copyUp(overlay, node, cuts ? "empty" : "data");
    if (failed !== undefined) return failed;
    overlay.copiedToCut = isCut ? node : NO_NODE;
  }
  const lost = overlay.findData(node);
  if (lost !== undefined) return lost;
  const realFlags = flags & ~OPENING_FLAGS;
  const file = opened(overlay, node, NO_FILE, realFlags);
  const real = file.fs.open(overlay.dataInodeOf(node), realFlags);
  if (isErrno(real)) return real;
  file.real = real;
  return add(overlay, file);
}

/** An open file that only keeps its inode, and the name by which it was met. */
export function openHeld(overlay: Overlay, node: Node): FileHandle {
  return add(overlay, opened(overlay, node, NO_FILE, O_RDONLY));
}

function add(overlay: Overlay, file: OpenedFile): FileHandle {
  const { nodes } = overlay;
  const { node } = file;
  nodes.hold(node);
  const handle = overlay.files.add(file);
  if (nodes.has(node, IS_INDEXED)) {
    overlay.openedAs.note(handle, { node, directory: nodes.parentOf(node), name: nodes.nameOf(node) });
  }
  return handle;
}

export function close(overlay: Overlay, file: FileHandle): void {
  const { node, real, flags, fs } = overlay.files.at(file);
  if (real !== NO_FILE) fs.close(fileHandle(real), flags);
  overlay.files.remove(file);
  overlay.openedAs.drop(file);
  overlay.nodes.drop(node);
}

/**
 * The end of a directory's positions, where it has one: a merged directory's are those of its list. An open one goes on with the directory that it was
 * opened over, also when that has been copied up, until a call finds it at its beginning (ovl_dir_llseek, ovl_dir_reset).
 */
export function directoryEnd(overlay: Overlay, node: Node, file?: FileHandle, begins = false): number | undefined {
  const isMerged = overlay.isMerged(node);
  const opened = file === undefined ? undefined : overlay.files.at(file);
  if (opened !== undefined && begins) opened.isMerged = isMerged;
  if ((opened ?? { isMerged }).isMerged === true) return undefined;
  if (!isMerged) return overlay.fsOf(node).directoryEnd?.(overlay.inodeOf(node));
  const { view, nodes } = overlay;
  const lower = nodes.lowerOf(node);
  return view.fsOf(lower).directoryEnd?.(view.inodeOf(lower));
}

/** The filesystem of a file's real file, as `realFile` left it. */
export function realFs(overlay: Overlay, file: FileHandle): FileSystem {
  return overlay.files.at(file).fs;
}

/** The real file, opened anew on the upper layer when the node was copied up since. */
export function realFile(overlay: Overlay, file: FileHandle): FileHandle | Errno {
  const { nodes } = overlay;
  const opened = overlay.files.at(file);
  const { node, real, flags } = opened;
  if (real === NO_FILE) return EBADF;
  if (opened.isUpper) return fileHandle(real);
  if (!nodes.hasUpper(node) || nodes.has(node, IS_METACOPY) || !overlay.profile.readOnlyFollowsCopyUp) return fileHandle(real);
  const { writable: upper } = overlay;
  const reopened = upper.fs.open(nodes.upperOf(node), flags);
  if (isErrno(reopened)) return reopened;
  opened.fs.close(fileHandle(real), flags);
  opened.real = reopened;
  opened.fs = upper.fs;
  opened.isUpper = true;
  return reopened;
}

/** Only what is on the upper layer is synchronised; nothing on a volatile mount. */
export function fsync(overlay: Overlay, file: FileHandle, dataOnly: boolean): Errno | undefined {
  const { nodes, counters } = overlay;
  const opened = overlay.files.at(file);
  const { node } = opened;
  if (overlay.options.fsync === "volatile" || !nodes.hasUpper(node)) return undefined;
  const { writable: upper } = overlay;
  const real = realFile(overlay, file);
  if (!isErrno(real)) {
    if (!opened.isUpper) return undefined;
    counters.fsyncs += 1;
    return upper.fs.fsync(real, dataOnly);
  }
  const directory = upper.fs.open(nodes.upperOf(node), O_RDONLY);
  if (isErrno(directory)) return directory;
  counters.fsyncs += 1;
  const failed = upper.fs.fsync(directory, dataOnly);
  upper.fs.close(directory, O_RDONLY);
  return failed;
}

/**
 * Nothing is copied up to have less in the end: of two that are to share, both must be on the upper layer already (ovl_remap_file_range). A copy stays
 * on one filesystem (ovl_copy_file_range, vfs_copy_file_range of the real files).
 */
export function prepareSharing(
  overlay: Overlay,
  source: FileHandle,
  target: FileHandle,
  how: { readonly kind: "dedupe" | "copy"; readonly range: CopyRange | undefined },
): Errno | undefined {
  const { kind, range } = how;
  const { nodes, files } = overlay;
  if (kind === "dedupe" && ![source, target].every((file) => nodes.hasUpper(files.at(file).node))) return EPERM;
  const from = realFile(overlay, source);
  const to = realFile(overlay, target);
  if (isErrno(from)) return from;
  if (isErrno(to)) return to;
  const fs = realFs(overlay, target);
  if (kind === "copy" && fs !== realFs(overlay, source)) return EXDEV;
  return kind === "dedupe" && fs.dedupe === undefined ? EINVAL : fs.prepareSharing?.(from, to, kind, range);
}

/** Two files of one mount on the same filesystem. @param same - both ranges hold the same bytes, as `prepareSharing` has allowed */
export function clone(
  overlay: Overlay,
  source: FileHandle,
  target: FileHandle,
  range: CopyRange,
  same = false,
): Errno | undefined {
  const from = realFile(overlay, source);
  const to = realFile(overlay, target);
  if (isErrno(from)) return from;
  if (isErrno(to)) return to;
  const fs = realFs(overlay, target);
  if (fs !== realFs(overlay, source)) return EXDEV;
  if (same) return fs.dedupe?.(from, range.from, to, range.to, range.length);
  return fs.clone(from, range.from, to, range.to, range.length);
}
