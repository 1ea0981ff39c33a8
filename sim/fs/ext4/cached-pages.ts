/** What ext4 asks of the pages of a file. */
import type { Mapping } from "../../vfs/address-space.ts";

/** A mapping that ends with its inode. */
export interface CachedPages extends Mapping {
  /** Forgets every page, dirty or not. */
  discard(): void;
}
