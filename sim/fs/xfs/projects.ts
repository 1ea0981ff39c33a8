/**
 * Project quotas (fs/xfs/xfs_dquot.c, xfs_trans_dquot.c): how many blocks the inodes of a project have, and how many they may.
 *
 * Interface: project 0 is everything that belongs to none: it is never limited. Promised blocks count as used. Limits are kept with the
 * superblock; what is used is counted at the mount. An id may come as the signed word that an inode's column holds.
 */

export class Projects {
  /** Whether limits are kept (mount -o pquota). */
  readonly enforced: boolean;
  readonly #used = new Map<number, number>();
  readonly #limits = new Map<number, number>();

  constructor(enforced: boolean) {
    this.enforced = enforced;
  }

  /** Adds to what a project uses. */
  charge(project: number, blocks: number): void {
    if (project === 0 || blocks === 0) return;
    this.#used.set(project >>> 0, this.used(project) + blocks);
  }
  used(project: number): number {
    return this.#used.get(project >>> 0) ?? 0;
  }
  /** A project's hard limit in blocks; undefined: none. */
  limit(project: number): number | undefined {
    return this.enforced ? this.#limits.get(project >>> 0) : undefined;
  }
  /** @param blocks - 0: no limit any more. */
  setLimit(project: number, blocks: number): void {
    if (blocks === 0) this.#limits.delete(project >>> 0);
    else this.#limits.set(project >>> 0, blocks);
  }
  /** How many blocks more a project may have. */
  left(project: number): number {
    const limit = this.limit(project);
    return limit === undefined ? Number.POSITIVE_INFINITY : Math.max(0, limit - this.used(project));
  }

  /**
   * What a write by a project may take in advance (xfs_quota_calc_throttle): nothing at the limit, and less near it.
   * @param blocks - how many it would take. @returns how many at most, by how many bits to cut them, and how many there are.
   */
  throttle(project: number, blocks: number): { most: number; shift: number; free: number } {
    const limit = this.limit(project);
    const used = this.used(project);
    if (limit === undefined || used + blocks < limit) return { most: blocks, shift: 0, free: Number.POSITIVE_INFINITY };
    const free = Math.max(0, limit - used);
    const percent = Math.floor(limit / 100);
    let shift = 0;
    for (const low of [5, 3, 1]) if (free < low * percent) shift += 2;
    return Math.floor(free / 2 ** shift) < blocks ? { most: free, shift, free } : { most: blocks, shift: 0, free };
  }

  /** All limits, for the superblock. */
  limits(): [project: number, blocks: number][] {
    return [...this.#limits];
  }
}
