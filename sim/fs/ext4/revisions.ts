/**
 * Records that tell what changed: a block of metadata that differs little from one commit to the next is not kept whole in each of them.
 *
 * Interface: such a record names the one that it builds on (`since`); one that builds on none is whole. Records stay immutable, and a commit
 * costs what changed in it. `Revisions` begins anew with a whole one when the changes since the last outweigh it, so that what a block's
 * records keep alive is at most twice the block.
 */

/** The record before it and so on back to the last whole one, in the order of time; the last is the record itself. */
export function historyOf<Version extends { readonly since: Version | undefined }>(record: Version): Version[] {
  const history = [record];
  for (let at = record.since; at !== undefined; at = at.since) history.push(at);
  return history.reverse();
}

/** The last record of one block. */
export class Revisions<Version> {
  #last: Version | undefined;
  /** Changes told since the last whole record. */
  #behind = 0;

  /**
   * What the next record builds on; undefined: it has to be whole.
   * @param changes - how many it tells.
   * @param whole - how many a whole one would tell, about.
   */
  base(changes: number, whole: number): Version | undefined {
    this.#behind += changes;
    if (this.#last !== undefined && this.#behind <= whole) return this.#last;
    this.#behind = 0;
    return undefined;
  }

  /** Notes the record that was made. */
  made(record: Version): Version {
    this.#last = record;
    return record;
  }
}
