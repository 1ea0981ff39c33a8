/**
 * What an object has in memory that its blocks on the device do not: pages of a file, names of a directory. Each kind writes itself.
 */
import type { Errno } from "../../core/errno.ts";
import type { BlockKind, BlockPointer } from "./block-pointer.ts";
import type { BlockTree } from "./block-tree.ts";
import type { ZfsProfile } from "./profile.ts";
import type { BlockStore, NewBlock } from "./store.ts";

/** How a pending object writes its blocks. */
export interface ObjectIo {
  readonly tree: BlockTree;
  readonly profile: ZfsProfile;
  readonly store: BlockStore;
  /** Writes a block and puts it in the object's tree. */
  write(block: number, data: NewBlock | { readonly embedded: BlockPointer | undefined }): Errno | undefined;
  copies(kind: BlockKind): number;
  /** A compressed size as it is stored. */
  rounded(compressed: number, logical: number): number;
}

export interface PendingObject {
  sync(io: ObjectIo): Errno | undefined;
}
