/**
 * Data-only layers: they show no names, and are asked by path for the data of files whose attributes another layer has (fs/overlayfs/namei.c,
 * ovl_lookup_data_layers; recorded on 6.18).
 */
import { ELOOP, ENOENT, ENOTDIR, type Errno, isErrno } from "../core/errno.ts";
import type { NameTable } from "../core/names.ts";
import { type Inode, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../vfs/filesystem.ts";
import type { LayerDirectory } from "./layer.ts";

interface DataPlace {
  /** Which of the data-only layers. */
  readonly layer: number;
  readonly inode: Inode;
}

/** The first regular file that a data-only layer has at an absolute path. @returns what the last layer answered, if none has one. */
export function findInDataLayers(layers: readonly LayerDirectory[], names: NameTable, path: string): DataPlace | Errno {
  let failed: Errno = ENOENT;
  for (const [layer, directory] of layers.entries()) {
    const inode = findFile(directory, names, path);
    if (!isErrno(inode)) return { layer, inode };
    failed = inode;
  }
  return failed;
}

/** No symbolic link is followed. @returns ENOENT for what is no regular file. */
function findFile({ fs, inode }: LayerDirectory, names: NameTable, path: string): Inode | Errno {
  const parts = path.slice(1).split("/");
  let at = inode;
  for (const [index, part] of parts.entries()) {
    const found = fs.lookup(at, names.intern(part));
    if (isErrno(found)) return found;
    at = found;
    const type = fs.mode(at) & S_IFMT;
    if (index === parts.length - 1) return type === S_IFREG ? at : ENOENT;
    if (type !== S_IFDIR) return type === S_IFLNK ? ELOOP : ENOTDIR;
  }
  return ENOENT;
}
