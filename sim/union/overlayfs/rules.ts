/**
 * What overlayfs finds in its layers: whiteouts are character devices 0:0, opaque directories and redirects are xattrs
 * (union.md 1.2 to 1.5; fs/overlayfs/namei.c, util.c).
 */
import { EINVAL, EIO, ENAMETOOLONG, ENODATA, ENOENT, ENOTSUP, type Errno, isErrno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import {
  type Attributes,
  type FileSystem,
  type Inode,
  newAttributes,
  S_IFCHR,
  S_IFDIR,
  S_IFMT,
  S_IFREG,
} from "../../vfs/filesystem.ts";
import { ABSENT, type LayerRules, OPAQUE, type VisitLayerEntry, WHITEOUT, XATTR_WHITEOUTS } from "../layer.ts";
import type { OverlayXattrs } from "./xattrs.ts";

/** How redirects that are met are treated. */
export type FollowRedirects = "follow" | "ignore" | "refuse";

/** What a metacopy's xattr holds before a digest: version, length, flags, digest algorithm (struct ovl_metacopy). Nothing at all stands for it. */
const METACOPY_HEAD = 4;
const OPAQUE_YES = 0x79;
const OPAQUE_XWHITEOUTS = 0x78;

export class OverlayRules implements LayerRules {
  readonly listsFromTop = false;
  readonly mergesPastOthers = false;
  readonly looksAtLowestMarks = false;
  readonly #xattrs: OverlayXattrs;
  readonly #follow: FollowRedirects;
  readonly #xattrWhiteouts: boolean;
  readonly #metacopy: boolean;
  readonly #attributes: Attributes = newAttributes();

  constructor(
    xattrs: OverlayXattrs,
    follow: FollowRedirects,
    options: { readonly xattrWhiteouts: boolean; readonly metacopy: boolean },
  ) {
    this.#xattrs = xattrs;
    this.#follow = follow;
    this.#xattrWhiteouts = options.xattrWhiteouts;
    this.#metacopy = options.metacopy;
  }

  get followsRedirects(): boolean {
    return this.#follow === "follow";
  }

  probe(fs: FileSystem, directory: Inode, name: Name): number | Errno {
    const found = fs.lookup(directory, name);
    if (isErrno(found)) return found === ENOENT || found === ENAMETOOLONG ? ABSENT : found;
    const isWhiteout = this.isWhiteout(fs, found, fs.mode(found) & S_IFMT);
    if (isErrno(isWhiteout)) return isWhiteout;
    return isWhiteout ? WHITEOUT : found;
  }

  /** Whether an inode of a layer is a whiteout. @param type - its type bits. */
  isWhiteout(fs: FileSystem, inode: Inode, type: number): boolean | Errno {
    if (type === S_IFCHR) return fs.getattr(inode, this.#attributes) ?? this.#attributes.rdev === 0;
    if (type !== S_IFREG || !this.#xattrWhiteouts || fs.size(inode) !== 0) return false;
    return !isErrno(fs.getxattr(inode, this.#xattrs.whiteout));
  }

  marksOf(fs: FileSystem, directory: Inode): number {
    const value = fs.getxattr(directory, this.#xattrs.opaque);
    if (isErrno(value) || value.length !== 1) return 0;
    if (value[0] === OPAQUE_YES) return OPAQUE;
    return value[0] === OPAQUE_XWHITEOUTS && this.#xattrWhiteouts ? XATTR_WHITEOUTS : 0;
  }

  redirectOf(fs: FileSystem, inode: Inode): string | undefined | Errno {
    if (this.#follow === "ignore") return undefined;
    const value = fs.getxattr(inode, this.#xattrs.redirect);
    if (isErrno(value)) return isNone(value) ? undefined : value;
    return pathOf(value);
  }

  lacksData(fs: FileSystem, inode: Inode): boolean | Errno {
    const value = fs.getxattr(inode, this.#xattrs.metacopy);
    if (isErrno(value)) return isNone(value) ? false : value;
    return value.length === 0 || value.length >= METACOPY_HEAD ? true : EIO;
  }

  get followsMetacopies(): boolean {
    return this.#metacopy;
  }

  /** Whiteouts that are regular files are not told here: they show in a listing unless the name is looked up. */
  list(fs: FileSystem, directory: Inode, visit: VisitLayerEntry): Errno | undefined {
    return fs.iterate(directory, (name, inodeNumber, type) => {
      if (type !== S_IFCHR) {
        visit(name, inodeNumber, type, false);
        return;
      }
      const inode = fs.lookup(directory, name);
      visit(name, inodeNumber, type, !isErrno(inode) && this.isWhiteout(fs, inode, type) === true);
    });
  }
}

/** Whether an xattr could not be read since there is none: other errors end a lookup (ovl_get_redirect_xattr, ovl_check_metacopy_xattr). */
function isNone(errno: Errno): boolean {
  return errno === ENODATA || errno === ENOTSUP;
}

/** The value of a redirect, up to a NUL: a relative one is one name, which a NUL alone leaves empty; no part of an absolute one is. */
function pathOf(value: Uint8Array): string | Errno {
  const end = value.indexOf(0);
  if (end === 0) return "";
  const path = new TextDecoder().decode(end < 0 ? value : value.subarray(0, end));
  const parts = (path.startsWith("/") ? path.slice(1) : path).split("/");
  return parts.includes("") || (!path.startsWith("/") && parts.length > 1) ? EINVAL : path;
}

/** Whether type bits are a directory's. */
export function isDirectoryMode(mode: number): boolean {
  return (mode & S_IFMT) === S_IFDIR;
}

/** Whether type bits are a regular file's. */
export function isFileMode(mode: number): boolean {
  return (mode & S_IFMT) === S_IFREG;
}
