/**
 * What aufs finds in its branches: whiteouts and marks of opaque directories are names (spec/union.md sections 11 and 12;
 * fs/aufs/dentry.c, whout.c, vdir.c).
 *
 * Interface: a branch heeds whiteouts when it is writable or "+wh"; in others they are only not shown.
 */
import { EIO, ENAMETOOLONG, ENOENT, type Errno, isErrno } from "../../core/errno.ts";
import type { Name, NameTable } from "../../core/names.ts";
import { type FileSystem, type Inode, S_IFMT, S_IFREG } from "../../vfs/filesystem.ts";
import { ABSENT, type LayerRules, OPAQUE, type VisitLayerEntry, WHITEOUT } from "../layer.ts";
import { hiddenBy, isOwn, isWhiteoutName, NAME_LENGTH_MAX, WhiteoutNames } from "./names.ts";

export class AufsRules implements LayerRules {
  readonly followsRedirects = false;
  readonly listsFromTop = true;
  readonly mergesPastOthers = true;
  readonly looksAtLowestMarks = true;
  readonly whiteouts: WhiteoutNames;
  readonly #names: NameTable;
  readonly showsWhiteouts: boolean;
  /** By lower layer: whether whiteouts count there. */
  readonly #heeds: readonly boolean[];

  /** @param heeds - by lower layer, whether whiteouts count there. @param shows - whether their own names can be found too (shwh). */
  constructor(names: NameTable, heeds: readonly boolean[], shows = false) {
    this.#names = names;
    this.whiteouts = new WhiteoutNames(names);
    this.#heeds = heeds;
    this.showsWhiteouts = shows;
  }

  /**
   * What a branch's directory has at a name: its inode, ABSENT or WHITEOUT. @param heeds - whether whiteouts count in the branch.
   * @returns EIO where a whiteout's name is no regular file.
   */
  find(fs: FileSystem, directory: Inode, name: Name, heeds: boolean): number | Errno {
    const isWhited = heeds && this.#has(fs, directory, this.whiteouts.of(name));
    if (isErrno(isWhited)) return isWhited;
    if (isWhited) return WHITEOUT;
    const found = fs.lookup(directory, name);
    return found === ENOENT ? ABSENT : found;
  }

  /** Whether a branch's directory hides what lies below. Precondition: whiteouts count in the branch. @returns EIO as `find`. */
  isOpaque(fs: FileSystem, directory: Inode): boolean | Errno {
    return this.#has(fs, directory, this.whiteouts.opaqueMarker);
  }

  /** Whether a branch's directory has a whiteout, or the mark of an opaque one (au_wh_test). */
  #has(fs: FileSystem, directory: Inode, own: Name): boolean | Errno {
    const found = fs.lookup(directory, own);
    if (isErrno(found)) return found === ENOENT || found === ENAMETOOLONG ? false : found;
    return (fs.mode(found) & S_IFMT) === S_IFREG ? true : EIO;
  }

  probe(fs: FileSystem, directory: Inode, name: Name, layer: number): number | Errno {
    return this.find(fs, directory, name, this.#heeds[layer] === true);
  }

  marksOf(fs: FileSystem, directory: Inode, layer: number): number | Errno {
    const isOpaque = this.#heeds[layer] === true && this.isOpaque(fs, directory);
    return isErrno(isOpaque) ? isOpaque : isOpaque ? OPAQUE : 0;
  }

  redirectOf(): undefined {
    return undefined;
  }

  lacksData(): boolean {
    return false;
  }

  readonly followsMetacopies = false;

  list(fs: FileSystem, directory: Inode, visit: VisitLayerEntry, layer: number, isLast = false): Errno | undefined {
    return this.listBranch(fs, directory, this.#heeds[layer] === true && !isLast, visit);
  }

  /**
   * What a branch's directory holds, in its own order: a whiteout hides what comes after it. A name that is too long to be reached is listed all the
   * same, without its type (vdir.c, fillvdir). @param heeds - whiteouts are told: they count in the branch, and a branch below takes part.
   */
  listBranch(fs: FileSystem, directory: Inode, heeds: boolean, visit: VisitLayerEntry): Errno | undefined {
    return fs.iterate(directory, (name, inodeNumber, type) => {
      const text = this.#names.text(name);
      if (!isWhiteoutName(text)) {
        visit(name, inodeNumber, this.#names.byteLength(name) > NAME_LENGTH_MAX ? 0 : type, false);
      } else if (this.showsWhiteouts || (heeds && !isOwn(text))) {
        visit(this.#names.intern(hiddenBy(text)), inodeNumber, type, true);
      }
    });
  }
}
