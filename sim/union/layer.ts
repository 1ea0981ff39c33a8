/**
 * A layer of a union, and the questions whose answers differ between union filesystems: what hides a name, what makes a directory opaque.
 *
 * Interface: the machinery of this room (lower-view.ts, nodes.ts) asks a LayerRules; overlayfs answers by device nodes and xattrs,
 * aufs by names. Layers are never written while they are lower layers of a mounted union.
 */
import type { Errno } from "../core/errno.ts";
import type { Name } from "../core/names.ts";
import type { FileSystem, Inode } from "../vfs/filesystem.ts";

/** A directory of some filesystem that takes part in a union. */
export interface LayerDirectory {
  readonly fs: FileSystem;
  readonly inode: Inode;
  /** Reached through a mount that is read-only. Default false. */
  readonly readOnly?: boolean;
}

/** A directory of a layer that a mounted union knows by its place among the lower layers: 0 is the topmost. */
export interface StackedDirectory extends LayerDirectory {
  readonly layer: number;
}

/** What `probe` tells where a layer has nothing of a name. */
export const ABSENT = -1;
/** What `probe` tells where a layer hides what the layers below have. */
export const WHITEOUT = -2;

/** A directory hides what lies below it. */
export const OPAQUE = 1;
/** A directory may hold whiteouts that only a closer look at a regular file tells. */
export const XATTR_WHITEOUTS = 2;

/** One name of a directory in one layer: `hidden` for a whiteout. */
export type VisitLayerEntry = (name: Name, inodeNumber: number, type: number, hidden: boolean) => void;

/** What one kind of union filesystem finds in its layers. */
export interface LayerRules {
  /** Whether layers below may be asked where a redirect says: EPERM otherwise. */
  readonly followsRedirects: boolean;
  /** Whether a directory goes on below what is no directory; else that ends the search. */
  readonly mergesPastOthers: boolean;
  /** Whether a merged listing begins with the topmost layer's names; else with those that the lowest has. */
  readonly listsFromTop: boolean;
  /** What a layer's directory has at a name: its inode, ABSENT or WHITEOUT. @param layer - the layer's place, for rules that differ between layers. */
  probe(fs: FileSystem, directory: Inode, name: Name, layer: number): number | Errno;
  /** Whether a directory's marks are looked at in the lowest layer too, where they hide nothing but may be wrong. */
  readonly looksAtLowestMarks: boolean;
  /** OPAQUE and XATTR_WHITEOUTS of a layer's directory. @returns EIO for a mark that is none. */
  marksOf(fs: FileSystem, directory: Inode, layer: number): number | Errno;
  /** Under which name or absolute path the layers below have this directory or the data of this file, if not under its own. @returns EINVAL. */
  redirectOf(fs: FileSystem, inode: Inode): string | undefined | Errno;
  /** Whether a layer has only the attributes of a file, whose data are the next layer's below. @returns EIO. */
  lacksData(fs: FileSystem, inode: Inode): boolean | Errno;
  /** Whether the layers below may be asked for the data of such a file; data-only layers may always. */
  readonly followsMetacopies: boolean;
  /** Visits what a layer's directory holds, whiteouts too. @param isLast - the listing ends with it: no layer below takes part. Default false. */
  list(fs: FileSystem, directory: Inode, visit: VisitLayerEntry, layer: number, isLast?: boolean): Errno | undefined;
}
