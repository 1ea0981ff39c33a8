/**
 * The bytes of a tmpfs's files: reading, writing, holes and sizes, each page counted against size=.
 */
import type { Clock } from "../core/clock.ts";
import { Content } from "../core/content.ts";
import { ENOSPC, ENOTSUP, ENXIO, type Errno } from "../core/errno.ts";
import type { NameTable } from "../core/names.ts";
import { PAGE_SIZE } from "../vfs/address-space.ts";
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, type FileHandle, type Inode } from "../vfs/filesystem.ts";
import { CachedMapping } from "../vfs/mapping.ts";
import type { PageCache } from "../vfs/page-cache.ts";
import type { TmpfsInodes } from "./tmpfs-inodes.ts";
import { bytesThatFit, dataFrom, fillGaps, holeFrom } from "./tmpfs-pages.ts";
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
    if (offset + given.length > (size[file] as number)) size[file] = offset + given.length;
    this.#changed(file);
    return given.length;
  }

  setSize(inode: Inode, to: number): void {
    const { size } = this.#inodes;
    const pages = this.pages(inode);
    if (pages !== undefined && to < (size[inode] as number)) {
      const before = pages.cachedPages;
      pages.truncate(to);
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
      this.#space.usedBlocks -= before - pages.cachedPages;
      this.#changed(file);
      return undefined;
    }
    if (bytesThatFit(pages, { offset, length, freePages: this.#space.freeBlocks }) < length) return ENOSPC;
    fillGaps(pages, offset, length);
    this.#space.usedBlocks += pages.cachedPages - before;
    const { size } = this.#inodes;
    if ((mode & FALLOC_FL_KEEP_SIZE) === 0 && offset + length > (size[file] as number)) size[file] = offset + length;
    this.#inodes.ctime[file] = this.#clock.time();
    return undefined;
  }

  seek(file: FileHandle, offset: number, hole: boolean): number | Errno {
    const size = this.#inodes.size[file] as number;
    if (offset < 0 || offset >= size) return ENXIO;
    const pages = this.pages(file);
    if (hole) return Math.min(size, holeFrom(pages, offset));
    const data = dataFrom(pages, offset);
    return data < size ? data : ENXIO;
  }

  /** A file's content changed. */
  #changed(file: number): void {
    const now = this.#clock.time();
    this.#inodes.mtime[file] = now;
    this.#inodes.ctime[file] = now;
  }
}
