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
import { hiddenBy, isReserved, NAME_LENGTH_MAX, WhiteoutNames } from "./names.ts";

/** In the place of a lower layer's number: the writable branch. */
export const UPPER_BRANCH = -1;

export class AufsRules implements LayerRules {
  readonly followsRedirects = false;
  readonly listsFromTop = true;
  readonly mergesPastOthers = true;
  readonly whiteouts: WhiteoutNames;
  readonly #names: NameTable;
  /** By lower layer: whether whiteouts count there. */
  readonly #heeds: readonly boolean[];

  constructor(names: NameTable, heeds: readonly boolean[]) {
    this.#names = names;
    this.whiteouts = new WhiteoutNames(names);
    this.#heeds = heeds;
  }

  /** Whether whiteouts count in a layer. */
  heedsWhiteouts(layer: number): boolean {
    return layer === UPPER_BRANCH || this.#heeds[layer] === true;
  }

  /** @returns EIO where a whiteout's name is no regular file. */
  probe(fs: FileSystem, directory: Inode, name: Name, layer: number): number | Errno {
    if (this.heedsWhiteouts(layer)) {
      const whiteout = fs.lookup(directory, this.whiteouts.of(name));
      if (!isErrno(whiteout)) return (fs.mode(whiteout) & S_IFMT) === S_IFREG ? WHITEOUT : EIO;
      if (whiteout !== ENOENT && whiteout !== ENAMETOOLONG) return whiteout;
    }
    const found = fs.lookup(directory, name);
    return found === ENOENT ? ABSENT : found;
  }

  marksOf(fs: FileSystem, directory: Inode, layer: number): number {
    if (!this.heedsWhiteouts(layer)) return 0;
    return isErrno(fs.lookup(directory, this.whiteouts.opaqueMarker)) ? 0 : OPAQUE;
  }

  redirectOf(): undefined {
    return undefined;
  }

  lacksData(): boolean {
    return false;
  }

  readonly followsMetacopies = false;

  dataPathOf(): undefined {
    return undefined;
  }

  /** A name that is too long to be reached is listed all the same, without its type. */
  list(fs: FileSystem, directory: Inode, _marks: number, visit: VisitLayerEntry, layer: number): Errno | undefined {
    const heeds = this.heedsWhiteouts(layer);
    const own: [name: Name, inodeNumber: number, type: number][] = [];
    const failed = fs.iterate(directory, (name, inodeNumber, type) => {
      const text = this.#names.text(name);
      if (!isReserved(text)) {
        own.push([name, inodeNumber, this.#names.byteLength(name) > NAME_LENGTH_MAX ? 0 : type]);
        return;
      }
      const hidden = heeds ? hiddenBy(text) : undefined;
      if (hidden !== undefined) visit(this.#names.intern(hidden), inodeNumber, type, true);
    });
    // A whiteout hides what its own branch has under the name too, as lookup does.
    for (const [name, inodeNumber, type] of own) visit(name, inodeNumber, type, false);
    return failed;
  }
}
