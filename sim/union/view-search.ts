/**
 * What is kept while a view looks one name up in its layers.
 */
import type { Name } from "../core/names.ts";
import type { Inode } from "../vfs/filesystem.ts";

const DOT = 0x2e;
/** Layers of a stack that hold a name, while one name is looked up. */
export interface Search {
  readonly layers: number[];
  readonly inodes: Inode[];
  probes: number;
  isDirectory: boolean;
  /** The layers so far have a file's attributes, not its data. */
  lacksData: boolean;
  stop: boolean;
  /** A directory on the way is marked as one of xattr whiteouts. */
  xattrWhiteouts: boolean;
  /** Which name is looked for. */
  readonly name: Name;
  /** Under which other name, or at which absolute path, the layers below are asked; undefined as long as it is the name, whose text nobody needs. */
  path: string | undefined;
}

/** Of what is found without a name. */
export const NO_NAME: Name = 0 as Name;

export function newSearch(name: Name, path?: string): Search {
  return {
    layers: [],
    inodes: [],
    probes: 0,
    isDirectory: false,
    lacksData: false,
    stop: false,
    xattrWhiteouts: false,
    name,
    path,
  };
}

/** Whether the layers below are asked from their roots. */
export function isAbsolute({ path }: Search): boolean {
  return path?.startsWith("/") === true;
}

/** Whether a part of a redirect is "." or "..", which a lookup of one name refuses (fs/namei.c, lookup_noperm_common). */
export function isDots(path: string, begin: number, end: number): boolean {
  const length = end - begin;
  if (length === 0 || length > 2 || path.charCodeAt(begin) !== DOT) return false;
  return length === 1 || path.charCodeAt(begin + 1) === DOT;
}

/** Where a redirect leads that a part of the path says: a relative one from the directory that the part is in (ovl_check_redirect). @param begin - of the part */
export function redirected({ path = "" }: Search, begin: number, redirect: string): string {
  return redirect.startsWith("/") ? redirect : path.slice(0, begin) + redirect;
}
