/**
 * Names that aufs keeps for itself on its branches (spec/union.md section 11; include/uapi/linux/aufs_type.h).
 *
 * Interface: whatever begins with ".wh." is aufs's own: nobody sees, finds or makes such a name through the mount.
 */
import type { Name, NameTable } from "../../core/names.ts";

/** What a whiteout's name begins with (AUFS_WH_PFX): `.wh.NAME` hides NAME in the branches below. */
const WHITEOUT_PREFIX = ".wh.";
/** What aufs's other names begin with. */
const OWN_PREFIX = ".wh..wh.";

/** In a directory: nothing of the branches below shows here (AUFS_WH_DIROPQ). */
const OPAQUE_MARKER = ".wh..wh..opq";
/** In a writable branch's root: the empty file that every whiteout is a hard link of (AUFS_WH_BASE). */
export const WHITEOUT_BASE = ".wh..wh.aufs";
/** In a writable branch's root: pseudo-links, named by the number of the inode and of its branch inode (AUFS_WH_PLINKDIR). */
export const PSEUDO_LINK_FOLDER = ".wh..wh.plnk";
/** In a writable branch's root: copies of what has no name any more (AUFS_WH_ORPHDIR). */
export const ORPHAN_FOLDER = ".wh..wh.orph";

/** The longest name in bytes: a passing name `.wh..wh.NAME.XXXX` must fit NAME_MAX (AUFS_MAX_NAMELEN). */
export const NAME_LENGTH_MAX = 242;

/** Whether a name is aufs's own. */
export function isReserved(text: string): boolean {
  return text.startsWith(WHITEOUT_PREFIX);
}

/** Whether a name of a branch is one of aufs's own files, as its scans of a branch take it: what is nothing but the prefix is a name like others. */
export function isWhiteoutName(text: string): boolean {
  return text.length > WHITEOUT_PREFIX.length && isReserved(text);
}

/** The name that one of aufs's own files is the whiteout of; what marks and bases would be whiteouts of, nobody can have. */
export function hiddenBy(text: string): string {
  return text.slice(WHITEOUT_PREFIX.length);
}

/** Whether a name of a branch is aufs's own and no whiteout of what a listing shows: `.wh..wh.` hides `.wh.`, which is a name like others. */
export function isOwn(text: string): boolean {
  return text.length > OWN_PREFIX.length && text.startsWith(OWN_PREFIX);
}

/** The name that a change of a branch's name is about: a whiteout's is the one it hides (au_hnotify). */
export function changedName(text: string): string {
  return isReserved(text) ? hiddenBy(text) : text;
}

/** The whiteouts' names of a host, each made up once. */
export class WhiteoutNames {
  readonly #names: NameTable;
  readonly #whiteouts = new Map<Name, Name>();
  /** `.wh..wh..opq` */
  readonly opaqueMarker: Name;

  constructor(names: NameTable) {
    this.#names = names;
    this.opaqueMarker = names.intern(OPAQUE_MARKER);
  }

  /** `.wh.NAME`. */
  of(name: Name): Name {
    let whiteout = this.#whiteouts.get(name);
    if (whiteout === undefined) {
      whiteout = this.#names.intern(WHITEOUT_PREFIX + this.#names.text(name));
      this.#whiteouts.set(name, whiteout);
    }
    return whiteout;
  }
}
