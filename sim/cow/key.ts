/** Keys of items: (object, kind, offset), ordered in that order. */

export interface Key {
  readonly object: number;
  readonly kind: number;
  readonly offset: number;
}

/** Less than, equal to or greater than 0, as keys are ordered. */
export function compareKeys(one: Key, other: Key): number {
  return one.object - other.object || one.kind - other.kind || one.offset - other.offset;
}
