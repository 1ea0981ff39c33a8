/**
 * The bytes of a tmpfs's files: reading, writing, holes and sizes, each page counted against size=.
 */
import type { Clock } from "../core/clock.ts";
import { Content } from "../core/content.ts";
import { ENOSPC, ENOTSUP, ENXIO, type Errno, isErrno } from "../core/errno.ts";
import { IntervalMap } from "../core/intervals.ts";
import type { NameTable } from "../core/names.ts";
import { PAGE_SIZE } from "../vfs/address-space.ts";
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, type FileHandle, type Inode } from "../vfs/filesystem.ts";
import { CachedMapping } from "../vfs/mapping.ts";
import type { PageCache } from "../vfs/page-cache.ts";
import { stampOf } from "./tmpfs-attributes.ts";
import type { TmpfsInodes } from "./tmpfs-inodes.ts";
import { bytesThatFit, dataFrom, fillGaps, holeFrom, type UnwrittenPages } from "./tmpfs-pages.ts";
import type { TmpfsSpace } from "./tmpfs-space.ts";

/** What a tmpfs needs of its host. */
export interface TmpfsHost {
  readonly names: NameTable;
  readonly clock: Clock;
  readonly cache: PageCache;
}

/** What the files of a tmpfs stand on. */
interface TmpfsParts {
  readonly label: string;
  readonly host: TmpfsHost;
  readonly inodes: TmpfsInodes;
  readonly space: TmpfsSpace;
}

export const FALLOCATE_MODES: number = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE;

export class TmpfsFiles {
  readonly #label: string;
  readonly #clock: Clock;
  readonly #cache: PageCache;
  readonly #inodes: TmpfsInodes;
  readonly #space: TmpfsSpace;
  /** Of files that have any. */
  readonly #unwritten = new WeakMap<CachedMapping, UnwrittenPages>();
  /** Whether any file ever had: nobody else asks. */
  #anyUnwritten = false;

  constructor({ label, host, inodes, space }: TmpfsParts) {
    this.#label = label;
    this.#clock = host.clock;
    this.#cache = host.cache;
    this.#inodes = inodes;
    this.#space = space;
  }

  /** A file's pages; undefined while it never had any. */
  pages(file: number): CachedMapping | undefined {
    return this.#inodes.data[file] as CachedMapping | undefined;
  }

  #pagesForWriting(file: number): CachedMapping {
    const known = this.#inodes.data[file];
    if (known instanceof CachedMapping) return known;
    const made = this.#cache.pinnedMapping(this.#label);
    this.#inodes.data[file] = made;
    return made;
  }

  read(file: FileHandle, offset: number, length: number): Content | Errno {
    const count = Math.min(length, (this.#inodes.size[file] as number) - offset);
    if (count <= 0) return Content.empty;
    return this.pages(file)?.read(offset, count) ?? Content.zeros(count);
  }

  write(file: FileHandle, offset: number, content: Content): number | Errno {
    const stored = this.store(file, offset, content);
    if (!isErrno(stored)) this.#changed(file);
    return stored;
  }

  /** Writes without setting times. */
  store(file: FileHandle, offset: number, content: Content): number | Errno {
    const pages = this.#pagesForWriting(file);
    let given = content;
    if (this.#space.freeBlocks * PAGE_SIZE < content.length + 2 * PAGE_SIZE) {
      const fits = bytesThatFit(pages, { offset, length: content.length, freePages: this.#space.freeBlocks });
      if (fits <= 0) return ENOSPC;
      given = content.slice(0, fits);
    }
    const before = pages.cachedPages;
    const { size } = this.#inodes;
    pages.write(offset, given, size[file] as number);
    this.#space.usedBlocks += pages.cachedPages - before;
    if (this.#anyUnwritten) this.#settle(pages, Math.floor(offset / PAGE_SIZE), Math.ceil((offset + given.length) / PAGE_SIZE));
    if (offset + given.length > (size[file] as number)) size[file] = offset + given.length;
    return given.length;
  }

  setSize(inode: Inode, to: number): void {
    const { size } = this.#inodes;
    const pages = this.pages(inode);
    if (pages !== undefined && to < (size[inode] as number)) {
      const before = pages.cachedPages;
      pages.truncate(to);
      this.#settle(pages, Math.ceil(to / PAGE_SIZE), Number.MAX_SAFE_INTEGER);
      this.#space.usedBlocks -= before - pages.cachedPages;
    }
    size[inode] = to;
  }

  fallocate(file: FileHandle, mode: number, range: { readonly offset: number; readonly length: number }): Errno | undefined {
    if ((mode & ~FALLOCATE_MODES) !== 0) return ENOTSUP;
    const { offset, length } = range;
    const pages = this.#pagesForWriting(file);
    const before = pages.cachedPages;
    if ((mode & FALLOC_FL_PUNCH_HOLE) !== 0) {
      pages.punch(offset, length);
      this.#settle(pages, Math.ceil(offset / PAGE_SIZE), Math.floor((offset + length) / PAGE_SIZE));
      this.#space.usedBlocks -= before - pages.cachedPages;
      this.#changed(file);
      return undefined;
    }
    if (bytesThatFit(pages, { offset, length, freePages: this.#space.freeBlocks }) < length) return ENOSPC;
    // What an earlier fallocate gave is made zeros now.
    this.#settle(pages, Math.floor(offset / PAGE_SIZE), Math.ceil((offset + length) / PAGE_SIZE));
    fillGaps(pages, range, (page, end) => this.#leaveUnwritten(pages, page, end));
    this.#space.usedBlocks += pages.cachedPages - before;
    const { size } = this.#inodes;
    if ((mode & FALLOC_FL_KEEP_SIZE) === 0 && offset + length > (size[file] as number)) size[file] = offset + length;
    this.#changed(file);
    return undefined;
  }

  seek(file: FileHandle, offset: number, hole: boolean): number | Errno {
    const size = this.#inodes.size[file] as number;
    if (offset < 0 || offset >= size) return ENXIO;
    const pages = this.pages(file);
    const unwritten = pages === undefined ? undefined : this.#unwritten.get(pages);
    if (hole) return Math.min(size, holeFrom(pages, offset, unwritten));
    const data = dataFrom(pages, offset, unwritten);
    return data < size ? data : ENXIO;
  }

  /** How many pages mincore(2) finds: those that are up to date. */
  presentPages(file: number): number {
    const pages = this.pages(file);
    if (pages === undefined) return 0;
    return pages.cachedPages - (this.#unwritten.get(pages)?.covered ?? 0);
  }

  /** fallocate gave pages that are not up to date until they are written (shmem_fallocate). */
  #leaveUnwritten(pages: CachedMapping, page: number, end: number): void {
    const known = this.#unwritten.get(pages) ?? new IntervalMap<true>(undefined, () => true);
    known.set(page, end, true);
    this.#unwritten.set(pages, known);
    this.#anyUnwritten = true;
  }

  /** Pages were written, or are gone. */
  #settle(pages: CachedMapping, page: number, end: number): void {
    if (page < end) this.#unwritten.get(pages)?.delete(page, end);
  }

  /** A file's content changed. */
  #changed(file: number): void {
    const now = stampOf(this.#inodes, file, this.#clock);
    this.#inodes.mtime[file] = now;
    this.#inodes.ctime[file] = now;
  }
}
