/**
 * Where runs of a mapping became dirty since none was: so that writing two pages of a large file back does not pass all that is cached between
 * them. Few places are enough: who writes more than PLACES_MAX before they are written back pays for a walk over the runs with that.
 *
 * Interface: places may be told twice and in any order; what has become of a place since is not known here.
 */

/** So many places are kept: eight kilobytes. */
const PLACES_MAX = 1024;

export class DirtyPlaces {
  readonly #pages: number[] = [];
  #isSorted = true;

  /** Adds a place. @returns itself; undefined when there are too many. */
  with(page: number): DirtyPlaces | undefined {
    const count = this.#pages.length;
    if (count === PLACES_MAX) return undefined;
    if (count > 0 && (this.#pages[count - 1] as number) > page) this.#isSorted = false;
    this.#pages.push(page);
    return this;
  }

  /** The index of the first place behind a page. */
  behind(page: number): number {
    const pages = this.#pages;
    if (!this.#isSorted) pages.sort((one, other) => one - other);
    this.#isSorted = true;
    let low = 0;
    let high = pages.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((pages[middle] as number) > page) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** The place of an index; undefined behind the last. */
  at(index: number): number | undefined {
    return this.#pages[index];
  }
}
