/**
 * How many users a driver's mount has (moby daemon/graphdriver/counter.go): the first Get mounts, the last Put unmounts.
 *
 * Interface: a path that is mounted when it is first asked for (after a daemon's crash) counts as used once. A count that falls to 0
 * or below is forgotten.
 */
export class RefCounter {
  readonly #counts = new Map<string, number>();
  readonly #isMounted: (path: string) => boolean;

  /** @param isMounted - tells whether a path is a mount of the driver's. */
  constructor(isMounted: (path: string) => boolean) {
    this.#isMounted = isMounted;
  }

  /** One user more. @returns the new count. */
  increment(path: string): number {
    return this.#add(path, 1);
  }

  /** One user less. @returns the new count, which a Put too many makes negative. */
  decrement(path: string): number {
    return this.#add(path, -1);
  }

  #add(path: string, step: number): number {
    const before = this.#counts.get(path) ?? (this.#isMounted(path) ? 1 : 0);
    const count = before + step;
    if (count > 0) this.#counts.set(path, count);
    else this.#counts.delete(path);
    return count;
  }
}
