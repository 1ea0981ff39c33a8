/**
 * A folder of the real machine as a layer of an overlayFs.
 */
import type { Lower } from "../fs/lower.ts";
import { copyRealFolder } from "./real-folder.ts";

/**
 * The files of a folder: names, types, modes, owners, times, links and contents, as they are when the layer is filled.
 * @param path - on this machine
 * @throws InputError from `overlayFs` when the folder cannot be read
 */
export function fromDir(path: string): Lower {
  return { fill: (task) => copyRealFolder(task, path, "/") };
}
