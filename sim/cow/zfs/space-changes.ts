/**
 * What a metaslab's space went through: runs taken and given back, one after the other, and what is left of that in the end (the range trees
 * ms_allocating, ms_freeing, ms_unflushed_allocs and ms_unflushed_frees of module/zfs/metaslab.c).
 *
 * Interface: a place is taken and given back by turns, so that of all that happened to it either nothing is left or what happened last.
 */

/** A run that is left: `count` units from `start` on, taken or given back. */
export type VisitRun = (start: number, count: number, isTaken: boolean) => void;

/** Edges as one number each: four times the unit, and above that what begins there: 0 one run given back, 2 one taken. */
const UNIT = 4;
const GIVEN = 0;
const TAKEN = 2;
/** Edges that there is room for at first. */
const EDGES_MIN = 16;

export class SpaceChanges {
  #edges = new Float64Array(EDGES_MIN);
  #count = 0;

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** A run was taken, or given back. */
  add(start: number, count: number, isTaken: boolean): void {
    const begins = start * UNIT + (isTaken ? TAKEN : GIVEN);
    const ends = (start + count) * UNIT + (isTaken ? GIVEN : TAKEN);
    const last = this.#count - 1;
    // Most runs go on where the one before them ended.
    if (last > 0 && this.#edges[last] === start * UNIT + (isTaken ? GIVEN : TAKEN)) {
      this.#edges[last] = ends;
      return;
    }
    this.#makeRoom(2);
    this.#edges[this.#count] = begins;
    this.#edges[this.#count + 1] = ends;
    this.#count += 2;
  }

  /** Everything that others went through, behind what is here. */
  addAll(later: SpaceChanges): void {
    const from = later.#edges;
    const to = this.#makeRoom(later.#count);
    const first = this.#count;
    const count = later.#count;
    // A view of few costs more than they do.
    if (count > FEW) to.set(from.subarray(0, count), first);
    else for (let at = 0; at < count; at++) to[first + at] = from[at] as number;
    this.#count = first + count;
  }

  /** Makes room for so many edges more. @returns the edges. */
  #makeRoom(edges: number): Float64Array {
    const count = this.#count + edges;
    if (count <= this.#edges.length) return this.#edges;
    const more = new Float64Array(Math.max(count, 2 * this.#edges.length));
    more.set(this.#edges.subarray(0, this.#count));
    this.#edges = more;
    return more;
  }

  clear(): void {
    this.#count = 0;
  }

  /** Leaves what is left, in ascending order, runs that lie side by side as one. O(n log n). @returns how many runs that are, until there are more changes. */
  settle(): number {
    const edges = this.#edges;
    const end = this.#count;
    // The order in which things happened is of no use any more.
    sortEdges(edges, end);
    let left = 0;
    let start = 0;
    let sum = 0;
    for (let at = 0; at < end; ) {
      const unit = Math.floor((edges[at] as number) / UNIT);
      let now = sum;
      for (; at < end && (edges[at] as number) < (unit + 1) * UNIT; at++) now += (edges[at] as number) - unit * UNIT - 1;
      const isOther = Math.sign(now) !== Math.sign(sum);
      if (isOther && sum !== 0) {
        edges[left] = start * UNIT + (sum > 0 ? TAKEN : GIVEN);
        edges[left + 1] = unit * UNIT + (sum > 0 ? GIVEN : TAKEN);
        left += 2;
      }
      if (isOther) start = unit;
      sum = now;
    }
    this.#count = left;
    return left / 2;
  }

  // A run that is left, by its number

  start(run: number): number {
    return Math.floor((this.#edges[2 * run] as number) / UNIT);
  }
  count(run: number): number {
    return Math.floor((this.#edges[2 * run + 1] as number) / UNIT) - this.start(run);
  }
  isTaken(run: number): boolean {
    return (this.#edges[2 * run] as number) % UNIT === TAKEN;
  }

  /** Visits what is left, in ascending order. */
  visit(visit: VisitRun): void {
    const runs = this.settle();
    for (let run = 0; run < runs; run++) visit(this.start(run), this.count(run), this.isTaken(run));
  }
}

/** Up to so many are sorted one by one: to call upon the array's own sort costs as much. */
const FEW = 64;

function sortEdges(edges: Float64Array, count: number): void {
  if (count > FEW) {
    edges.subarray(0, count).sort();
    return;
  }
  for (let next = 1; next < count; next++) {
    const edge = edges[next] as number;
    let at = next;
    for (; at > 0 && (edges[at - 1] as number) > edge; at--) edges[at] = edges[at - 1] as number;
    edges[at] = edge;
  }
}
