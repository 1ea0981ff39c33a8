/**
 * Unpacks a layer's tar into a folder, in one of three ways (moby v20.10.27 pkg/archive, UnpackLayer and Unpack):
 * - "merge": onto a whole tree; a whiteout removes what it names (the naive drivers and overlay);
 * - "overlay": into a folder of changes, whiteouts and opaque marks in overlayfs's form;
 * - "aufs": into a branch, whiteouts as they are: that is AUFS's form.
 *
 * Interface: the task's root is the folder. In mode "docker" entries act one after the other, as in the daemon. In mode "strict" a whiteout
 * hides what the layers below have and nothing of its own layer, whatever the order, as the OCI says. @throws ArchiveFault from checks
 */
import { isErrno } from "../../sim/core/errno.ts";
import { S_IFCHR, S_IFDIR } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { createFile, makeParents, removeTree, setTimes, typeAt, UnpackError } from "./create-file.ts";
import { ArchiveFault, type ReadMode } from "./fault.ts";
import { baseOf, checkEntry, folderOf, layerPath, WHITEOUT, WHITEOUT_LINKS, WHITEOUT_META, WHITEOUT_OPAQUE } from "./names.ts";
import { DIRECTORY, LINK, PAX_GLOBAL, type TarHeader } from "./tar-header.ts";
import type { TarEntry } from "./tar-read.ts";
import { isRegular } from "./tar-write.ts";

/** How whiteouts are kept. */
export type LayerForm = "merge" | "overlay" | "aufs";

/** A layer's difference to its parent. */
export interface LayerDiff {
  /** Read once, from the first to the last. */
  readonly entries: Iterable<TarEntry>;
  readonly mode: ReadMode;
}

/** Modes of parents that have no entry of their own. */
const PARENT_MODE: Readonly<Record<LayerForm, number>> = { merge: 0o600, overlay: 0o755, aufs: 0o755 };

const OPAQUE_XATTR = "trusted.overlay.opaque";
const OPAQUE_VALUE = new TextEncoder().encode("y");

interface Unpacking {
  readonly task: Task;
  readonly form: LayerForm;
  readonly mode: ReadMode;
  /** What this layer has made so far. */
  readonly made: Set<string>;
  readonly folders: { readonly path: string; readonly header: TarHeader }[];
  /** AUFS's files with several names, by the name below WHITEOUT_LINKS. */
  readonly links: Map<string, TarEntry>;
  /** A folder that is known to be there: the next entry is most often in it too. "" after anything was removed. */
  folder: string;
}

/** Unpacks every entry. @returns the sum of the sizes in the headers, or what failed */
export function unpackLayer(task: Task, diff: LayerDiff, form: LayerForm): number | UnpackError {
  const unpacking: Unpacking = { task, form, mode: diff.mode, made: new Set(), folders: [], links: new Map(), folder: "" };
  task.umask = 0;
  let size = 0;
  for (const entry of diff.entries) {
    size += entry.header.size;
    checkEntry(entry.header, diff.mode);
    if (entry.header.typeflag === PAX_GLOBAL) continue;
    const failed = unpackEntry(unpacking, entry);
    if (failed !== undefined) return failed;
  }
  for (const { path, header } of unpacking.folders) {
    const failed = setTimes(task, path, header.mtime);
    // A whiteout behind it may have taken it away, which Docker does not think of.
    if (failed !== undefined && (diff.mode === "docker" || typeAt(task, path) !== undefined)) return failed;
  }
  return size;
}

function unpackEntry(unpacking: Unpacking, entry: TarEntry): UnpackError | undefined {
  const { task, form } = unpacking;
  const path = layerPath(entry.header.name);
  const folder = folderOf(path);
  if (folder !== unpacking.folder) {
    const orphan = makeParents(task, folder, PARENT_MODE[form]);
    if (orphan !== undefined) return orphan;
    unpacking.folder = folder;
  }
  if (form === "merge" && path.startsWith(`/${WHITEOUT_META}`)) {
    if (path.startsWith(`/${WHITEOUT_LINKS}`) && isRegular(entry.header.typeflag)) unpacking.links.set(baseOf(path), entry);
    if (path !== `/${WHITEOUT_OPAQUE}`) return undefined;
  }
  if (form !== "aufs" && baseOf(path).startsWith(WHITEOUT)) return applyWhiteout(unpacking, entry.header, path);
  return replace(unpacking, entry, path);
}

/** Makes an entry in the place of what stands there. */
function replace(unpacking: Unpacking, entry: TarEntry, path: string): UnpackError | undefined {
  const { task, form } = unpacking;
  const { header } = entry;
  const standing = typeAt(task, path);
  const stays = standing === S_IFDIR && header.typeflag === DIRECTORY;
  // A native driver passes over an entry "." of whatever type.
  if (path === "/" && form !== "merge" && !header.name.startsWith("/")) return undefined;
  const wasWhiteout = form === "overlay" && standing === S_IFCHR && !unpacking.made.has(path);
  if (standing !== undefined && !stays) {
    unpacking.folder = "";
    const failed = removeTree(task, path);
    if (failed !== undefined) return failed;
  }
  const failed = createFile(task, retargeted(unpacking, entry), path, unpacking.mode);
  if (failed !== undefined) return failed;
  if (header.typeflag === DIRECTORY) unpacking.folders.push({ path, header });
  unpacking.made.add(path);
  const hides = unpacking.mode === "strict" && wasWhiteout && header.typeflag === DIRECTORY;
  return hides ? setOpaque(task, path) : undefined;
}

/** A hard link into AUFS's own folder becomes the file that lay there. */
function retargeted(unpacking: Unpacking, entry: TarEntry): TarEntry {
  const target = layerPath(entry.header.linkname);
  if (unpacking.form !== "merge" || entry.header.typeflag !== LINK || !target.startsWith(`/${WHITEOUT_LINKS}`)) return entry;
  const kept = unpacking.links.get(baseOf(target));
  if (kept === undefined) throw new ArchiveFault("E_LAYER_LINK", "Invalid aufs hardlink");
  return kept;
}

function setOpaque(task: Task, folder: string): UnpackError | undefined {
  const errno = task.setxattr(folder, OPAQUE_XATTR, OPAQUE_VALUE);
  return errno === undefined ? undefined : new UnpackError("setxattr", folder, errno);
}

function applyWhiteout(unpacking: Unpacking, header: TarHeader, path: string): UnpackError | undefined {
  const { task, form, mode } = unpacking;
  const folder = folderOf(path);
  unpacking.folder = "";
  if (baseOf(path) === WHITEOUT_OPAQUE) {
    return form === "overlay" ? setOpaque(task, folder) : removeOlder(unpacking, folder);
  }
  const hidden = layerPath(`${folder}/${baseOf(path).slice(WHITEOUT.length)}`);
  if (form === "overlay") return makeWhiteout(unpacking, header, hidden);
  if (mode === "docker" || !madeWithin(unpacking.made, hidden)) return removeTree(task, hidden);
  return typeAt(task, hidden) === S_IFDIR ? removeOlder(unpacking, hidden) : undefined;
}

/** Whether this layer made a path or something below it. */
function madeWithin(made: ReadonlySet<string>, path: string): boolean {
  if (made.has(path)) return true;
  for (const one of made) if (one.startsWith(`${path}/`)) return true;
  return false;
}

/** Removes what lies below a folder and did not come with this layer (the opaque mark on a whole tree). */
function removeOlder(unpacking: Unpacking, folder: string): UnpackError | undefined {
  const { task, made, mode } = unpacking;
  const rows = task.readdir(folder);
  if (isErrno(rows)) return new UnpackError("lstat", folder, rows);
  for (const { name } of rows.sort((one, other) => (one.name < other.name ? -1 : 1))) {
    const path = folder === "/" ? `/${name}` : `${folder}/${name}`;
    const keeps = mode === "docker" ? made.has(path) : madeWithin(made, path);
    const failed = keeps ? (typeAt(task, path) === S_IFDIR ? removeOlder(unpacking, path) : undefined) : removeTree(task, path);
    if (failed !== undefined) return failed;
  }
  return undefined;
}

/** overlayfs's form: a character device 0/0. */
function makeWhiteout(unpacking: Unpacking, header: TarHeader, hidden: string): UnpackError | undefined {
  const { task, mode, made } = unpacking;
  if (mode === "strict") {
    const standing = typeAt(task, hidden);
    if (standing === S_IFDIR) return setOpaque(task, hidden);
    if (standing === S_IFCHR || made.has(hidden)) return undefined;
  }
  const errno = task.mknod(hidden, S_IFCHR, 0);
  if (errno !== undefined) return new UnpackError(`failed to mknod(${JSON.stringify(hidden)}, S_IFCHR, 0)`, "", errno);
  const owned = task.chown(hidden, header.uid, header.gid);
  return owned === undefined ? undefined : new UnpackError("chown", hidden, owned);
}
