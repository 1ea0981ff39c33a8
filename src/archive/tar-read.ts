/**
 * Reads tar archives: ustar, PAX, GNU long names, base-256 numbers, old v7 headers.
 *
 * Interface: one pass from the first byte to the last, by a window over the archive, so that nothing of it is held; an entry's content is a
 * part of the archive's own Content. In mode "strict" whatever is not right throws an ArchiveFault; in mode "docker" what Go's
 * archive/tar lets pass passes.
 */
import type { Content } from "../../sim/core/content.ts";
import { Crc64 } from "./crc64.ts";
import { ArchiveFault, type ReadMode } from "./fault.ts";
import { Cursor, type CursorReading, truncated } from "./tar-cursor.ts";
import { numberField, paxNumber, paxRecordsOf, paxText, paxTimeOf, SPARSE_PREFIX, textField } from "./tar-fields.ts";
import * as tar from "./tar-header.ts";
import { expanded, type Sparse, sparseOf, wholeHeader } from "./tar-sparse.ts";
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

export interface TarReading extends CursorReading {
  readonly mode: ReadMode;
  /** Takes what stands behind the last entry's content. */
  readonly onEnd?: (rest: Content) => void;
  readonly limits?: TarLimits;
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
    const found = entries === 0 ? firstHeader(cursor, reading, limits) : nextHeader(cursor, reading, limits);
    if (found === undefined) break;
    const { header, stored, sparse } = found;
    entries += 1;
    bytes += header.size;
    if (entries > limits.entries) throw new ArchiveFault("E_LIMIT", `the archive has more than ${limits.entries} entries`);
    if (bytes > limits.bytes) throw new ArchiveFault("E_LIMIT", `the archive's files have more than ${limits.bytes} bytes`);
    const start = cursor.at;
    const before = cursor.since(segment);
    const crc = reading.checksums === true && header.size > 0 ? new Crc64() : undefined;
    cursor.skip(stored, crc === undefined || sparse !== undefined ? undefined : (piece) => crc.update(piece));
    const padding = Math.min(paddingOf(stored), cursor.left);
    if (padding < paddingOf(stored) && reading.mode === "strict") throw truncated("a file's last block");
    cursor.pad(padding);
    const raw = cursor.slice(start, start + stored);
    const content = sparse === undefined ? raw : expanded(raw, sparse, header.size);
    if (sparse !== undefined) for (const piece of crc === undefined ? [] : content.chunks()) crc?.update(piece);
    yield { header, content, before, checksum: crc?.bytes() };
    segment = start + stored;
  }
  readRest(cursor, reading);
  reading.onEnd?.(cursor.slice(segment, content.length));
}

/** What stands behind the end: zeros in a whole archive. */
function readRest(cursor: Cursor, reading: TarReading): void {
  while (cursor.left > 0) {
    const piece = cursor.take(cursor.left);
    if (reading.mode === "strict" && piece.some((byte) => byte !== 0))
      throw new ArchiveFault("E_TAR_TRAILING", "data stand behind the end of the archive");
  }
}

function isZero(block: Uint8Array): boolean {
  for (let at = 0; at < tar.BLOCK; at++) if (block[at] !== 0) return false;
  return true;
}

/** An entry before its content. */
interface Found {
  readonly header: tar.TarHeader;
  /** Bytes of content in the archive. */
  readonly stored: number;
  /** Where some of the file is not in the archive. */
  readonly sparse: Sparse | undefined;
}

/** The first entry's header: what has none that can be read is no archive at all. */
function firstHeader(cursor: Cursor, reading: TarReading, limits: TarLimits): Found | undefined {
  const empty = cursor.left === 0;
  try {
    return nextHeader(cursor, reading, limits);
  } catch (error) {
    const isHeader = error instanceof ArchiveFault && error.code.startsWith("E_TAR_");
    if (!isHeader) throw error;
    throw new ArchiveFault(error.code, empty ? "this is empty, and no tar archive" : `this is no tar archive: ${error.message}`);
  }
}

/** The next entry's header, with everything that stands before it worked in; undefined at the end of the archive. */
function nextHeader(cursor: Cursor, reading: TarReading, limits: TarLimits): Found | undefined {
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
    if (!isMeta(typeflag)) return entryOf(headerOf(block, pending, reading), pending);
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

/** What a header's records and its type make of the content behind it. */
function entryOf(header: tar.TarHeader, { pax }: Pending): Found {
  const stored = HEADER_ONLY.has(header.typeflag) ? 0 : header.size;
  const sparse = pax === undefined ? undefined : sparseOf(pax);
  if (pax === undefined || sparse === undefined) return { header, stored, sparse };
  if (HEADER_ONLY.has(header.typeflag)) throw new ArchiveFault("E_TAR_SPARSE", "what is sparse is no file");
  return { header: wholeHeader(header, pax), stored, sparse };
}

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
  const merged = pax === undefined ? base : mergePax(base, pax, reading.mode);
  // GNU's long names stand above what PAX says.
  if (longName === undefined && longLink === undefined) return settled(merged, reading);
  return settled({ ...merged, name: longName ?? merged.name, linkname: longLink ?? merged.linkname }, reading);
}

/** What stands before a name in the block's other text of it, by the formats that Go tells apart. */
function prefixOf(block: Uint8Array, magic: string): string {
  const { prefix, starPrefix, starMagic } = tar.FIELDS;
  if (magic.startsWith("ustar\0")) {
    // Most blocks end in zeros: only a byte there is read as a text.
    const isStar = block[starMagic.at] !== 0 && textField(block, starMagic) === "tar";
    return textField(block, isStar ? starPrefix : prefix);
  }
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
function mergePax(header: tar.TarHeader, records: ReadonlyMap<string, Uint8Array>, mode: ReadMode): tar.TarHeader {
  const changed: { -readonly [K in keyof tar.TarHeader]: tar.TarHeader[K] } = { ...header };
  const xattrs: (readonly [string, Uint8Array])[] = [];
  for (const [key, value] of records) {
    if (mode === "strict" && key.startsWith(SPARSE_PREFIX))
      throw new ArchiveFault("E_TAR_SPARSE", `${header.name} is a sparse file`);
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
