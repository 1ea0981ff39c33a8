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
    this.#makeRoom(later.#count);
    this.#edges.set(later.#edges.subarray(0, later.#count), this.#count);
    this.#count += later.#count;
  }

  /** Makes room for so many edges more. */
  #makeRoom(edges: number): void {
    const count = this.#count + edges;
    if (count <= this.#edges.length) return;
    const more = new Float64Array(Math.max(count, 2 * this.#edges.length));
    more.set(this.#edges.subarray(0, this.#count));
    this.#edges = more;
  }

  clear(): void {
    this.#count = 0;
  }

  /** Visits what is left, in ascending order, runs that lie side by side as one. O(n log n). */
  visit(visit: VisitRun): void {
    const edges = this.#edges;
    const end = this.#count;
    // The order in which things happened is of no use any more.
    sortEdges(edges, this.#count);
    let start = 0;
    let sum = 0;
    for (let at = 0; at < end; ) {
      const unit = Math.floor((edges[at] as number) / UNIT);
      let now = sum;
      for (; at < end && (edges[at] as number) < (unit + 1) * UNIT; at++) now += (edges[at] as number) - unit * UNIT - 1;
      if (now === sum) continue;
      if (sum !== 0) visit(start, unit - start, sum > 0);
      start = unit;
      sum = now;
    }
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
