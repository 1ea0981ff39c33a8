/**
 * How large the next block of an intent log is made (module/zfs/zil.c: zil_block_buckets, zil_lwb_write_issue; OpenZFS 2.1). It is taken before anybody
 * knows what will be in it: by what was last written, and by the largest of the sixteen before.
 */
import { KIB } from "../../core/units.ts";
import { LOG_BLOCK_BYTES } from "./log-chain.ts";

/** Up to so many bytes a commit gets blocks of that size. */
const BUCKETS: readonly { readonly most: number; readonly size: number }[] = [
  { most: KIB(4), size: KIB(4) },
  { most: KIB(8 + 4), size: KIB(8 + 4) },
  { most: KIB(32 + 4), size: KIB(32 + 4) },
  { most: KIB(64 + 4), size: KIB(64 + 4) },
  { most: KIB(128), size: KIB(128) },
  // One write of 128 KiB: with its record it needs two of these.
  { most: KIB(128 + 4), size: KIB(64 + 4) },
];
/** Sizes that are remembered (ZIL_PREV_BLKS). */
const REMEMBERED = 16;

export class LogSizes {
  readonly #before: number[] = new Array(REMEMBERED).fill(0);
  #rotor = 0;

  /** The size of the next block. @param committed - bytes that the commit at work has written so far, with the head of a block. */
  next(committed: number): number {
    const size = BUCKETS.find(({ most }) => committed <= most)?.size ?? LOG_BLOCK_BYTES;
    this.#before[this.#rotor] = size;
    this.#rotor = (this.#rotor + 1) % REMEMBERED;
    return Math.max(...this.#before);
  }
}
