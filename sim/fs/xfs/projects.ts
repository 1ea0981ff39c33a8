/**
 * Project quotas (fs/xfs/xfs_dquot.c, xfs_trans_dquot.c): how many blocks the inodes of a project have, and how many they may.
 *
 * Interface: project 0 is everything that belongs to none: it is never limited. Promised blocks count as used. Limits are kept with the
 * superblock; what is used is counted at the mount.
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
    this.#used.set(project, this.used(project) + blocks);
  }
  used(project: number): number {
    return this.#used.get(project) ?? 0;
  }
  /** A project's hard limit in blocks; undefined: none. */
  limit(project: number): number | undefined {
    return this.enforced ? this.#limits.get(project) : undefined;
  }
  /** @param blocks - 0: no limit any more. */
  setLimit(project: number, blocks: number): void {
    if (blocks === 0) this.#limits.delete(project);
    else this.#limits.set(project, blocks);
  }
  /** How many blocks more a project may have. */
  left(project: number): number {
    const limit = this.limit(project);
    return limit === undefined ? Number.POSITIVE_INFINITY : Math.max(0, limit - this.used(project));
  }

  /** All limits, for the superblock. */
  limits(): [project: number, blocks: number][] {
    return [...this.#limits];
  }
}
