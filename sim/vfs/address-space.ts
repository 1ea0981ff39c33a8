/**
 * Between the page cache and a filesystem: the kernel's address_space_operations.
 *
 * Words: a *mapping* is one inode's cached pages (kernel: struct address_space). A page is 4 KiB. The page cache holds content of
 * cached pages, knows which are dirty, and asks the filesystem to read what is missing and to write what is dirty.
 */
import type { Content } from "../core/content.ts";
import type { Errno } from "../core/errno.ts";
import type { Inode } from "./filesystem.ts";

/** The size of a page in bytes, as on x86-64 and arm64 with 4 KiB pages. */
export const PAGE_SIZE = 4096;

/** How a filesystem is read ahead. */
interface AheadRules {
  /** A file's bytes. */
  size(inode: Inode): number;
  /** The longest window in pages, where that of the devices does not count. */
  readonly pages?: number;
  /** Whether its pages can be in folios of several (mapping_large_folio_support). */
  readonly largeFolios: boolean;
}

/** What a filesystem does for the page cache. */
export interface AddressSpace {
  /** What events call the filesystem. */
  readonly label: string;
  /**
   * Reads from the device: the whole pages from byte `start` (a multiple of PAGE_SIZE) on, `length` bytes (whole pages); holes,
   * unwritten extents and what lies behind the end of the file as zeros.
   */
  readPages(inode: Inode, start: number, length: number): Content | Errno;
  /**
   * Writes dirty pages to the device, allocating what was delayed. `start` is a multiple of PAGE_SIZE; `content` is whole pages
   * (the last one padded with zeros behind the end of the file).
   * Precondition: the filesystem has reserved the space when the pages became dirty.
   */
  writePages(inode: Inode, start: number, content: Content): Errno | undefined;
  /** Whether writes bring pages in folios of several, and blocks of one are told apart once one of them is written alone (large-folios.ts). Default: no. */
  readonly writesFolios?: boolean;
  /** What readahead (readahead.ts) asks of it; absent: nothing is read ahead. */
  readonly ahead?: AheadRules;
}

/**
 * One inode's cached pages. Offsets and lengths are bytes of the file.
 * The mapping knows nothing of the file's size: callers clamp reads and cut with `truncate`.
 */
export interface Mapping {
  /** The bytes of a range: cached pages from memory, missing ones through `readPages` (they are cached afterwards). */
  read(start: number, length: number): Content | Errno;
  /**
   * Puts bytes into the cache and marks their pages dirty. A page that is written in part and not cached is read first,
   * unless it begins at or behind `oldSize`, the file's size before the write.
   * @param borders - the pages, in order, at which mappings of the write's blocks end: no folio comes over one (default: none)
   */
  write(start: number, content: Content, oldSize: number, borders?: readonly number[] | undefined): Errno | undefined;
  /**
   * Writes back the dirty pages that a range touches, and those of the folios that it touches, in ascending order (default: all). They stay cached, clean.
   */
  flush(start?: number, length?: number): Errno | undefined;
  /** Writes back the dirty pages that a range touches (default: all), which nobody waits for: an error is told to whoever flushes next (filemap_flush). */
  startWriteback(start?: number, length?: number): void;
  /** Forgets all pages behind `size`, dirty ones too, and zeroes the rest of the page that `size` cuts if it is cached. */
  truncate(size: number): void;
  /** Forgets the pages that lie wholly in a range, dirty ones too, and zeroes the parts of the pages at its edges that are cached. */
  punch(start: number, length: number): void;
  /** Drops clean pages of the whole mapping. */
  drop(): void;
  /** Whether every page that the range touches is dirty or cached, the cheap question of delayed allocation. */
  isDirty(page: number): boolean;
  /** Whether a page that a range of bytes touches is dirty, or another one of its folio. */
  reachesDirty(start: number, length: number): boolean;
  isCached(page: number): boolean;
  readonly cachedPages: number;
  readonly dirtyPages: number;
}
