/**
 * Mappings of files (module/os/linux/zfs/zpl_file.c, zfs_vnops_os.c: update_pages, mappedread, zfs_putpage): pages beside the ARC, of one file alone. A store makes its page dirty, and
 * the file's blocks know nothing of it until that is written back: by fsync, sync, the flusher or the end of the mount, not by a transaction group.
 *
 * Interface: read(2) and write(2) see what was stored, and stores what was written.
 */
import { Content } from "../../../core/content.ts";
import { type Errno, isErrno } from "../../../core/errno.ts";
import { PAGE_SIZE } from "../../../vfs/address-space.ts";
import { inodeHandle } from "../../../vfs/filesystem.ts";
import type { CachedMapping } from "../../../vfs/mapping.ts";
import { SIZE } from "../records.ts";
import { FileData } from "./file-data.ts";
import { ATTRIBUTE_BYTES, type ZplState } from "./state.ts";

/** What a file has in memory; made when it is missing. */
export function fileOf(state: ZplState, object: number): FileData {
  const known = state.files.get(object);
  if (known !== undefined) return known;
  const made = new FileData(state.set, object, state.dataset);
  state.files.set(object, made);
  return made;
}

/** The pages that mappings of a file have in the page cache: filled by reading as read(2) does. */
export function mappingOf(state: ZplState, object: number): CachedMapping | undefined {
  if (state.space === undefined) return undefined;
  const data = fileOf(state, object);
  data.mapping ??= state.environment.cache.mapping(state.space, inodeHandle(object));
  return data.mapping;
}

/** A store: the times change with the page (file_update_time). */
export function store(state: ZplState, object: number, offset: number, content: Content): number | Errno {
  const failed = state.begin(ATTRIBUTE_BYTES) ?? mappingOf(state, object)?.write(offset, content, state.set.word(object, SIZE));
  if (failed !== undefined) return failed;
  state.stamp(object, true);
  return content.length;
}

/** The pages of mappings that reach into a range, one by one. */
function* cachedPages(mapping: CachedMapping, offset: number, end: number): Generator<number> {
  const following = (page: number): number => (mapping.isCached(page + 1) ? page + 1 : mapping.nextCached(page));
  for (let page = following(Math.floor(offset / PAGE_SIZE) - 1); page * PAGE_SIZE < end; page = following(page)) yield page;
}

/** Pages of mappings that are in memory see what is written; others are not brought there. A clean page stays clean (update_pages). */
export function updatePages(state: ZplState, object: number, offset: number, content: Content): void {
  const { mapping } = fileOf(state, object);
  if (mapping === undefined) return;
  const end = offset + content.length;
  for (const page of cachedPages(mapping, offset, end)) {
    const [from, to] = [Math.max(offset, page * PAGE_SIZE), Math.min(end, (page + 1) * PAGE_SIZE)];
    const wasDirty = mapping.isDirty(page);
    mapping.write(from, content.slice(from - offset, to - offset), 0);
    if (wasDirty) continue;
    // It is as the file is: nothing is to be written back.
    state.isUpdating = true;
    mapping.flush(from, to - from);
    state.isUpdating = false;
  }
}

/** What read(2) gives: of dirty pages what was stored (mappedread). */
export function withStored(state: ZplState, object: number, offset: number, content: Content): Content {
  const mapping = state.files.get(object)?.mapping;
  if (mapping === undefined || mapping.dirtyPages === 0) return content;
  const end = offset + content.length;
  let seen = content;
  for (const page of cachedPages(mapping, offset, end)) {
    if (!mapping.isDirty(page)) continue;
    const [from, to] = [Math.max(offset, page * PAGE_SIZE), Math.min(end, (page + 1) * PAGE_SIZE)];
    const stored = mapping.read(from, to - from);
    if (!isErrno(stored)) seen = Content.concat([seen.slice(0, from - offset), stored, seen.slice(to - offset)]);
  }
  return seen;
}

/** Has what was stored into one file, or into any, written back. */
export function writeBack(state: ZplState, object?: number): Errno | undefined {
  const files = object === undefined ? [...state.files.values()] : [state.files.get(object)];
  let failed: Errno | undefined;
  for (const data of files) if (data?.mapping !== undefined && data.mapping.dirtyPages > 0) failed ??= data.mapping.flush();
  return failed;
}
