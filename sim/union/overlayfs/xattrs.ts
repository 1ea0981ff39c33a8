/**
 * The xattrs in which overlayfs keeps its state on the upper layer, and which of them a user sees (union.md 1.6, 3.6; fs/overlayfs/xattrs.c).
 *
 * Interface: names come whole. Under the mount option `userxattr` they are user.overlay.*, else trusted.overlay.*.
 */
import { ENOTSUP, type Errno } from "../../core/errno.ts";
import { utf8Length } from "../../core/names.ts";
import { S_IFDIR, S_IFMT, S_IFREG } from "../../vfs/filesystem.ts";
import { XATTR_NAME_MAX } from "../../vfs/xattr.ts";

const ESCAPE = "overlay.";

export interface OverlayXattrs {
  readonly prefix: string;
  readonly opaque: string;
  readonly redirect: string;
  readonly origin: string;
  readonly impure: string;
  readonly nlink: string;
  readonly metacopy: string;
  readonly whiteout: string;
  /** Flags of chattr(1) that the inode itself must not have. */
  readonly protattr: string;
  readonly uuid: string;
  /** On index/: whose it is. */
  readonly upper: string;
}

function named(prefix: string): OverlayXattrs {
  return {
    prefix,
    opaque: `${prefix}opaque`,
    redirect: `${prefix}redirect`,
    origin: `${prefix}origin`,
    impure: `${prefix}impure`,
    nlink: `${prefix}nlink`,
    metacopy: `${prefix}metacopy`,
    whiteout: `${prefix}whiteout`,
    protattr: `${prefix}protattr`,
    uuid: `${prefix}uuid`,
    upper: `${prefix}upper`,
  };
}

export const TRUSTED_XATTRS: OverlayXattrs = named("trusted.overlay.");
export const USER_XATTRS: OverlayXattrs = named("user.overlay.");

/** Whether an inode can have them. @param mode - of user.* only regular files and directories have any (fs/xattr.c, xattr_permission: EPERM). */
export function canHave(xattrs: OverlayXattrs, mode: number): boolean {
  const type = mode & S_IFMT;
  return xattrs !== USER_XATTRS || type === S_IFREG || type === S_IFDIR;
}

/** The value "y" of opaque and impure. */
export const YES: Uint8Array = Uint8Array.of(0x79);

/** Whether overlayfs's own namespace has no name in it, which nobody asks the layers for (fs/xattr.c, xattr_resolve_name: EINVAL). */
export function isBarePrefix(xattrs: OverlayXattrs, name: string): boolean {
  return name === xattrs.prefix;
}

/** The name under which a layer keeps an xattr that a user calls `name`. @returns ENOTSUP for one that is too long then (ovl_xattr_escape_name). */
export function storedName(xattrs: OverlayXattrs, name: string): string | Errno {
  if (!name.startsWith(xattrs.prefix)) return name;
  const stored = xattrs.prefix + ESCAPE + name.slice(xattrs.prefix.length);
  return utf8Length(stored) > XATTR_NAME_MAX ? ENOTSUP : stored;
}

/** How a user sees a layer's xattr; undefined for one of overlayfs itself. */
export function shownName(xattrs: OverlayXattrs, stored: string): string | undefined {
  const { prefix } = xattrs;
  if (!stored.startsWith(prefix)) return stored;
  return stored.startsWith(prefix + ESCAPE) ? prefix + stored.slice(prefix.length + ESCAPE.length) : undefined;
}
