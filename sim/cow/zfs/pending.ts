/**
 * What an object has in memory that its blocks on the device do not: pages of a file, names of a directory. Each kind writes itself.
 */
import type { Errno } from "../../core/errno.ts";
import type { BlockKind, BlockPointer } from "./block-pointer.ts";
import type { BlockTree } from "./block-tree.ts";
import type { ZfsProfile } from "./profile.ts";
import type { BlockStore, NewBlock } from "./store.ts";

/** A block that is not to be written: a hole, one that lies in its pointer, or one that is on the devices already. */
export interface PlacedBlock {
  readonly placed: BlockPointer | undefined;
}

/** What decides how a block is written. */
export interface BlockIo {
  readonly profile: ZfsProfile;
  readonly store: BlockStore;
  copies(kind: BlockKind): number;
  /** A compressed size as it is stored. */
  rounded(compressed: number, logical: number): number;
}

/** How a pending object writes its blocks. */
export interface ObjectIo extends BlockIo {
  readonly tree: BlockTree;
  /** Writes a block and puts it in the object's tree. */
  write(block: number, data: NewBlock | PlacedBlock): Errno | undefined;
}

export interface PendingObject {
  sync(io: ObjectIo): Errno | undefined;
}

/** What an object set is told by, and tells, its dataset. */
export interface ObjectSetOwner {
  /** Copies of data blocks: the property "copies". */
  readonly copies: number;
  /** Whether the indirect blocks right above data have a copy more (redundant_metadata=all), as other metadata has. */
  readonly isRedundant: boolean;
  born(pointer: BlockPointer): void;
  kill(pointer: BlockPointer): void;
}
