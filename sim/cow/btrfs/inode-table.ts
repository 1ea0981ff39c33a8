/** The inodes in memory, by subvolume and number (kernel: each root's inode tree), so that a subvolume's are found without looking at others. */
import type { InodeState } from "./inode-state.ts";
import { inoOf, subvolumeOf } from "./layout.ts";

/** How many places there are for those that were asked for last. */
const RECENT = 256;

export class InodeTable {
  readonly #subvolumes = new Map<number, Map<number, InodeState>>();
  /** Those that were asked for last, by their handles: a walk asks several things of each inode, and the next walk asks them again. */
  readonly #recent: (InodeState | undefined)[] = new Array<InodeState | undefined>(RECENT).fill(undefined);

  get(handle: number): InodeState | undefined {
    const place = placeOf(handle);
    const recent = this.#recent[place];
    if (recent !== undefined && recent.handle === handle) return recent;
    const found = this.#subvolumes.get(subvolumeOf(handle))?.get(inoOf(handle));
    if (found !== undefined) this.#recent[place] = found;
    return found;
  }

  set(inode: InodeState): void {
    this.#recent[placeOf(inode.handle)] = inode;
    const id = subvolumeOf(inode.handle);
    let inodes = this.#subvolumes.get(id);
    if (inodes === undefined) {
      inodes = new Map();
      this.#subvolumes.set(id, inodes);
    }
    inodes.set(inoOf(inode.handle), inode);
  }

  delete(handle: number): void {
    const place = placeOf(handle);
    if (this.#recent[place]?.handle === handle) this.#recent[place] = undefined;
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

/** Where an inode is among those that were asked for last: inodes of one number in neighbouring subvolumes are not at one place. */
function placeOf(handle: number): number {
  return (inoOf(handle) + 37 * subvolumeOf(handle)) & (RECENT - 1);
}
