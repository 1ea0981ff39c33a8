/**
 * Which directories are the upper or work directory of a mounted overlay (fs/overlayfs/util.c, ovl_inuse_trylock; Linux 6.18).
 *
 * Interface: one for all mounts of a host. A directory is claimed by the first mount that asks; `release` pairs with a claim that was given.
 */
import { assert } from "../../core/assert.ts";
import type { FileSystem, Inode } from "../../vfs/filesystem.ts";
import type { LayerDirectory } from "../layer.ts";

export class InUse {
  readonly #claims = new Map<FileSystem, Set<Inode>>();

  /** Claims a directory. @returns false where another mount has it. */
  claim({ fs, inode }: LayerDirectory): boolean {
    const claimed = this.#claims.get(fs) ?? new Set<Inode>();
    if (claimed.has(inode)) return false;
    this.#claims.set(fs, claimed.add(inode));
    return true;
  }

  release({ fs, inode }: LayerDirectory): void {
    assert(this.#claims.get(fs)?.delete(inode) === true, "a directory is released that no overlay has claimed");
  }

  /** Whether a directory, or one above it, is claimed. */
  covers({ fs, inode }: LayerDirectory): boolean {
    const claimed = this.#claims.get(fs);
    if (claimed === undefined || claimed.size === 0) return false;
    for (let at = inode; ; at = fs.parentOf(at)) {
      if (claimed.has(at)) return true;
      if (at === fs.root) return false;
    }
  }
}
