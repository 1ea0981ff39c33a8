/** A regular file's data by its inode. */
import type { Content } from "../../core/content.ts";
import type { Errno } from "../../core/errno.ts";

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

/** Puts bytes into a file's pages. @param at - what is written where, the file's size before, and where mappings of blocks end that the write goes through */
export function writeCached(
  state: XfsState,
  ino: number,
  data: FileData,
  at: { offset: number; content: Content; size: number; borders?: readonly number[] | undefined },
): Errno | undefined {
  const mapping = mappingOf(state, ino, data);
  if (mapping.dirtyPages === 0) state.dirtyFiles.delete(ino);
  state.dirtyFiles.add(ino);
  return mapping.write(at.offset, at.content, at.size, at.borders);
}
