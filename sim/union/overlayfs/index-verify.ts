/**
 * What a mount finds in its index (fs/overlayfs/readdir.c, ovl_indexdir_cleanup; namei.c, ovl_verify_index; Linux 6.18).
 *
 * Interface: what was under way goes, and entries whose copy or lower inode is gone; under nfs_export a whiteout takes the place of one that a file
 * handle may ask for. An entry that cannot be meant refuses the mount.
 */
import { EINVAL, ENODATA, ENOENT, type Errno, ESTALE, isErrno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import { type Inode, S_IFCHR, S_IFDIR, S_IFMT, typeOf } from "../../vfs/filesystem.ts";
import { keptLinks } from "./hard-links.ts";
import { decodeOrigin, HANDLE_HEAD, handleError, readReached } from "./origin.ts";
import type { Overlay } from "./state.ts";
import { renameWhiteout } from "./whiteout.ts";
import { removeTree } from "./work-directory.ts";

/** Goes through the entries. @returns why the mount is refused. */
export function verifyIndex(overlay: Overlay): Errno | undefined {
  const { fs } = overlay.writable;
  const entries: Name[] = [];
  const failed = fs.iterate(overlay.index, (name) => entries.push(name));
  if (failed !== undefined) return failed;
  for (const name of entries) {
    const entry = fs.lookup(overlay.index, name);
    if (isErrno(entry)) return entry;
    const refused = settleEntry(overlay, name, entry);
    if (refused !== undefined) return refused;
  }
  return undefined;
}

function settleEntry(overlay: Overlay, name: Name, entry: Inode): Errno | undefined {
  const { fs } = overlay.writable;
  if (overlay.names.text(name).startsWith("#")) return removeTree(fs, overlay.index, name);
  const wrong = entryError(overlay, name, entry);
  if (wrong !== ESTALE && wrong !== ENOENT) return wrong;
  const isDirectory = typeOf(fs, entry) === S_IFDIR;
  if (wrong === ENOENT && overlay.indexesAll) return renameWhiteout(overlay, overlay.index, name, isDirectory);
  // A directory that holds something stays, and is no reason to refuse (recorded).
  if (isDirectory) fs.rmdir(overlay.index, name);
  else fs.unlink(overlay.index, name);
  return undefined;
}

/** What is wrong with an entry: ESTALE for one that is of no use, ENOENT for one whose copy is gone (ovl_verify_index). */
function entryError(overlay: Overlay, name: Name, entry: Inode): Errno | undefined {
  const { fs } = overlay.writable;
  const handle = handleOf(overlay.names.text(name));
  if (isErrno(handle)) return handle;
  const type = typeOf(fs, entry);
  // Left for file handles that lead nowhere any more.
  if (type === S_IFCHR && overlay.rules.isWhiteout(fs, entry, type) === true) return undefined;
  if (type === S_IFDIR && !overlay.indexesAll) return undefined;
  const copy = type === S_IFDIR ? copiedDirectory(overlay, entry) : entry;
  if (isErrno(copy)) return copy;
  const origin = readHandle(overlay, copy, overlay.xattrs.origin);
  if (origin === undefined) return ENODATA;
  if (!sameBytes(origin, handle)) return ESTALE;
  return type === S_IFDIR ? undefined : orphanError(overlay, entry, origin);
}

/** The handle that an entry's name tells. */
function handleOf(name: string): Uint8Array | Errno {
  if (name.length < 2 * HANDLE_HEAD || !/^([0-9a-f]{2})*.?$/i.test(name)) return EINVAL;
  const bytes = Uint8Array.from({ length: Math.floor(name.length / 2) }, (_, at) =>
    Number.parseInt(name.slice(2 * at, 2 * at + 2), 16),
  );
  return handleError(bytes) ?? bytes;
}

/** The handle in an xattr; undefined where there is none that tells anything (ovl_get_fh). */
function readHandle(overlay: Overlay, inode: Inode, xattr: string): Uint8Array | undefined {
  const value = overlay.writable.fs.getxattr(inode, xattr);
  return isErrno(value) || handleError(value) !== undefined ? undefined : value;
}

/** The directory that a directory's entry names (ovl_index_upper). */
function copiedDirectory(overlay: Overlay, entry: Inode): Inode | Errno {
  const { fs } = overlay.writable;
  const handle = readHandle(overlay, entry, overlay.xattrs.upper);
  if (handle === undefined) return ESTALE;
  const place = decodeOrigin(handle, [{ fs, inode: fs.root }]);
  return place !== undefined && readReached(fs, place.inode, S_IFDIR, overlay.attributes) ? place.inode : ENOENT;
}

/** Whether a file's entry is all that is left of its copy, and stands for no name. */
function orphanError(overlay: Overlay, entry: Inode, origin: Uint8Array): Errno | undefined {
  const { attributes, otherAttributes, view } = overlay;
  const failed = overlay.writable.fs.getattr(entry, attributes);
  if (failed !== undefined || attributes.nlink !== 1) return failed;
  const place = decodeOrigin(origin, view.layers);
  const fs = place === undefined ? undefined : view.layers[place.layer]?.fs;
  if (place === undefined || fs === undefined) return ESTALE;
  if (!readReached(fs, place.inode, attributes.mode & S_IFMT, otherAttributes)) return ESTALE;
  const links = { below: otherAttributes.nlink, nlink: attributes.nlink };
  return keptLinks(overlay, links, entry, 0) === 0 ? ENOENT : undefined;
}

function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}
