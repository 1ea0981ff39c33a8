/** The extended attributes that lie in an inode, as an immutable list. */
import type { Content } from "../../core/content.ts";

/**
 * An attribute in an inode, and those behind it. Never changed, but replaced: records of the inode table share them. One or two are the
 * rule, and a Map is many times larger.
 */
export interface Xattr {
  readonly name: string;
  readonly value: Content;
  readonly next: Xattr | undefined;
}

/** The value of a name, if it is there. */
export function valueIn(list: Xattr | undefined, name: string): Content | undefined {
  for (let at = list; at !== undefined; at = at.next) if (at.name === name) return at.value;
  return undefined;
}

/** The list with another value for a name: in its place, or at the end. */
export function withValue(list: Xattr | undefined, name: string, value: Content): Xattr {
  if (list === undefined || list.name === name) return { name, value, next: list?.next };
  return { name: list.name, value: list.value, next: withValue(list.next, name, value) };
}

/** The list without a name. */
export function without(list: Xattr | undefined, name: string): Xattr | undefined {
  if (list === undefined || list.name === name) return list?.next;
  return { name: list.name, value: list.value, next: without(list.next, name) };
}
