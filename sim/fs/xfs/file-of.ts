/** A regular file's data by its inode. */

import type { AddressSpace, Mapping } from "../../vfs/address-space.ts";
import { inodeHandle } from "../../vfs/filesystem.ts";
import { FileData } from "./file-data.ts";
import type { XfsState } from "./state.ts";

export function fileOf(state: XfsState, ino: number): FileData | undefined {
  const data = state.data(ino);
  return data instanceof FileData ? data : undefined;
}

export function makeFile(state: XfsState, ino: number): FileData {
  const known = fileOf(state, ino);
  if (known !== undefined) return known;
  const made = new FileData();
  made.onDisk = state.size(ino);
  state.setData(ino, made);
  return made;
}

export function mappingOf(state: XfsState, ino: number, data: FileData): Mapping {
  data.mapping ??= state.environment.cache.mapping(state.space as AddressSpace, inodeHandle(ino));
  return data.mapping;
}
