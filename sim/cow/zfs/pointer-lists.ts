/**
 * The blocks of the lists of pointers that datasets have in the meta object set (module/zfs/bpobj.c): one object for each sublist of a dead list
 * (dsl_deadlist.c), and one for the blocks that a clone has written and let go since it was made (dd_livelist).
 *
 * Interface: what the lists hold is their owners'; here is what they take. Checksums are left out of their pointers (bpobj_enqueue).
 */
import { type Errno, isErrno } from "../../core/errno.ts";
import { alignUp } from "../../core/units.ts";
import type { BlockPointer } from "./block-pointer.ts";
import { SECTOR } from "./compress.ts";
import { type DeadListRecord, packedSublists } from "./dead-list.ts";
import type { MetaBlocks } from "./meta-blocks.ts";

interface Known {
  readonly list: DeadListRecord;
  readonly live: number;
  readonly blocks: readonly BlockPointer[];
}

const NONE: readonly never[] = [];

export class PointerLists {
  readonly #blocks: MetaBlocks;
  /** Of the datasets that have any. */
  readonly #known = new Map<number, Known>();

  constructor(blocks: MetaBlocks) {
    this.#blocks = blocks;
  }

  /**
   * Gives the lists of a dataset the places that they need now.
   * @param live - bytes of a clone's own list; below 0: it has none
   * @returns their blocks.
   */
  fit(id: number, list: DeadListRecord, live: number): readonly BlockPointer[] | Errno {
    const known = this.#known.get(id);
    const { emptyList } = this.#blocks.store.profile.poolCosts;
    if (emptyList === 0) return NONE;
    if (known === undefined ? list.lists.length === 0 && live <= 0 : known.list === list && known.live === live)
      return known?.blocks ?? NONE;
    const packed = live > 0 ? [...packedSublists(list), live] : packedSublists(list);
    const left = [...(known?.blocks ?? NONE)];
    const blocks: BlockPointer[] = [];
    for (const bytes of packed) {
      const size = alignUp(emptyList + bytes, SECTOR);
      const at = left.findIndex(({ physicalSize }) => physicalSize === size);
      const made = at < 0 ? this.#blocks.writeSystem(size, { object: id }) : (left.splice(at, 1)[0] as BlockPointer);
      if (isErrno(made)) return made;
      blocks.push(made);
    }
    for (const pointer of left) this.#blocks.kill(pointer);
    // The very list where nothing has come to another place: a record that says the same is not written anew.
    const isSame =
      known !== undefined && known.blocks.length === blocks.length && known.blocks.every((one, at) => one === blocks[at]);
    const kept = isSame ? known.blocks : blocks;
    if (kept.length === 0) this.#known.delete(id);
    else this.#known.set(id, { list, live, blocks: kept });
    return kept;
  }

  /** A dataset goes. */
  remove(id: number): void {
    for (const pointer of this.#known.get(id)?.blocks ?? NONE) this.#blocks.kill(pointer);
    this.#known.delete(id);
  }

  /** What the devices tell of a dataset's lists. */
  learn(id: number, list: DeadListRecord, live: number, blocks: readonly BlockPointer[]): void {
    if (blocks.length > 0) this.#known.set(id, { list, live, blocks });
  }
}
