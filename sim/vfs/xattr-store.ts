/**
 * Extended attributes of the few inodes that have any, in memory (fs/xattr.c: simple_xattrs).
 */
import { EEXIST, EINVAL, ENODATA, ENOTSUP, type Errno } from "../core/errno.ts";
import { XATTR_CREATE, XATTR_REPLACE } from "./filesystem.ts";

/** What a filesystem keeps: namespaces, such as "user.", and names for which it has a handler each. */
export interface XattrNames {
  readonly prefixes: readonly string[];
  readonly whole: readonly string[];
}

/** Why a filesystem has no such name (xattr_resolve_name): EINVAL for a namespace with no name in it, ENOTSUP for one that it does not keep. */
export function resolveError(name: string, { prefixes, whole }: XattrNames): Errno | undefined {
  for (const prefix of prefixes) if (name.startsWith(prefix)) return name.length === prefix.length ? EINVAL : undefined;
  return whole.includes(name) ? undefined : ENOTSUP;
}

/** One attribute of an inode; an inode's form a list, since one or two are the rule and a Map is many times larger. */
interface Xattr {
  readonly name: string;
  value: Uint8Array;
  next: Xattr | undefined;
}

export class XattrStore {
  readonly #first = new Map<number, Xattr>();

  #find(inode: number, name: string): Xattr | undefined {
    let at = this.#first.get(inode);
    while (at !== undefined && at.name !== name) at = at.next;
    return at;
  }

  /** @returns ENODATA when there is none. */
  get(inode: number, name: string): Uint8Array | Errno {
    return this.#find(inode, name)?.value ?? ENODATA;
  }

  /** Why the flags of setxattr forbid to set it: EEXIST, ENODATA. */
  refusal(inode: number, name: string, flags: number): Errno | undefined {
    const known = this.#find(inode, name) !== undefined;
    if (known && (flags & XATTR_CREATE) !== 0) return EEXIST;
    return !known && (flags & XATTR_REPLACE) !== 0 ? ENODATA : undefined;
  }

  set(inode: number, name: string, value: Uint8Array): void {
    const known = this.#find(inode, name);
    if (known === undefined) this.#first.set(inode, { name, value: value.slice(), next: this.#first.get(inode) });
    else known.value = value.slice();
  }

  remove(inode: number, name: string): void {
    const gone = this.#find(inode, name);
    if (gone === undefined) return;
    let at = this.#first.get(inode);
    if (at !== gone) {
      while (at !== undefined && at.next !== gone) at = at.next;
      if (at !== undefined) at.next = gone.next;
    } else if (gone.next === undefined) this.#first.delete(inode);
    else this.#first.set(inode, gone.next);
  }

  removeAll(inode: number): void {
    this.#first.delete(inode);
  }

  /** The names in the order of their bytes. */
  names(inode: number): string[] {
    const names: string[] = [];
    this.visit(inode, (name) => names.push(name));
    return names.sort();
  }

  visit(inode: number, visit: (name: string, value: Uint8Array) => void): void {
    for (let at = this.#first.get(inode); at !== undefined; at = at.next) visit(at.name, at.value);
  }
}
