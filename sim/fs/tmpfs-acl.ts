/**
 * The access control lists of a tmpfs (fs/posix_acl.c, simple_set_acl and simple_acl_create): in memory, and free of charge.
 */
import { type Acl, type AclKind, aclName, type NewAcls } from "../vfs/posix-acl.ts";

export class TmpfsAcls {
  readonly #lists: Readonly<Record<AclKind, Map<number, Acl>>> = { access: new Map(), default: new Map() };

  get(inode: number, kind: AclKind): Acl | undefined {
    const lists = this.#lists[kind];
    return lists.size === 0 ? undefined : lists.get(inode);
  }

  set(inode: number, kind: AclKind, acl: Acl | undefined): void {
    if (acl === undefined) this.#lists[kind].delete(inode);
    else this.#lists[kind].set(inode, acl);
  }

  /** Gives a new inode its lists. */
  init(inode: number, acls: NewAcls): void {
    this.set(inode, "access", acls.access);
    this.set(inode, "default", acls.default);
  }

  removeAll(inode: number): void {
    this.#lists.access.delete(inode);
    this.#lists.default.delete(inode);
  }

  /** The xattrs that show them (posix_acl_listxattr). */
  names(inode: number): string[] {
    return (["access", "default"] as const).filter((kind) => this.get(inode, kind) !== undefined).map(aclName);
  }
}
