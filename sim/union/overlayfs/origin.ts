/**
 * The xattr that tells from which lower inode an upper one was copied: a file handle (struct ovl_fh; union.md 3.7).
 *
 * The handle names the filesystem by its device number, where the kernel writes its UUID; the layout is the kernel's for a filesystem with
 * 32-bit inode numbers and generations: 29 bytes. A filesystem that cannot be exported gives an empty handle.
 */
import { EINVAL, ENODATA, type Errno } from "../../core/errno.ts";
import { type Attributes, type FileSystem, type Inode, S_IFMT } from "../../vfs/filesystem.ts";
import type { LayerDirectory } from "../layer.ts";

const LENGTH = 29;
/** Of a handle without what it says of the inode (struct ovl_fb). */
export const HANDLE_HEAD = 21;
const MAGIC = 0xfb;
const VERSION = 0;
/** Flags: that its bytes are in big-endian order, or the same in any; that it is of the upper layer. */
const BIG_ENDIAN = 1;
const ANY_ENDIAN = 2;
const KNOWN_FLAGS = 7;
const TYPE_INO32_GEN = 1;
const UUID_AT = 5;
const FID_AT = 21;

/** The handle of a layer's inode. */
export function encodeOrigin(fs: FileSystem, inode: Inode): Uint8Array {
  if (!fs.exportable) return new Uint8Array(0);
  const out = new Uint8Array(LENGTH);
  out[1] = MAGIC;
  out[2] = LENGTH;
  out[4] = TYPE_INO32_GEN;
  putWord(out, UUID_AT, fs.device);
  putWord(out, FID_AT, inode % 2 ** 32);
  putWord(out, FID_AT + 4, Math.floor(inode / 2 ** 32));
  return out;
}

/** 32 bits, the lowest first; a DataView would give each handle a buffer of its own. */
function putWord(out: Uint8Array, at: number, value: number): void {
  for (let byte = 0; byte < 4; byte++) out[at + byte] = value >>> (8 * byte);
}

/** The layer (an index into `layers`) and the inode that a handle names; undefined when no layer's filesystem is meant. */
export function decodeOrigin(value: Uint8Array, layers: readonly LayerDirectory[]): { layer: number; inode: Inode } | undefined {
  if (value.length !== LENGTH || value[1] !== MAGIC) return undefined;
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  const device = view.getUint32(UUID_AT, true);
  const layer = layers.findIndex(({ fs }) => fs.device === device && fs.exportable);
  if (layer < 0) return undefined;
  const inode = view.getUint32(FID_AT, true) + view.getUint32(FID_AT + 4, true) * 2 ** 32;
  return { layer, inode: inode as Inode };
}

/** Why bytes are no handle, or ENODATA for one of another kernel or machine, which tells nothing here (ovl_check_fb_len). */
export function handleError(bytes: Uint8Array): Errno | undefined {
  const [version = 0, magic, length = 0, flags = 0] = bytes;
  if (bytes.length < HANDLE_HEAD || bytes.length < length || magic !== MAGIC) return EINVAL;
  if (version > VERSION || (flags & ~KNOWN_FLAGS) !== 0) return ENODATA;
  return (flags & (BIG_ENDIAN | ANY_ENDIAN)) === BIG_ENDIAN ? ENODATA : undefined;
}

/**
 * Reads the attributes of what a handle leads to. @returns false where that is gone: nothing is there, or what has its number now is of another type.
 * (The kernel's handles know the generation of an inode too.)
 */
export function readReached(fs: FileSystem, inode: Inode, type: number, into: Attributes): boolean {
  return fs.getattr(inode, into) === undefined && into.nlink > 0 && (into.mode & S_IFMT) === type;
}
