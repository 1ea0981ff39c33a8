/**
 * What aufs marks in its nodes beyond the flags that all unions have: the bits are those of marks that only overlayfs makes.
 */
import { IS_IMPURE, IS_INDEXED, IS_METACOPY } from "../nodes.ts";

/** Its upper inode stands for names that only lower branches have yet (fs/aufs/plink.c). */
export const IS_PSEUDO_LINKED: number = IS_INDEXED;
/** An exchange moved the directory, and nobody has asked for its attributes since. */
export const IS_DISPLACED: number = IS_IMPURE;
/** An exchange with a file has made the directory one that cannot be listed. */
export const IS_UNLISTABLE: number = IS_METACOPY;
