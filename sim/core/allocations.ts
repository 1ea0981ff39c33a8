/**
 * Allocations of space that a test makes fail, once or for ever (after the kernel's lib/fault-inject.c: should_fail).
 *
 * Each engine asks here before it promises or takes what it may be refused: blocks and inodes, items of a transaction, blocks of a thin pool. A
 * refusal looks to it as if there were no room.
 *
 * Interface: allocations are counted from 1 for the whole host, in the order in which they are asked for, so that the same run counts the same.
 */
export class Allocations {
  #count = 0;
  #failed = 0;
  #from = Number.POSITIVE_INFINITY;
  #end = Number.POSITIVE_INFINITY;

  /** How many were asked for. */
  get count(): number {
    return this.#count;
  }

  /** How many of them failed by a test's will. */
  get failed(): number {
    return this.#failed;
  }

  /**
   * Lets the `at`-th allocation from now on fail, and those behind it.
   * @param at - from 1 on
   * @param times - how many fail in a row; `Infinity`: for ever
   */
  fail(at: number, times: number): void {
    this.#from = this.#count + at;
    this.#end = this.#from + times;
  }

  /** None fails any more. */
  heal(): void {
    this.#from = Number.POSITIVE_INFINITY;
    this.#end = Number.POSITIVE_INFINITY;
  }

  /** Counts one allocation. @returns whether it fails. */
  fails(): boolean {
    this.#count += 1;
    if (this.#count < this.#from || this.#count >= this.#end) return false;
    this.#failed += 1;
    return true;
  }
}
