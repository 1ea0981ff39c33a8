/**
 * Extended attributes (module/os/linux/zfs/zpl_xattr.c; OpenZFS 2.1). With xattr=on, which is the default, each is a file in a hidden folder of its object;
 * with xattr=sa they are attributes of the object itself, as far as they fit a spill block. One that is set anew moves to where the property says.
 *
 * Interface: names come whole ("user.k"). With xattr=off those of users are refused and not listed, but stay; the system's go on. An fsync of the object
 * makes a hidden file durable, but not what is in it; and of those that are the object's own the log of 2.1 is told nothing.
 */
import { Content } from "../../../core/content.ts";
import { E2BIG, EEXIST, ENODATA, ENOENT, ENOTSUP, type Errno, isErrno } from "../../../core/errno.ts";
import { S_IFREG, XATTR_CREATE, XATTR_REPLACE } from "../../../vfs/filesystem.ts";
import { packedBytes } from "../attributes.ts";
import type { DnodeBody } from "../records.ts";
import { GID, SIZE, UID } from "../records.ts";
import { read, truncate, write } from "./files.ts";
import { create, directoryOf, lookup, makeFolder, unlink } from "./names.ts";
import { ATTRIBUTE_BYTES, type ZplState } from "./state.ts";

const NAMESPACES = ["user.", "trusted.", "security."];
/** XATTR_SIZE_MAX: what one value may be, in bytes. */
const VALUE_MAX = 65_536;
/** What one value of an object's own may be, all before it is set, and all with it (DXATTR_MAX_ENTRY_SIZE, DXATTR_MAX_SA_SIZE, SA_ATTR_MAX_LEN). */
const OWN_VALUE_MAX = 32_768;
const OWN_BEFORE_MAX = 65_536;
const OWN_MAX = 65_535;

/** Whether the filesystem has attributes of such a name (zpl_xattr_user_get, zpl_xattr_user_list). */
function isKept(state: ZplState, name: string): boolean {
  if (name.startsWith("user.") && state.dataset.xattr === "off") return false;
  return NAMESPACES.some((prefix) => name.startsWith(prefix) && name.length > prefix.length);
}

/** The hidden folder's file with an attribute. @returns ENOENT. */
function fileWith(state: ZplState, folder: number | undefined, name: string): number | Errno {
  if (folder === undefined) return ENOENT;
  return state.set.load(folder) ?? lookup(state, folder, state.environment.names.intern(name));
}

/** Where an attribute is (__zpl_xattr_where). */
interface Place {
  readonly body: DnodeBody;
  readonly isOwn: boolean;
  readonly file: number | undefined;
}

function placeOf(state: ZplState, object: number, name: string): Place | Errno {
  const body = state.set.body(object) ?? {};
  if (isErrno(body)) return body;
  const file = fileWith(state, body.folder, name);
  if (isErrno(file) && file !== ENOENT) return file;
  return { body, isOwn: body.xattrs?.has(name) === true, file: isErrno(file) ? undefined : file };
}

export function getxattr(state: ZplState, object: number, name: string): Uint8Array | Errno {
  if (!isKept(state, name)) return ENOTSUP;
  const body = state.set.body(object);
  if (body === undefined) return ENODATA;
  if (isErrno(body)) return body;
  const own = body.xattrs?.get(name);
  if (own !== undefined) return own;
  const file = fileWith(state, body.folder, name);
  if (isErrno(file)) return file === ENOENT ? ENODATA : file;
  const content = read(state, file, 0, state.set.word(file, SIZE));
  return isErrno(content) ? content : content.toBytes();
}

export function listxattr(state: ZplState, object: number): string[] | Errno {
  const body = state.set.body(object);
  if (body === undefined || isErrno(body)) return body ?? [];
  const names = new Set(body.xattrs?.keys());
  if (body.folder !== undefined) {
    const folder = state.set.load(body.folder) ?? directoryOf(state, body.folder);
    if (isErrno(folder)) return folder;
    const { dentries } = state;
    for (let row = dentries.first(body.folder); row !== 0; row = dentries.next(row)) names.add(state.text(dentries.name(row)));
  }
  return [...names].filter((name) => isKept(state, name)).sort();
}

/** Sets or, without a value, removes an attribute of the object's own (zpl_xattr_set_sa). @returns whether it has room. */
function changeOwn(state: ZplState, object: number, name: string, value: Uint8Array | undefined): boolean | Errno {
  const body = state.set.body(object) ?? {};
  if (isErrno(body)) return body;
  const xattrs = new Map(body.xattrs);
  // One that is set again goes behind the others (nvlist_add_byte_array).
  xattrs.delete(name);
  if (value !== undefined) {
    if (value.length > OWN_VALUE_MAX || packedBytes(body.xattrs ?? xattrs) > OWN_BEFORE_MAX) return false;
    xattrs.set(name, value.slice());
    if (packedBytes(xattrs) > OWN_MAX) return false;
  }
  const { xattrs: _before, ...rest } = body;
  state.set.setBody(object, xattrs.size === 0 ? rest : { ...rest, xattrs });
  state.stamp(object, false);
  if (state.set.store.profile.logsAttributes) state.dataset.intend({ op: "xattr", object, name, value });
  return true;
}

/** Writes a hidden file; the folder is made when it is missing, and stays (zpl_xattr_set_dir). @returns EDQUOT, ENOSPC, EIO. */
function writeFile(state: ZplState, object: number, place: Place, to: { name: string; value: Uint8Array }): Errno | undefined {
  const folder = place.body.folder ?? makeFolder(state, object);
  if (isErrno(folder)) return folder;
  const { set, environment } = state;
  const init = { mode: S_IFREG | 0o644, uid: set.word(object, UID), gid: set.word(object, GID), rdev: 0, target: "" };
  const file = place.file ?? create(state, folder, environment.names.intern(to.name), init);
  if (isErrno(file)) return file;
  const failed = truncate(state, file, 0);
  if (failed !== undefined) return failed;
  const written = to.value.length === 0 ? 0 : write(state, file, 0, Content.copyOf(to.value));
  if (isErrno(written)) return written;
  state.stamp(object, false);
  return undefined;
}

function removeFile(state: ZplState, { body, file }: Place, name: string): Errno | undefined {
  if (file === undefined || body.folder === undefined) return undefined;
  return unlink(state, body.folder, state.environment.names.intern(name));
}

export function setxattr(
  state: ZplState,
  object: number,
  to: { readonly name: string; readonly value: Uint8Array },
  flags: number,
): Errno | undefined {
  if (!isKept(state, to.name)) return ENOTSUP;
  const place = placeOf(state, object, to.name);
  if (isErrno(place)) return place;
  const known = place.isOwn || place.file !== undefined;
  if (known && (flags & XATTR_CREATE) !== 0) return EEXIST;
  if (!known && (flags & XATTR_REPLACE) !== 0) return ENODATA;
  if (to.value.length > VALUE_MAX) return E2BIG;
  const refused = state.begin(ATTRIBUTE_BYTES + to.value.length);
  if (refused !== undefined) return refused;
  if (state.dataset.xattr === "sa" && state.set.store.profile.systemAttributes) {
    const isDone = changeOwn(state, object, to.name, to.value);
    if (isErrno(isDone)) return isDone;
    if (isDone) return removeFile(state, place, to.name);
  }
  const failed = writeFile(state, object, place, to);
  if (failed !== undefined || !place.isOwn) return failed;
  const cleared = changeOwn(state, object, to.name, undefined);
  return isErrno(cleared) ? cleared : undefined;
}

export function removexattr(state: ZplState, object: number, name: string): Errno | undefined {
  if (!isKept(state, name)) return ENOTSUP;
  const place = placeOf(state, object, name);
  if (isErrno(place)) return place;
  if (!place.isOwn && place.file === undefined) return ENODATA;
  const refused = state.begin(place.isOwn ? ATTRIBUTE_BYTES : 0);
  if (refused !== undefined) return refused;
  if (place.isOwn) {
    const cleared = changeOwn(state, object, name, undefined);
    return isErrno(cleared) ? cleared : undefined;
  }
  const failed = removeFile(state, place, name);
  if (failed === undefined) state.stamp(object, false);
  return failed;
}

/** Sets an attribute as the intent log says. */
export function replayXattr(state: ZplState, object: number, name: string, value: Uint8Array | undefined): Errno | undefined {
  const done = changeOwn(state, object, name, value);
  return isErrno(done) ? done : undefined;
}
