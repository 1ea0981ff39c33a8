/**
 * Where the attributes of an object lie that are of no fixed length: a link's target and extended attributes in its bonus, or, where that is too short, in
 * a spill block (module/zfs/sa.c: sa_find_sizes, sa_build_layouts; zfs_sa.c: zfs_sa_set_xattr; module/nvpair/nvpair.c: XDR).
 *
 * What fits was recorded on OpenZFS 2.1.11: a value of 88 bytes under a name of six, a target of 144; 456 bytes in a spill block of 512.
 */
import { utf8Length } from "../../core/names.ts";
import { alignUp } from "../../core/units.ts";
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFMT, S_IFREG } from "../../vfs/filesystem.ts";
import { SECTOR } from "./compress.ts";
import type { DnodeBody } from "./records.ts";

/** Bytes of the bonus buffer of a small dnode, and of the pointer to a spill block at its end (DN_OLD_MAX_BONUSLEN, blkptr_t). */
const BONUS_BYTES = 320;
export const POINTER_BYTES = 128;
/** Bytes of a dnode, and of each place more that a large one takes: all of them its bonus buffer's (DN_SLOTS_TO_BONUSLEN). */
export const DNODE_BYTES = 512;

/** Bytes of the bonus buffer of a dnode that takes so many places more than one. */
export function bonusBytesOf(extraSlots: number): number {
  return BONUS_BYTES + extraSlots * DNODE_BYTES;
}
/** Attributes that every object has; files and folders have a project beside, devices a number. */
const FIXED_BYTES = 160;
const WORD = 8;
/** The head of a list of attributes: with one length in it, and with two or three. */
const HEAD_BYTES = 8;
const LONG_HEAD_BYTES = 16;
/** A list's head and end, and what each of its pairs has beside name and value (nvs_header, xdr_nvpair). */
const LIST_BYTES = 20;
const PAIR_BYTES = 20;
const XDR_UNIT = 4;

/** Bytes of extended attributes as one attribute of the system holds them (nvlist_size of ZPL_DXATTR). */
export function packedBytes(xattrs: ReadonlyMap<string, Uint8Array>): number {
  let sum = LIST_BYTES;
  for (const [name, value] of xattrs) sum += PAIR_BYTES + alignUp(utf8Length(name), XDR_UNIT) + alignUp(value.length, XDR_UNIT);
  return sum;
}

/** What of a body lies where. */
interface Placed {
  readonly bonus: DnodeBody;
  /** Absent: everything is in the bonus. */
  readonly spilled?: Spilled & { readonly bytes: number };
}

/** What can lie in a spill block. */
export type Spilled = Pick<DnodeBody, "target" | "xattrs">;

function fixedBytes(mode: number): number {
  const type = mode & S_IFMT;
  const hasWord = type === S_IFREG || type === S_IFDIR || type === S_IFCHR || type === S_IFBLK;
  return FIXED_BYTES + (hasWord ? WORD : 0);
}

/** In which way attributes lie in a bonus, or in a spill block: those that there are, in their order. */
export function layoutOf(mode: number, bonus: DnodeBody = {}): string {
  const type = mode & S_IFMT;
  const isDevice = type === S_IFCHR || type === S_IFBLK;
  const kind = isDevice ? "device" : fixedBytes(mode) > FIXED_BYTES ? "file" : "other";
  return [kind, ...(bonus.folder === undefined ? [] : ["folder"]), ...variable(bonus)].join();
}
export function spilledLayout(spilled: Spilled): string {
  return ["spill", ...variable(spilled)].join();
}
function variable({ target, xattrs }: Spilled): string[] {
  return [...(target === undefined ? [] : ["target"]), ...(xattrs === undefined ? [] : ["xattrs"])];
}

/**
 * Divides the attributes of an object between its bonus and a spill block.
 * @param body - all of them, without a spill block
 * @param bonusBytes - what the bonus has room for
 */
export function placeBody(mode: number, body: DnodeBody, bonusBytes: number): Placed {
  const { target, xattrs, ...rest } = body;
  const targetBytes = target === undefined ? 0 : alignUp(utf8Length(target), WORD);
  const xattrBytes = xattrs === undefined ? 0 : alignUp(packedBytes(xattrs), WORD);
  const head = targetBytes + xattrBytes === 0 ? HEAD_BYTES : LONG_HEAD_BYTES;
  const fixed = head + fixedBytes(mode) + (body.folder === undefined ? 0 : WORD);
  if (fixed + targetBytes + xattrBytes <= bonusBytes) return { bonus: body };
  const room = bonusBytes - POINTER_BYTES - fixed;
  const keepsTarget = target !== undefined && targetBytes <= room;
  const keepsXattrs = xattrs !== undefined && xattrBytes + (keepsTarget ? targetBytes : 0) <= room;
  const spilled = {
    ...(target === undefined || keepsTarget ? {} : { target }),
    ...(xattrs === undefined || keepsXattrs ? {} : { xattrs }),
  };
  const isLong = spilled.target !== undefined && spilled.xattrs !== undefined;
  const bytes = (isLong ? LONG_HEAD_BYTES : HEAD_BYTES) + (keepsTarget ? 0 : targetBytes) + (keepsXattrs ? 0 : xattrBytes);
  return {
    bonus: { ...rest, ...(keepsTarget ? { target } : {}), ...(keepsXattrs ? { xattrs } : {}) },
    spilled: { ...spilled, bytes: alignUp(bytes, SECTOR) },
  };
}

const ENCODER = new TextEncoder();
/** NV_ENCODE_XDR and little endian; NV_UNIQUE_NAME; DATA_TYPE_BYTE_ARRAY. */
const LIST_START: readonly number[] = [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const BYTE_ARRAY = 10;
/** Bytes of an nvpair_t before its name. */
const NATIVE_PAIR_BYTES = 16;

/** Writes what lies in a spill block into a buffer, over what was there before. */
export function packSpilled({ target = "", xattrs }: Spilled, into: Uint8Array): void {
  into.set(ENCODER.encode(target), HEAD_BYTES);
  if (xattrs === undefined) return;
  const view = new DataView(into.buffer, into.byteOffset, into.byteLength);
  let at = HEAD_BYTES + alignUp(utf8Length(target), WORD);
  into.set(LIST_START, at);
  at += LIST_START.length;
  const put = (number: number): void => {
    view.setUint32(at, number);
    at += XDR_UNIT;
  };
  const putBytes = (bytes: Uint8Array): void => {
    into.fill(0, at, at + alignUp(bytes.length, XDR_UNIT));
    into.set(bytes, at);
    at += alignUp(bytes.length, XDR_UNIT);
  };
  for (const [name, value] of xattrs) {
    const nameBytes = ENCODER.encode(name);
    put(PAIR_BYTES + alignUp(nameBytes.length, XDR_UNIT) + alignUp(value.length, XDR_UNIT));
    put(alignUp(NATIVE_PAIR_BYTES + nameBytes.length + 1, WORD) + alignUp(value.length, WORD));
    put(nameBytes.length);
    putBytes(nameBytes);
    put(BYTE_ARRAY);
    put(value.length);
    putBytes(value);
  }
  put(0);
  put(0);
}
