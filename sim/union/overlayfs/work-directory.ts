/**
 * What a mount makes and finds in its work directory: work/ for objects under way, index/ for hard links, and the mark of a volatile mount
 * (fs/overlayfs/super.c, namei.c; Linux 6.18; union.md section 8).
 */
import { ENODATA, ENOENT, ENOTSUP, type Errno, ESTALE, isErrno } from "../../core/errno.ts";
import type { Name, NameTable } from "../../core/names.ts";
import { type FileSystem, type Inode, type NewInode, S_IFDIR, S_IFREG } from "../../vfs/filesystem.ts";
import type { LayerDirectory } from "../layer.ts";
import { type MountFailure, type OverlayOptions, refuse } from "./options.ts";
import { encodeOrigin } from "./origin.ts";
import { isDirectoryMode } from "./rules.ts";
import type { OverlayXattrs } from "./xattrs.ts";

/** What the work directory belongs to. */
export interface WorkParts {
  readonly names: NameTable;
  readonly xattrs: OverlayXattrs;
  readonly upper: LayerDirectory;
  readonly work: LayerDirectory;
  /** The topmost lower layer. */
  readonly lower: LayerDirectory;
  /** The UUID that the mount gets, if it has none yet; undefined: the kernel gives none. */
  readonly uuid: Uint8Array | undefined;
}

/** The directories that a mount works with; `index` only under index=on. */
export interface WorkDirectories {
  /** Where what is under way is made: work/, or index/ where there is one. */
  readonly work: Inode;
  readonly index: Inode | undefined;
}

const DIRECTORY: NewInode = { mode: S_IFDIR, uid: 0, gid: 0, rdev: 0, target: "" };
const FILE: NewInode = { ...DIRECTORY, mode: S_IFREG };

/** Makes an empty work/, and index/, which outlives mounts. */
export function prepareWork(
  parts: WorkParts,
  options: Pick<OverlayOptions, "index" | "fsync" | "uuid">,
): WorkDirectories | MountFailure {
  const { names, work: base } = parts;
  const { fs } = base;
  const name = names.intern("work");
  const left = emptyWork(parts, name);
  if (left !== undefined) return left;
  const work = fs.create(base.inode, name, DIRECTORY);
  if (isErrno(work)) return refuse("failed to create directory work/work", work);
  const marked = options.fsync === "volatile" ? markVolatile(parts, work) : undefined;
  if (marked !== undefined) return refuse("Failed to create volatile/dirty file.", marked);
  nameInstance(parts, options.uuid);
  if (!options.index) return { work, index: undefined };
  const index = indexDirectory(parts);
  // What is under way is made in the index, so that it can be moved within one directory (ovl_get_indexdir, from 5.8).
  return typeof index === "object" ? index : { work: index, index };
}

/**
 * Removes what an earlier mount left of work/, entry by entry as they are listed: what comes before an incompat/ that holds the name of a feature, such
 * as "volatile", is gone when that refuses the mount (ovl_workdir_cleanup_recurse).
 */
function emptyWork(parts: WorkParts, name: Name): MountFailure | undefined {
  const { fs, inode: base } = parts.work;
  const before = fs.lookup(base, name);
  const children = !isErrno(before) && isDirectoryMode(fs.mode(before)) ? childrenOf(fs, before) : [];
  for (const child of isErrno(children) ? [] : children) {
    const feature = incompatibleFeature(parts, before as Inode, child);
    if (feature !== undefined) return refuse(`overlay with incompat feature '${feature}' cannot be mounted`);
    const failed = removeTree(fs, before as Inode, child);
    if (failed !== undefined) return refuse("failed to create directory work/work", failed);
  }
  const failed = removeTree(fs, base, name);
  return failed === undefined ? undefined : refuse("failed to create directory work/work", failed);
}

/** The name of a feature in an entry of work/ that is incompat/. */
function incompatibleFeature({ names, work: { fs } }: WorkParts, directory: Inode, name: Name): string | undefined {
  const marks = names.text(name) === "incompat" ? fs.lookup(directory, name) : ENOENT;
  const features = !isErrno(marks) && isDirectoryMode(fs.mode(marks)) ? childrenOf(fs, marks) : [];
  const [feature] = isErrno(features) ? [] : features;
  return feature === undefined ? undefined : names.text(feature);
}

function childrenOf(fs: FileSystem, directory: Inode): Name[] | Errno {
  const children: Name[] = [];
  return fs.iterate(directory, (child) => children.push(child)) ?? children;
}

/** Leaves work/incompat/volatile/dirty: until it is removed, nobody mounts over this work directory. */
function markVolatile({ names, work: { fs } }: WorkParts, work: Inode): Errno | undefined {
  let at = work;
  for (const name of ["incompat", "volatile"]) {
    const made = fs.create(at, names.intern(name), DIRECTORY);
    if (isErrno(made)) return made;
    at = made;
  }
  const dirty = fs.create(at, names.intern("dirty"), FILE);
  return isErrno(dirty) ? dirty : undefined;
}

/**
 * Keeps the mount's UUID with the upper layer: under uuid=auto only where nothing has been copied to it or found in it yet (ovl_init_uuid_xattr).
 * Where it cannot be kept the mount goes without.
 */
function nameInstance({ xattrs, upper: { fs, inode }, uuid }: WorkParts, option: OverlayOptions["uuid"]): void {
  if (uuid === undefined || option === "off" || option === "null") return;
  if (fs.getxattr(inode, xattrs.uuid) !== ENODATA) return;
  if (option === "auto" && fs.getxattr(inode, xattrs.impure) !== ENODATA) return;
  fs.setxattr(inode, xattrs.uuid, uuid, 0);
}

function indexDirectory(parts: WorkParts): Inode | MountFailure {
  const { names, xattrs, upper, lower, work } = parts;
  const origin = verifyHandle(upper, xattrs.origin, lower);
  if (origin !== undefined) return refuse("failed to verify upper root origin", origin);
  const name = names.intern("index");
  const known = work.fs.lookup(work.inode, name);
  const index = isErrno(known) ? work.fs.create(work.inode, name, DIRECTORY) : known;
  if (isErrno(index)) return refuse("failed to create directory work/index", index);
  const owner = verifyHandle({ fs: work.fs, inode: index }, xattrs.upper, upper);
  if (owner !== undefined) return refuse("failed to verify index dir 'upper' xattr", owner);
  return index;
}

function firstFailure(names: readonly Name[], remove: (name: Name) => Errno | undefined): Errno | undefined {
  for (const name of names) {
    const failed = remove(name);
    if (failed !== undefined) return failed;
  }
  return undefined;
}

/**
 * Compares the handle that a directory keeps with that of another, and sets it where there is none (ovl_verify_set_fh).
 * @returns ESTALE where it names something else.
 */
function verifyHandle(keeper: LayerDirectory, xattr: string, of: LayerDirectory): Errno | undefined {
  const handle = encodeOrigin(of.fs, of.inode);
  const kept = keeper.fs.getxattr(keeper.inode, xattr);
  if (kept === ENODATA) return keeper.fs.setxattr(keeper.inode, xattr, handle, 0);
  if (isErrno(kept)) return kept === ENOTSUP ? undefined : kept;
  return kept.length === handle.length && kept.every((byte, at) => byte === handle[at]) ? undefined : ESTALE;
}

/** Removes what a name leads to, with all it holds (ovl_workdir_cleanup). A name that is absent is no error. */
export function removeTree(fs: FileSystem, directory: Inode, name: Name): Errno | undefined {
  const inode = fs.lookup(directory, name);
  if (isErrno(inode)) return inode === ENOENT ? undefined : inode;
  if (!isDirectoryMode(fs.mode(inode))) return fs.unlink(directory, name);
  const children = childrenOf(fs, inode);
  if (isErrno(children)) return children;
  return firstFailure(children, (child) => removeTree(fs, inode, child)) ?? fs.rmdir(directory, name);
}
