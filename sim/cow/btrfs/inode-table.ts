/** The inodes in memory, by subvolume and number (kernel: each root's inode tree), so that a subvolume's are found without looking at others. */
import type { InodeState } from "./inode-state.ts";
import { inoOf, subvolumeOf } from "./layout.ts";

export class InodeTable {
  readonly #subvolumes = new Map<number, Map<number, InodeState>>();
  /** The one that was asked for last: a walk asks several things of each inode. */
  #last: InodeState | undefined;

  get(handle: number): InodeState | undefined {
    if (this.#last?.handle === handle) return this.#last;
    const found = this.#subvolumes.get(subvolumeOf(handle))?.get(inoOf(handle));
    if (found !== undefined) this.#last = found;
    return found;
  }

  set(inode: InodeState): void {
    this.#last = inode;
    const id = subvolumeOf(inode.handle);
    let inodes = this.#subvolumes.get(id);
    if (inodes === undefined) {
      inodes = new Map();
      this.#subvolumes.set(id, inodes);
    }
    inodes.set(inoOf(inode.handle), inode);
  }

  delete(handle: number): void {
    if (this.#last?.handle === handle) this.#last = undefined;
    const id = subvolumeOf(handle);
    const inodes = this.#subvolumes.get(id);
    inodes?.delete(inoOf(handle));
    if (inodes?.size === 0) this.#subvolumes.delete(id);
  }

  /** Those of one subvolume. */
  of(subvolume: number): Iterable<InodeState> {
    return this.#subvolumes.get(subvolume)?.values() ?? [];
  }

  *all(): Generator<InodeState> {
    for (const inodes of this.#subvolumes.values()) yield* inodes.values();
  }
}
