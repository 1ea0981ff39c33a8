/**
 * The xattr that tells from which lower inode an upper one was copied: a file handle (struct ovl_fh; union.md 3.7).
 *
 * The handle names the filesystem by its device number, where the kernel writes its UUID; what it says of the inode is the
 * filesystem's own (vfs/file-handles.ts). A filesystem that cannot be exported gives an empty handle.
 */
import { EINVAL, ENODATA, type Errno } from "../../core/errno.ts";
import { type Attributes, type FileSystem, type Inode, inodeHandle, S_IFMT } from "../../vfs/filesystem.ts";
import type { LayerDirectory } from "../layer.ts";

/** Of a handle without what it says of the inode (struct ovl_fb). */
export const HANDLE_HEAD = 21;
const MAGIC = 0xfb;
const VERSION = 0;
/** Flags: that its bytes are in big-endian order, or the same in any; that it is of the upper layer. */
const BIG_ENDIAN = 1;
const ANY_ENDIAN = 2;
const KNOWN_FLAGS = 7;
const TYPE_AT = 4;
const UUID_AT = 5;

/** The handle of a layer's inode. */
export function encodeOrigin(fs: FileSystem, inode: Inode): Uint8Array {
  const { handles } = fs;
  if (handles === undefined) return new Uint8Array(0);
  const out = new Uint8Array(HANDLE_HEAD + 4 * handles.words);
  out[1] = MAGIC;
  out[2] = out.length;
  out[TYPE_AT] = handles.type;
  putWord(out, UUID_AT, fs.device);
  const words = handles.encode(inode);
  for (let index = 0; index < words.length; index++) putWord(out, HANDLE_HEAD + 4 * index, words[index] as number);
  return out;
}

/** 32 bits, the lowest first; a DataView would give each handle a buffer of its own. */
function putWord(out: Uint8Array, at: number, value: number): void {
  for (let byte = 0; byte < 4; byte++) out[at + byte] = value >>> (8 * byte);
}

/**
 * The layer (an index into `layers`) and the inode that a handle names; undefined when no layer's filesystem is meant, or the inode is gone, another
 * having its number now (ESTALE, which ovl_check_origin_fh takes as no origin).
 */
export function decodeOrigin(value: Uint8Array, layers: readonly LayerDirectory[]): { layer: number; inode: Inode } | undefined {
  if (value.length < HANDLE_HEAD || value[1] !== MAGIC) return undefined;
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  const device = view.getUint32(UUID_AT, true);
  const layer = layers.findIndex(({ fs }) => fs.device === device && fs.handles !== undefined);
  const handles = layers[layer]?.fs.handles;
  if (handles === undefined || value[TYPE_AT] !== handles.type || value.length !== HANDLE_HEAD + 4 * handles.words)
    return undefined;
  const inode = handles.decode(Array.from({ length: handles.words }, (_, at) => view.getUint32(HANDLE_HEAD + 4 * at, true)));
  return inode === undefined ? undefined : { layer, inode: inodeHandle(inode) };
}

/** Why bytes are no handle, or ENODATA for one of another kernel or machine, which tells nothing here (ovl_check_fb_len). */
export function handleError(bytes: Uint8Array): Errno | undefined {
  const [version = 0, magic, length = 0, flags = 0] = bytes;
  if (bytes.length < HANDLE_HEAD || bytes.length < length || magic !== MAGIC) return EINVAL;
  if (version > VERSION || (flags & ~KNOWN_FLAGS) !== 0) return ENODATA;
  return (flags & (BIG_ENDIAN | ANY_ENDIAN)) === BIG_ENDIAN ? ENODATA : undefined;
}

/** Reads the attributes of what a handle leads to. @returns false where that is gone, or is of another type. */
export function readReached(fs: FileSystem, inode: Inode, type: number, into: Attributes): boolean {
  return fs.getattr(inode, into) === undefined && into.nlink > 0 && (into.mode & S_IFMT) === type;
}
