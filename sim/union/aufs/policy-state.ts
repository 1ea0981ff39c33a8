/**
 * What the policies that choose among writable branches remember from one name to the next (fs/aufs/super.h, si_wbr_rr_next and si_wbr_mfs).
 */

/** What the policies remember. */
export class PolicyState {
  /** Whose turn it is, counting down; undefined before the first. */
  turn: number | undefined;
  /** The branch that had most space, and how much, when it was looked for last; -1 before. */
  fullest = -1;
  mostBytes = 0;
  lookedAt = 0;
  /** Free bytes of each upper branch at that look. */
  free: number[] = [];

  /** Branches have changed: everything is looked at anew. */
  reset(): void {
    this.turn = undefined;
    this.fullest = -1;
    this.free = [];
  }
}
