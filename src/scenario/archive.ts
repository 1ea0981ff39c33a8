/**
 * A root filesystem that came as an archive or a folder, and how it is unpacked into a layer.
 *
 * Interface:
 * - An Archive is plain data: who reads files (src/node) makes one, so that this room needs no files of its own.
 * - `unpackArchive` makes system calls of a task whose root is the layer, so symbolic links in the archive cannot lead out of it. The order of
 *   calls for an entry is Docker's (pkg/archive, createTarFile): create, owner, extended attributes, mode, times; the times of folders come last.
 *   Missing parents get mode 0755; an existing name is replaced unless both are folders.
 */
import { timeFromNanoseconds } from "../../sim/core/clock.ts";
import type { Content } from "../../sim/core/content.ts";
import { ENOENT, type Errno, isErrno } from "../../sim/core/errno.ts";
import { deviceNumber } from "../../sim/core/units.ts";
import { O_CREAT, O_EXCL, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFMT } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { writePath } from "../calls/write-all.ts";

interface EntryBase {
  /** Absolute, without "." and "..". */
  readonly path: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
  readonly xattrs: readonly (readonly [string, Uint8Array])[];
}

export type ArchiveEntry = EntryBase &
  (
    | { readonly kind: "directory" | "fifo" }
    | { readonly kind: "file"; readonly content: Content }
    | { readonly kind: "symlink"; readonly target: string }
    /** `target`: the absolute path of an entry before this one. */
    | { readonly kind: "link"; readonly target: string }
    | { readonly kind: "char" | "block"; readonly major: number; readonly minor: number }
  );

export interface Archive {
  /** Of a root filesystem; none of an image archive. */
  readonly entries: readonly ArchiveEntry[];
  /** The root filesystem's tar as it came, where it came as one. */
  readonly tar?: Content;
  /** Of an image archive: the image. */
  readonly image?: ArchivedImage;
}

/** An image out of an archive: its configuration, and its layers' tars unpacked, the base first. */
export interface ArchivedImage {
  readonly config: Uint8Array;
  readonly layers: readonly Content[];
}

/** What the context of a build is called among archives. */
export function contextKey(folder: string): string {
  return `context ${folder}`;
}

/** Why an archive could not be unpacked: the entry and the error. */
export interface UnpackFailure {
  readonly path: string;
  readonly errno: Errno;
}

/**
 * Cleans a name of an archive: absolute below the layer's root, without "." and "..".
 * @returns undefined for a name that leads out of the root, as Docker refuses it.
 */
export function cleanName(name: string): string | undefined {
  if (name.includes("\0")) return undefined;
  const parts: string[] = [];
  for (const part of name.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined && !name.startsWith("/")) return undefined;
  }
  return `/${parts.join("/")}`;
}

/** Unpacks every entry into the tree of `task`. */
export function unpackArchive(task: Task, archive: Archive): UnpackFailure | undefined {
  task.umask = 0;
  for (const entry of archive.entries) {
    const errno = unpackEntry(task, entry);
    if (errno !== undefined) return { path: entry.path, errno };
  }
  for (const entry of archive.entries) {
    if (entry.kind !== "directory") continue;
    const errno = setTimes(task, entry);
    if (errno !== undefined) return { path: entry.path, errno };
  }
  return undefined;
}

function unpackEntry(task: Task, entry: ArchiveEntry): Errno | undefined {
  const standing = lookAt(task, entry.path);
  if (isErrno(standing) && standing !== ENOENT) return standing;
  const keeps = entry.kind === "directory" && standing === S_IFDIR;
  if (!isErrno(standing) && !keeps) {
    const errno = removeTree(task, entry.path, standing);
    if (errno !== undefined) return errno;
  }
  if (!keeps) {
    const errno = makeParents(task, entry.path) ?? make(task, entry);
    if (errno !== undefined) return errno;
  }
  if (entry.kind === "link") return undefined;
  const errno = task.lchown(entry.path, entry.uid, entry.gid) ?? setAttributes(task, entry);
  return errno ?? (entry.kind === "directory" ? undefined : setTimes(task, entry));
}

/** The type bits of what stands at a path. */
function lookAt(task: Task, path: string): number | Errno {
  const attributes = task.lstat(path);
  return isErrno(attributes) ? attributes : attributes.mode & S_IFMT;
}

function makeParents(task: Task, path: string): Errno | undefined {
  const parent = path.slice(0, path.lastIndexOf("/"));
  if (parent === "" || !isErrno(task.stat(parent))) return undefined;
  const errno = makeParents(task, parent) ?? task.mkdir(parent, 0o755);
  return errno;
}

function make(task: Task, entry: ArchiveEntry): Errno | undefined {
  switch (entry.kind) {
    case "directory":
      return task.mkdir(entry.path, entry.mode);
    case "file":
      return writePath(task, entry.path, { flags: O_CREAT | O_EXCL, mode: entry.mode }, entry.content);
    case "symlink":
      return task.symlink(entry.target, entry.path);
    case "link":
      return task.link(entry.target, entry.path);
    case "fifo":
      return task.mknod(entry.path, S_IFIFO | entry.mode);
    default:
      return task.mknod(
        entry.path,
        (entry.kind === "char" ? S_IFCHR : S_IFBLK) | entry.mode,
        deviceNumber(entry.major, entry.minor),
      );
  }
}

function setAttributes(task: Task, entry: ArchiveEntry): Errno | undefined {
  for (const [name, value] of entry.xattrs) {
    const errno = task.lsetxattr(entry.path, name, value);
    if (errno !== undefined) return errno;
  }
  return entry.kind === "symlink" ? undefined : task.chmod(entry.path, entry.mode);
}

function setTimes(task: Task, entry: ArchiveEntry): Errno | undefined {
  const at = timeFromNanoseconds(entry.mtime);
  return task.utimens(entry.path, at, at, true);
}

/** rm -r of what stands in the way. */
function removeTree(task: Task, path: string, type: number): Errno | undefined {
  if (type !== S_IFDIR) return task.unlink(path);
  const rows = task.readdir(path);
  if (isErrno(rows)) return rows;
  for (const row of rows) {
    const below = `${path}/${row.name}`;
    const inner = lookAt(task, below);
    const errno = isErrno(inner) ? inner : removeTree(task, below, inner);
    if (errno !== undefined) return errno;
  }
  return path === "/" ? undefined : task.rmdir(path);
}
