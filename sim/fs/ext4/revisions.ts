/**
 * Records that tell what changed: a block of metadata that differs little from one commit to the next is not kept whole in each of them.
 *
 * Interface: such a record names the one that it builds on (`since`); one that builds on none is whole. Records stay immutable, and a commit
 * costs what changed in it. `Revisions` begins anew with a whole one when the changes since the last outweigh it, so that what a block's
 * records keep alive is at most twice the block.
 */
import type { PackedWords } from "./packed-words.ts";

/** The record before it and so on back to the last whole one, in the order of time; the last is the record itself. */
export function historyOf<Version extends { readonly since: Version | undefined }>(record: Version): Version[] {
  const history = [record];
  for (let at = record.since; at !== undefined; at = at.since) history.push(at);
  return history.reverse();
}

/** The last record of one block. */
export class Revisions {
  #packed: PackedWords | undefined;
  #at = 0;
  /** Changes told since the last whole record. */
  #behind = 0;

  /**
   * Puts what the record that is being put builds on, and notes it as the last.
   * @param changes - how many it would tell.
   * @param whole - how many a whole one would tell, about.
   * @returns whether it tells changes alone; else it has to be whole.
   */
  begin(into: PackedWords, changes: number, whole: number): boolean {
    const before = this.#packed;
    this.#behind += changes;
    const builds = before !== undefined && this.#behind <= whole;
    if (builds) into.putPlace(before, this.#at);
    else {
      into.put(0);
      this.#behind = 0;
    }
    this.#packed = into;
    this.#at = into.entry;
    return builds;
  }
}
