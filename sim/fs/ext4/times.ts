/**
 * Timestamps as ext4 keeps them (fs/ext4/ext4.h: ext4_encode_extra_time, ext4_decode_extra_time): 32 bits of signed seconds, and a word
 * with two more bits of them and the nanoseconds. What is not between 1901 and 2446 is kept as the end that it reached, without nanoseconds (timestamp_truncate).
 */
import type { Time } from "../../core/clock.ts";
import { ATIME, CTIME, MTIME } from "./inode-words.ts";

/** EXT4_TIMESTAMP_MIN and EXT4_EXTRA_TIMESTAMP_MAX. */
const SECONDS_MIN: number = -(2 ** 31);
const SECONDS_MAX: number = 2 ** 34 - 1 - 2 ** 31;
const EPOCH_BITS = 2;
const EPOCH_MASK: number = (1 << EPOCH_BITS) - 1;
const EPOCH = 2 ** 32;
/** Times that are remembered as objects; most inodes of a filesystem have one of few. */
const REMEMBERED = 64;
/** That of two words of zeros. */
const NO_TIME: Time = { seconds: 0, nanoseconds: 0 };

/** Puts a time into two words. */
export function putTime(words: Int32Array, at: number, time: Time): void {
  let { seconds, nanoseconds } = time;
  if (seconds <= SECONDS_MIN || seconds >= SECONDS_MAX) {
    seconds = seconds <= SECONDS_MIN ? SECONDS_MIN : SECONDS_MAX;
    nanoseconds = 0;
  }
  const low = seconds | 0;
  words[at] = low;
  words[at + 1] = (nanoseconds << EPOCH_BITS) | (seconds === low ? 0 : (seconds - low) / EPOCH);
}

/** Makes times of words: the same object for the same words, where it was asked not long ago, so that a stat makes none. */
export class TimeReader {
  readonly #low = new Int32Array(REMEMBERED);
  readonly #extra = new Int32Array(REMEMBERED);
  readonly #times: Time[] = new Array<Time>(REMEMBERED).fill(NO_TIME);
  readonly #inode = { atime: NO_TIME, mtime: NO_TIME, ctime: NO_TIME };

  /** The times of an inode whose row begins there; the same object each time. */
  ofInode(words: Int32Array, at: number): { readonly atime: Time; readonly mtime: Time; readonly ctime: Time } {
    const times = this.#inode;
    times.atime = this.get(words, at + ATIME);
    times.mtime = this.get(words, at + MTIME);
    times.ctime = this.get(words, at + CTIME);
    return times;
  }

  /** The time in two words. */
  get(words: Int32Array, at: number): Time {
    const low = words[at] as number;
    const extra = words[at + 1] as number;
    // A tick is 4 ms or so: 2^22 nanoseconds, 2^24 with the bits of the epoch. Times within one are some nanoseconds apart.
    const slot = (low ^ (extra >>> 24) ^ (extra >>> EPOCH_BITS)) & (REMEMBERED - 1);
    if (this.#low[slot] === low && this.#extra[slot] === extra) return this.#times[slot] as Time;
    const time = { seconds: low + (extra & EPOCH_MASK) * EPOCH, nanoseconds: extra >>> EPOCH_BITS };
    this.#low[slot] = low;
    this.#extra[slot] = extra;
    this.#times[slot] = time;
    return time;
  }
}
