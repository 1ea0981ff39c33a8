/**
 * Extended attributes (module/os/linux/zfs/zpl_xattr.c). Kept with the object, as xattr=sa keeps them.
 *
 * Interface: names come whole ("user.k"). With xattr=off those of users are refused and not listed, but stay; the system's go on.
 */
import { E2BIG, EEXIST, ENODATA, ENOTSUP, type Errno } from "../../../core/errno.ts";
import { XATTR_CREATE, XATTR_REPLACE } from "../../../vfs/filesystem.ts";
import type { ZplState } from "./state.ts";

const NAMESPACES = ["user.", "trusted.", "security."];
/** XATTR_SIZE_MAX: what one value may be, in bytes. */
const VALUE_MAX = 65_536;

/** Whether the filesystem has attributes of such a name (zpl_xattr_user_get, zpl_xattr_user_list). */
function isKept(state: ZplState, name: string): boolean {
  if (name.startsWith("user.") && !state.dataset.userXattrs) return false;
  return NAMESPACES.some((prefix) => name.startsWith(prefix) && name.length > prefix.length);
}

export function getxattr(state: ZplState, object: number, name: string): Uint8Array | Errno {
  if (!isKept(state, name)) return ENOTSUP;
  return state.set.body(object)?.xattrs?.get(name) ?? ENODATA;
}

export function listxattr(state: ZplState, object: number): string[] {
  return [...(state.set.body(object)?.xattrs?.keys() ?? [])].filter((name) => isKept(state, name)).sort();
}

/** Sets or, without a value, removes. */
function change(state: ZplState, object: number, name: string, value: Uint8Array | undefined): void {
  const body = state.set.body(object) ?? {};
  const xattrs = new Map(body.xattrs);
  if (value === undefined) xattrs.delete(name);
  else xattrs.set(name, value.slice());
  const { xattrs: _before, ...rest } = body;
  state.set.setBody(object, xattrs.size === 0 ? rest : { ...rest, xattrs });
  state.stamp(object, false);
  state.dataset.intend({ op: "xattr", object, name, value });
}

export function setxattr(
  state: ZplState,
  object: number,
  to: { readonly name: string; readonly value: Uint8Array },
  flags: number,
): Errno | undefined {
  if (!isKept(state, to.name)) return ENOTSUP;
  const known = state.set.body(object)?.xattrs?.has(to.name) === true;
  if (known && (flags & XATTR_CREATE) !== 0) return EEXIST;
  if (!known && (flags & XATTR_REPLACE) !== 0) return ENODATA;
  if (to.value.length > VALUE_MAX) return E2BIG;
  const refused = state.begin(to.value.length);
  if (refused !== undefined) return refused;
  change(state, object, to.name, to.value);
  return undefined;
}

export function removexattr(state: ZplState, object: number, name: string): Errno | undefined {
  if (!isKept(state, name)) return ENOTSUP;
  if (state.set.body(object)?.xattrs?.has(name) !== true) return ENODATA;
  const refused = state.begin();
  if (refused !== undefined) return refused;
  change(state, object, name, undefined);
  return undefined;
}

/** Sets an attribute as the intent log says. */
export function replayXattr(state: ZplState, object: number, name: string, value: Uint8Array | undefined): void {
  change(state, object, name, value);
}
