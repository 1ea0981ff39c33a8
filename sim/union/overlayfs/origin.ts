/**
 * The xattr that tells from which lower inode an upper one was copied: a file handle (struct ovl_fh; union.md 3.7).
 *
 * The handle names the filesystem by its device number, where the kernel writes its UUID; the layout is the kernel's for a filesystem with
 * 32-bit inode numbers and generations: 29 bytes. A filesystem that cannot be exported gives an empty handle.
 */
import type { FileSystem, Inode } from "../../vfs/filesystem.ts";
import type { LayerDirectory } from "../layer.ts";

const LENGTH = 29;
const MAGIC = 0xfb;
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
