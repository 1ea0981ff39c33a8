/**
 * Makes the tar of a layer from files on the host (moby v20.10.27 pkg/archive: addTarFile, ExportChanges, TarWithOptions).
 *
 * Rules: the root has no entry; owners are numbers alone; times are whole seconds; of xattrs only security.capability; a file with several
 * names is stored under the first that comes, the others link to it; sockets and files that cannot be read are left out.
 */
import type { Time } from "../../sim/core/clock.ts";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { majorOf, minorOf } from "../../sim/core/units.ts";
import {
  type Attributes,
  newAttributes,
  O_RDONLY,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { baseOf, folderOf, WHITEOUT, WHITEOUT_META, WHITEOUT_OPAQUE } from "./names.ts";
import * as tar from "./tar-header.ts";
import { TarWriter, tarHeader } from "./tar-write.ts";

/** How whiteouts stand in the folder that is read. */
export type FolderForm = "plain" | "overlay" | "aufs";

/** One path of a list of changes, absolute within the layer. */
export interface ExportedChange {
  readonly kind: "C" | "A" | "D";
  readonly path: string;
}

const TYPEFLAGS: ReadonlyMap<number, string> = new Map([
  [S_IFREG, tar.REGULAR],
  [S_IFDIR, tar.DIRECTORY],
  [S_IFLNK, tar.SYMLINK],
  [S_IFCHR, tar.CHARACTER],
  [S_IFBLK, tar.BLOCK_DEVICE],
  [S_IFIFO, tar.FIFO],
]);

const CAPABILITY = "security.capability";
/** struct vfs_cap_data: the byte of its revision, and how long revision 2 is. */
const REVISION_AT = 3;
const REVISION_2 = 2;
const REVISION_3 = 3;
const REVISION_2_LENGTH = 20;

interface Exporting {
  readonly task: Task;
  /** The layer's folder on the host. */
  readonly top: string;
  readonly form: FolderForm;
  readonly writer: TarWriter;
  /** The first name of each inode with several. */
  readonly seen: Map<number, string>;
}

function begin(task: Task, top: string, form: FolderForm): Exporting {
  return { task, top, form, writer: new TarWriter(), seen: new Map() };
}

/** The stored capability; revision 3 names a root user that means nothing elsewhere, and becomes revision 2. */
function capabilityOf(task: Task, path: string): readonly (readonly [string, Uint8Array])[] {
  const value = task.lgetxattr(path, CAPABILITY);
  if (isErrno(value) || value.length === 0) return [];
  if (value[REVISION_AT] !== REVISION_3) return [[CAPABILITY, value]];
  const older = value.slice(0, REVISION_2_LENGTH);
  older[REVISION_AT] = REVISION_2;
  return [[CAPABILITY, older]];
}

/**
 * FileInfoHeader and what belongs to it: the header of one file, without the name of a first link. Undefined of a socket.
 * @param place - the folder that `path` (absolute within it) is in
 */
export function headerOf(
  { task, top }: { readonly task: Task; readonly top: string },
  path: string,
  of: Attributes,
): tar.TarHeader | undefined {
  const type = of.mode & S_IFMT;
  const typeflag = TYPEFLAGS.get(type);
  if (typeflag === undefined) return undefined;
  const target = type === S_IFLNK ? task.readlink(top + path) : "";
  if (isErrno(target)) return undefined;
  const isDevice = type === S_IFCHR || type === S_IFBLK;
  return tarHeader({
    name: `${path.slice(1)}${type === S_IFDIR ? "/" : ""}`,
    linkname: target,
    typeflag,
    mode: of.mode,
    uid: of.uid,
    gid: of.gid,
    size: type === S_IFREG ? of.size : 0,
    mtime: { seconds: of.mtime.seconds, nanoseconds: 0 },
    major: isDevice ? majorOf(of.rdev) : 0,
    minor: isDevice ? minorOf(of.rdev) : 0,
    xattrs: capabilityOf(task, top + path),
  });
}

/** The whole content of a file of this size; undefined where it cannot be read so far. */
export function contentOf(task: Task, path: string, size: number): Content | undefined {
  const fd = task.open(path, O_RDONLY);
  if (isErrno(fd)) return undefined;
  const parts: Content[] = [];
  for (let done = 0; done < size; ) {
    const piece = task.read(fd, size - done);
    if (isErrno(piece) || piece.length === 0) break;
    parts.push(piece);
    done += piece.length;
  }
  task.close(fd);
  const content = Content.concat(parts);
  return content.length === size ? content : undefined;
}

/** addTarFile: one file as it stands. */
function addFile(exporting: Exporting, path: string): void {
  const { task, top, writer, seen } = exporting;
  const of = newAttributes();
  if (isErrno(task.lstat(top + path, of))) return;
  let header = headerOf(exporting, path, of);
  if (header === undefined) return;
  const type = of.mode & S_IFMT;
  if (type !== S_IFDIR && of.nlink > 1) {
    const first = seen.get(of.inodeNumber);
    if (first === undefined) seen.set(of.inodeNumber, header.name);
    else header = { ...header, typeflag: tar.LINK, linkname: first, size: 0 };
  }
  if (exporting.form === "overlay") {
    if (type === S_IFCHR && of.rdev === 0) header = whiteoutOf(header);
    else if (type === S_IFDIR && isOpaque(task, top + path)) {
      writer.add(header);
      // The mark stands right behind its folder, before what is in it.
      header = opaqueOf(header);
    }
  }
  const content = header.size === 0 ? Content.empty : contentOf(task, top + path, header.size);
  if (content !== undefined) writer.add(header, content);
}

/** A character device 0/0 in the form of AUFS; its other fields stay, a link's name among them. */
function whiteoutOf(header: tar.TarHeader): tar.TarHeader {
  const slash = header.name.lastIndexOf("/") + 1;
  const name = `${header.name.slice(0, slash)}${WHITEOUT}${header.name.slice(slash)}`;
  return { ...header, name, mode: 0o600, typeflag: tar.REGULAR, size: 0 };
}

function opaqueOf(folder: tar.TarHeader): tar.TarHeader {
  const { uid, gid } = folder;
  return tarHeader({ name: folder.name + WHITEOUT_OPAQUE, typeflag: tar.REGULAR, mode: folder.mode & 0o777, uid, gid });
}

function isOpaque(task: Task, path: string): boolean {
  const value = task.lgetxattr(path, "trusted.overlay.opaque");
  return !isErrno(value) && value.length === 1 && value[0] === 0x79;
}

/** Orders texts by their UTF-8 bytes. */
export function byBytes(one: string, other: string): number {
  if (one === other) return 0;
  // Code units order as bytes do, but for surrogates against what stands above them.
  for (let at = 0; at < Math.min(one.length, other.length); at++) {
    const [left, right] = [one.charCodeAt(at), other.charCodeAt(at)];
    if (left === right) continue;
    const wide = (unit: number): number => (unit >= 0xd800 && unit < 0xdc00 ? unit + 0x10000 : unit);
    return wide(left) - wide(right);
  }
  return one.length - other.length;
}

/**
 * The tar of a list of changes, sorted by path (ExportChanges).
 * @param now - the time that whiteouts get, rounded to a whole second
 */
export function exportChanges(task: Task, top: string, changes: readonly ExportedChange[], now: Time): Content {
  const exporting = begin(task, top, "plain");
  const seconds = now.seconds + (now.nanoseconds >= 500_000_000 ? 1 : 0);
  for (const { kind, path } of [...changes].sort((one, other) => byBytes(one.path, other.path))) {
    if (kind !== "D") {
      addFile(exporting, path);
      continue;
    }
    const folder = folderOf(path);
    const name = `${folder === "/" ? "" : folder}/${WHITEOUT}${baseOf(path)}`.slice(1);
    exporting.writer.add(tarHeader({ name, typeflag: tar.REGULAR, mode: 0, mtime: { seconds, nanoseconds: 0 } }));
  }
  return exporting.writer.end();
}

/** The tar of everything below a folder, a folder before what is in it, names by their bytes (filepath.Walk). */
export function exportTree(task: Task, top: string, form: FolderForm): Content {
  const exporting = begin(task, top, form);
  const visit = (folder: string): void => {
    const rows = task.readdir(top + folder);
    if (isErrno(rows)) return;
    for (const { name, type } of rows.sort((one, other) => byBytes(one.name, other.name))) {
      // AUFS's own files stay behind, but for the opaque mark.
      if (form === "aufs" && name.startsWith(WHITEOUT_META) && name !== WHITEOUT_OPAQUE) continue;
      const path = `${folder}/${name}`;
      addFile(exporting, path);
      if (type === S_IFDIR) visit(path);
    }
  };
  visit("");
  return exporting.writer.end();
}
