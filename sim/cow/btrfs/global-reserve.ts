/**
 * The global reserve: bytes for nodes that are kept for what must not fail, such as what a commit changes, and what takes away
 * (fs/btrfs/block-rsv.c: btrfs_update_global_block_rsv; Linux 6.18).
 *
 * Interface: it is as large as the trees of extents, checksums and free space were when the filesystem was mounted, or when a chunk was last made; at least what one removal needs.
 */
import { MIB } from "../../core/units.ts";
import { CHECKSUM_TREE, EXTENT_TREE, FREE_SPACE_TREE, ITEM_RESERVE, NODE_SIZE, ROOT_TREE } from "./layout.ts";

/** What taking a name away changes, in items (BTRFS_UNLINK_METADATA_UNITS). */
const REMOVAL_ITEMS = 6;
const LARGEST = MIB(512);
/** The trees that a commit changes whatever was done. */
const COUNTED: readonly number[] = [EXTENT_TREE, CHECKSUM_TREE, FREE_SPACE_TREE];

interface Counted {
  visitNodes(visitor: () => void): void;
}

export class GlobalReserve {
  readonly #trees: ReadonlyMap<number, Counted>;
  #size = 0;
  /** Nodes that the root tree had when it was mounted, which are never counted. */
  #rootNodes: number | undefined;
  #isOld = true;

  constructor(trees: ReadonlyMap<number, Counted>) {
    this.#trees = trees;
  }

  /** A chunk was made: the next who asks has the size of then. */
  renew(): void {
    this.#isOld = true;
  }

  /** How many bytes a change of an extent's references reserves: of the extent tree, and of the free space tree where there is one (btrfs_calc_delayed_ref_bytes). */
  get referenceBytes(): number {
    return this.#trees.has(FREE_SPACE_TREE) ? 2 * ITEM_RESERVE : ITEM_RESERVE;
  }

  get size(): number {
    if (this.#isOld) this.#update();
    return this.#size;
  }

  #update(): void {
    this.#isOld = false;
    const counted = COUNTED.filter((id) => this.#trees.has(id));
    const rootNodes = this.#nodesOf(ROOT_TREE);
    this.#rootNodes ??= rootNodes;
    const nodes = counted.reduce((sum, id) => sum + this.#nodesOf(id), Math.max(0, rootNodes - this.#rootNodes));
    const items = 1 + counted.length + REMOVAL_ITEMS;
    const least = items * ITEM_RESERVE + REMOVAL_ITEMS * this.referenceBytes;
    this.#size = Math.min(LARGEST, Math.max(nodes * NODE_SIZE, least));
  }

  #nodesOf(id: number): number {
    let count = 0;
    this.#trees.get(id)?.visitNodes(() => {
      count += 1;
    });
    return count;
  }
}
