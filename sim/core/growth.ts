/**
 * How large an array becomes that has no room left. Each growth copies what there is, and what is not used yet weighs as much as what is. So small
 * arrays grow by half; large ones, which are most of a host's memory, by an eighth: an item is then copied about eight times, in one run with all
 * others, which is little beside the call that added it.
 */

/** From so many items on a table is large. */
const LARGE = 4096;

/** The room, in items, of an array that has to hold at least `needed` of them. @returns at least `needed`. */
export function roomFor(needed: number): number {
  return needed + Math.ceil(needed / (needed < LARGE ? 2 : 8));
}
