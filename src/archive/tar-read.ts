/**
 * Reads tar archives: ustar, PAX, GNU long names, base-256 numbers, old v7 headers.
 *
 * Interface: one pass from the first byte to the last, by a window over the archive, so that nothing of it is held; an entry's content is a
 * part of the archive's own Content. In mode "strict" whatever is not right throws an ArchiveFault; in mode "docker" what Go's
 * archive/tar lets pass passes.
 */
import { Content } from "../../sim/core/content.ts";
import { Crc64 } from "./crc64.ts";
import { ArchiveFault, type ReadMode } from "./fault.ts";
import { numberField, paxNumber, paxRecordsOf, paxText, paxTimeOf, textField } from "./tar-fields.ts";
import * as tar from "./tar-header.ts";
import { paddingOf } from "./tar-write.ts";

/** What an archive may hold at most (spec/reliability.md). */
interface TarLimits {
  /** Bytes of one entry's long names and PAX records. */
  readonly metaBytes: number;
  readonly entries: number;
  /** Bytes of all files. */
  readonly bytes: number;
}

const TAR_LIMITS: TarLimits = { metaBytes: 2 ** 20, entries: 1_000_000, bytes: 2 ** 36 };

export interface TarEntry {
  readonly header: tar.TarHeader;
  readonly content: Content;
  /** The bytes since the end of the last entry's content: its padding, and this entry's header blocks. */
  readonly before: Content;
  /** CRC-64 of the content, where it was asked for and there is content. */
  readonly checksum: Uint8Array | undefined;
}

export interface TarReading {
  readonly mode: ReadMode;
  /** Takes every byte of the archive in its order. */
  readonly onBytes?: (piece: Uint8Array) => void;
  /** Whether to compute each file's checksum. */
  readonly checksums?: boolean;
  /** Takes what stands behind the last entry's content. */
  readonly onEnd?: (rest: Content) => void;
  readonly limits?: TarLimits;
}

/** The window: large where every byte is wanted anyway. */
const WINDOW_ALL = 2 ** 20;
const WINDOW_HEADERS = 4096;

/** A place in the archive that moves forward, and the window over it. */
class Cursor {
  readonly #content: Content;
  readonly #onBytes: ((piece: Uint8Array) => void) | undefined;
  readonly #wantsAll: boolean;
  readonly #window: Uint8Array;
  #start = 0;
  #filled = 0;
  /** What came since the last content, where every byte passes anyway: it is not fetched a second time. */
  #kept: Uint8Array = new Uint8Array(2 * tar.BLOCK);
  #keptLength = 0;
  at = 0;

  constructor(content: Content, reading: TarReading) {
    this.#content = content;
    this.#onBytes = reading.onBytes;
    this.#wantsAll = reading.onBytes !== undefined || reading.checksums === true;
    this.#window = new Uint8Array(Math.min(this.#wantsAll ? WINDOW_ALL : WINDOW_HEADERS, Math.max(tar.BLOCK, content.length)));
  }

  get left(): number {
    return this.#content.length - this.at;
  }

  /** The bytes at the cursor, at most `most` and at most to the window's end; moves behind them. Valid until the next call. */
  take(most: number): Uint8Array {
    if (this.at >= this.#start + this.#filled) this.#fill();
    const from = this.at - this.#start;
    const piece = this.#window.subarray(from, Math.min(this.#filled, from + most));
    this.at += piece.length;
    return piece;
  }

  #fill(): void {
    const end = Math.min(this.#content.length, this.at + this.#window.length);
    this.#start = this.at;
    this.#filled = end - this.at;
    this.#content.slice(this.at, end).copyTo(this.#window, 0);
    if (this.#filled > 0) this.#onBytes?.(this.#window.subarray(0, this.#filled));
  }

  /** A whole block; undefined at the archive's end. */
  block(): Uint8Array | undefined {
    if (this.left === 0) return undefined;
    const first = this.take(tar.BLOCK);
    if (first.length === tar.BLOCK) return this.#keep(first);
    const block = new Uint8Array(tar.BLOCK);
    block.set(first);
    for (let have = first.length; have < tar.BLOCK; ) {
      if (this.left === 0) throw truncated("a header");
      const piece = this.take(tar.BLOCK - have);
      block.set(piece, have);
      have += piece.length;
    }
    return this.#keep(block);
  }

  #keep(piece: Uint8Array): Uint8Array {
    if (!this.#wantsAll) return piece;
    const end = this.#keptLength + piece.length;
    if (end > this.#kept.length) {
      const larger = new Uint8Array(2 * end);
      larger.set(this.#kept.subarray(0, this.#keptLength));
      this.#kept = larger;
    }
    this.#kept.set(piece, this.#keptLength);
    this.#keptLength = end;
    return piece;
  }

  /** The bytes from `start`, the end of the last content, to the cursor. */
  since(start: number): Content {
    if (!this.#wantsAll) return this.#content.slice(start, this.at);
    const length = this.#keptLength;
    this.#keptLength = 0;
    return Content.copyOf(this.#kept, 0, length);
  }

  /** Moves over the zeros behind a content or PAX records. */
  pad(length: number): void {
    this.skip(length, (piece) => void this.#keep(piece));
  }

  /** Moves over `length` bytes. */
  skip(length: number, see?: (piece: Uint8Array) => void): void {
    if (length > this.left) throw truncated("a file");
    if (!this.#wantsAll) {
      this.at += length;
      return;
    }
    for (let left = length; left > 0; ) {
      const piece = this.take(left);
      see?.(piece);
      left -= piece.length;
    }
  }

  /** A copy of the next `length` bytes. */
  bytes(length: number): Uint8Array {
    if (length > this.left) throw truncated("a long name or PAX record");
    const out = new Uint8Array(length);
    for (let have = 0; have < length; ) {
      const piece = this.take(length - have);
      out.set(piece, have);
      have += piece.length;
    }
    return this.#keep(out);
  }

  slice(start: number, end: number): Content {
    return this.#content.slice(start, end);
  }
}

function truncated(what: string): ArchiveFault {
  return new ArchiveFault("E_TAR_TRUNCATED", `the archive ends within ${what}`);
}

/** What the entries before a header said about it. */
interface Pending {
  pax: Map<string, Uint8Array> | undefined;
  longName: string | undefined;
  longLink: string | undefined;
}

/** Reads every entry. @throws ArchiveFault */
export function* readTar(content: Content, reading: TarReading): Generator<TarEntry> {
  const limits = reading.limits ?? TAR_LIMITS;
  const cursor = new Cursor(content, reading);
  let segment = 0;
  let entries = 0;
  let bytes = 0;
  for (;;) {
    const header = nextHeader(cursor, reading, limits);
    if (header === undefined) break;
    entries += 1;
    bytes += header.size;
    if (entries > limits.entries) throw new ArchiveFault("E_LIMIT", `the archive has more than ${limits.entries} entries`);
    if (bytes > limits.bytes) throw new ArchiveFault("E_LIMIT", `the archive's files have more than ${limits.bytes} bytes`);
    const start = cursor.at;
    const before = cursor.since(segment);
    const crc = reading.checksums === true && header.size > 0 ? new Crc64() : undefined;
    const length = HEADER_ONLY.has(header.typeflag) ? 0 : header.size;
    cursor.skip(length, crc === undefined ? undefined : (piece) => crc.update(piece));
    const padding = Math.min(paddingOf(length), cursor.left);
    if (padding < paddingOf(length) && reading.mode === "strict") throw truncated("a file's last block");
    cursor.pad(padding);
    yield { header, content: cursor.slice(start, start + length), before, checksum: crc?.bytes() };
    segment = start + length;
  }
  readRest(cursor, reading);
  reading.onEnd?.(cursor.slice(segment, content.length));
}

/** What stands behind the end: zeros in a whole archive. */
function readRest(cursor: Cursor, reading: TarReading): void {
  while (cursor.left > 0) {
    const piece = cursor.take(WINDOW_ALL);
    if (reading.mode === "strict" && piece.some((byte) => byte !== 0))
      throw new ArchiveFault("E_TAR_TRAILING", "data stand behind the end of the archive");
  }
}

function isZero(block: Uint8Array): boolean {
  for (let at = 0; at < tar.BLOCK; at++) if (block[at] !== 0) return false;
  return true;
}

/** The next entry's header, with everything that stands before it worked in; undefined at the end of the archive. */
function nextHeader(cursor: Cursor, reading: TarReading, limits: TarLimits): tar.TarHeader | undefined {
  const pending: Pending = { pax: undefined, longName: undefined, longLink: undefined };
  for (;;) {
    const block = cursor.block();
    const begun = pending.pax !== undefined || pending.longName !== undefined || pending.longLink !== undefined;
    if (block === undefined) {
      if (reading.mode === "strict")
        throw new ArchiveFault("E_TAR_TRUNCATED", "the archive stops without the blocks of zeros that end one");
      return undefined;
    }
    if (isZero(block)) {
      // Go drops what was said of an entry that does not come.
      if (begun && reading.mode === "strict") throw truncated("an entry");
      endOf(cursor, reading);
      return undefined;
    }
    checkSum(block);
    const typeflag = String.fromCharCode(block[tar.FIELDS.typeflag.at] as number);
    if (!isMeta(typeflag)) return headerOf(block, pending, reading);
    takeMeta(cursor, { block, typeflag, pending, reading, limits });
  }
}

/** The second block of the end, which may be missing, but not in part. */
function endOf(cursor: Cursor, reading: TarReading): void {
  const second = cursor.block();
  if (second !== undefined && !isZero(second)) {
    const code = reading.mode === "strict" ? "E_TAR_TRAILING" : "E_TAR_HEADER";
    throw new ArchiveFault(code, "a header stands behind a block of zeros");
  }
}

function checkSum(block: Uint8Array): void {
  const said = numberField(block, tar.FIELDS.checksum, "checksum");
  const { unsigned, signed } = tar.checksumOf(block);
  if (said !== unsigned && said !== signed) throw new ArchiveFault("E_TAR_CHECKSUM", "a header's checksum is wrong");
}

function isMeta(typeflag: string): boolean {
  return typeflag === tar.PAX || typeflag === tar.PAX_GLOBAL || typeflag === tar.GNU_LONG_NAME || typeflag === tar.GNU_LONG_LINK;
}

interface Meta {
  readonly block: Uint8Array;
  readonly typeflag: string;
  readonly pending: Pending;
  readonly reading: TarReading;
  readonly limits: TarLimits;
}

/** Records of a global header that would change what an entry is. */
const GLOBAL_REFUSED = ["path", "linkpath", "size"];

function takeMeta(cursor: Cursor, meta: Meta): void {
  const { typeflag, pending } = meta;
  const strict = meta.reading.mode === "strict";
  const size = numberField(meta.block, tar.FIELDS.size, "size");
  if (size < 0) throw new ArchiveFault("E_TAR_HEADER", "the size of a header is negative");
  if (size > meta.limits.metaBytes) throw new ArchiveFault("E_LIMIT", "a long name or PAX record is longer than 1 MiB");
  const raw = cursor.bytes(size);
  cursor.pad(Math.min(paddingOf(size), cursor.left));
  if (typeflag === tar.PAX || typeflag === tar.PAX_GLOBAL) {
    const records = paxRecordsOf(raw, strict);
    if (typeflag === tar.PAX) {
      if (strict && pending.pax !== undefined) throw new ArchiveFault("E_TAR_PAX", "two PAX headers stand before one entry");
      pending.pax = records;
    } else if (strict && GLOBAL_REFUSED.some((key) => records.has(key)))
      throw new ArchiveFault("E_TAR_PAX", "a global PAX header names a path or a size");
    return;
  }
  const end = raw.indexOf(0);
  const text = tar.nameText(end < 0 ? raw : raw.subarray(0, end));
  const key = typeflag === tar.GNU_LONG_NAME ? "longName" : "longLink";
  if (strict && pending[key] !== undefined) throw new ArchiveFault("E_TAR_HEADER", "two long names stand before one entry");
  pending[key] = text;
}

/** Types that have no content, whatever their size field says. */
const HEADER_ONLY: ReadonlySet<string> = new Set([
  tar.LINK,
  tar.SYMLINK,
  tar.CHARACTER,
  tar.BLOCK_DEVICE,
  tar.DIRECTORY,
  tar.FIFO,
]);

const GNU_MAGIC = "ustar  \0";

function headerOf(block: Uint8Array, pending: Pending, reading: TarReading): tar.TarHeader {
  const fields = tar.FIELDS;
  const magic = tar.nameText(block.subarray(fields.magic.at, fields.magic.at + fields.magic.length));
  const hasOwners = magic.startsWith("ustar\0") || magic === GNU_MAGIC;
  const prefix = prefixOf(block, magic);
  const short = textField(block, fields.name);
  const base = {
    name: prefix === "" ? short : `${prefix}/${short}`,
    linkname: textField(block, fields.linkname),
    typeflag: String.fromCharCode(block[fields.typeflag.at] as number),
    mode: numberField(block, fields.mode, "mode"),
    uid: numberField(block, fields.uid, "owner"),
    gid: numberField(block, fields.gid, "group"),
    size: numberField(block, fields.size, "size"),
    mtime: { seconds: numberField(block, fields.mtime, "time"), nanoseconds: 0 },
    uname: hasOwners ? textField(block, fields.uname) : "",
    gname: hasOwners ? textField(block, fields.gname) : "",
    major: hasOwners ? numberField(block, fields.major, "device") : 0,
    minor: hasOwners ? numberField(block, fields.minor, "device") : 0,
    xattrs: [],
  };
  const { pax, longName, longLink } = pending;
  const merged = pax === undefined ? base : mergePax(base, pax);
  // GNU's long names stand above what PAX says.
  const named = { ...merged, name: longName ?? merged.name, linkname: longLink ?? merged.linkname };
  return settled(named, reading);
}

/** What stands before a name in the block's other text of it, by the formats that Go tells apart. */
function prefixOf(block: Uint8Array, magic: string): string {
  const { prefix, starPrefix, starMagic } = tar.FIELDS;
  if (magic.startsWith("ustar\0")) return textField(block, textField(block, starMagic) === "tar" ? starPrefix : prefix);
  // GNU's header has times here. One of text was written by Go before 1.8, as Docker up to 1.13 was built with.
  return magic === GNU_MAGIC && !hasGnuTimes(block) ? asciiOf(textField(block, prefix)) : "";
}

/** Whether GNU's times of access and of change are numbers, as far as they are given. */
function hasGnuTimes(block: Uint8Array): boolean {
  try {
    for (const field of [tar.FIELDS.gnuAccess, tar.FIELDS.gnuChange])
      if (block[field.at] !== 0) numberField(block, field, "time");
    return true;
  } catch (error) {
    if (error instanceof ArchiveFault) return false;
    throw error;
  }
}

/** A text, if it is ASCII; else nothing. */
function asciiOf(text: string): string {
  return [...text].every((unit) => unit < "\x80") ? text : "";
}

/** The checks and changes that come last. */
function settled(header: tar.TarHeader, reading: TarReading): tar.TarHeader {
  if (header.typeflag === tar.GNU_SPARSE) throw new ArchiveFault("E_TAR_SPARSE", `${header.name} is a sparse file`);
  if (header.size < 0) throw new ArchiveFault("E_TAR_HEADER", "the size of a header is negative");
  if (header.name === "" && reading.mode === "strict") throw new ArchiveFault("E_TAR_HEADER", "an entry has no name");
  const isFolder = header.typeflag === tar.REGULAR_OLD && header.name.endsWith("/");
  const typeflag = isFolder ? tar.DIRECTORY : header.typeflag;
  if (!HEADER_ONLY.has(typeflag)) return isFolder ? { ...header, typeflag } : header;
  if (header.size > 0 && reading.mode === "strict")
    throw new ArchiveFault("E_TAR_HEADER", `${JSON.stringify(header.name)} has a size, and is no file`);
  return { ...header, typeflag };
}

/** Works PAX records into a header; an empty one changes nothing. */
function mergePax(header: tar.TarHeader, records: ReadonlyMap<string, Uint8Array>): tar.TarHeader {
  const changed: { -readonly [K in keyof tar.TarHeader]: tar.TarHeader[K] } = { ...header };
  const xattrs: (readonly [string, Uint8Array])[] = [];
  for (const [key, value] of records) {
    if (key.startsWith("GNU.sparse.")) throw new ArchiveFault("E_TAR_SPARSE", `${header.name} is a sparse file`);
    if (value.length === 0) continue;
    if (key.startsWith(tar.XATTR_PREFIX)) xattrs.push([key.slice(tar.XATTR_PREFIX.length), value]);
    else if (key === "path") changed.name = paxText(value, key);
    else if (key === "linkpath") changed.linkname = paxText(value, key);
    else if (key === "uname") changed.uname = paxText(value, key);
    else if (key === "gname") changed.gname = paxText(value, key);
    else if (key === "uid") changed.uid = paxNumber(value, key);
    else if (key === "gid") changed.gid = paxNumber(value, key);
    else if (key === "size") changed.size = paxNumber(value, key);
    else if (key === "mtime") changed.mtime = paxTimeOf(value);
  }
  changed.xattrs = xattrs.sort(([one], [other]) => (one < other ? -1 : 1));
  return changed;
}
