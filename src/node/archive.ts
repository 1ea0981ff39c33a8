/**
 * Reads a root filesystem from this machine: a tar archive, gzipped or not, or a folder.
 *
 * Interface: the result is plain data (src/scenario/archive.ts). Names that lead out of the root are refused; an archive that unpacks to more
 * than ARCHIVE_BYTES_MAX is refused before memory runs out. Whiteouts of layer archives are taken as plain files.
 */
import { closeSync, lstatSync, openSync, readdirSync, readFileSync, readlinkSync, readSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { extract, type Header } from "tar-stream";
import { Content } from "../../sim/core/content.ts";
import { ignoredBy } from "../archive/ignore.ts";
import { type Archive, type ArchiveEntry, cleanName } from "../scenario/archive.ts";
import { readArchivedImage } from "./image-files.ts";

const ARCHIVE_BYTES_MAX = 2 ** 30;
const NAMES_MAX = 1_000_000;

/** What is wrong with an archive, as the end of a sentence. */
export class ArchiveError extends Error {
  override readonly name = "ArchiveError";
}

/** Reads the archive or folder at a path of this machine. @throws ArchiveError that says what is wrong. */
export async function readArchive(path: string): Promise<Archive> {
  const image = await readArchivedImage(path);
  if (image !== undefined) return { entries: [], image };
  if (lstatSync(path).isDirectory()) return { entries: readFolder(path) };
  const raw = tarBytes(path);
  return { entries: await readTar(raw), tar: Content.literal(raw) };
}

/** Reads the context of a build: a folder, less what its .dockerignore names. @throws ArchiveError */
export function readContext(path: string): Archive {
  if (!lstatSync(path).isDirectory()) throw new ArchiveError("is no folder");
  const entries = readFolder(path);
  const file = entries.find((entry) => entry.path === "/.dockerignore");
  if (file?.kind !== "file") return { entries };
  const ignored = ignoredBy(new TextDecoder().decode(file.content.toBytes()));
  const kept = new Set(entries.filter((entry) => !ignored(entry.path.slice(1))).map((entry) => entry.path));
  // A folder that is left out is there all the same for what is taken in again below it.
  for (const one of [...kept]) for (let at = one; at.lastIndexOf("/") > 0; kept.add(at)) at = at.slice(0, at.lastIndexOf("/"));
  return { entries: entries.filter((entry) => kept.has(entry.path)) };
}

function tarBytes(path: string): Uint8Array {
  const raw = readFileSync(path);
  if (raw[0] !== 0x1f || raw[1] !== 0x8b) return raw;
  try {
    return gunzipSync(raw, { maxOutputLength: ARCHIVE_BYTES_MAX });
  } catch (error) {
    const tooLong = error instanceof RangeError;
    throw new ArchiveError(tooLong ? "unpacks to more than 1 GiB" : `is not a gzip archive: ${messageOf(error)}`);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function readTar(raw: Uint8Array): Promise<readonly ArchiveEntry[]> {
  if (raw.length > ARCHIVE_BYTES_MAX) throw new ArchiveError("is longer than 1 GiB");
  if (raw.length < 512 || raw.length % 512 !== 0)
    throw new ArchiveError("is not a tar archive: its length is no multiple of 512 bytes");
  const entries: ArchiveEntry[] = [];
  const reader = extract();
  reader.end(raw);
  try {
    for await (const entry of reader) {
      const parts: Uint8Array[] = [];
      for await (const part of entry) parts.push(part as Uint8Array);
      const made = entryOf(entry.header, Content.concat(parts.map((part) => Content.literal(part))));
      if (made !== undefined) entries.push(made);
    }
  } catch (error) {
    throw error instanceof ArchiveError ? error : new ArchiveError(`is not a whole tar archive: ${messageOf(error)}`);
  }
  return entries;
}

function inside(name: string, what: string): string {
  const path = cleanName(name);
  if (path === undefined) throw new ArchiveError(`holds ${what} ${JSON.stringify(name)}, which is outside of the root`);
  return path;
}

/** Extended attributes as PAX records keep them: SCHILY.xattr.NAME. */
function xattrsOf(header: Header): readonly (readonly [string, Uint8Array])[] {
  return Object.entries(header.pax ?? {}).flatMap(([key, value]) =>
    key.startsWith("SCHILY.xattr.") ? [[key.slice("SCHILY.xattr.".length), Buffer.from(String(value), "utf8")] as const] : [],
  );
}

/** The entry of a tar header; undefined for what a root filesystem has no use for. */
function entryOf(header: Header, content: Content): ArchiveEntry | undefined {
  const path = inside(header.name, "a name");
  const base = {
    path,
    mode: (header.mode ?? 0o644) & 0o7777,
    uid: header.uid ?? 0,
    gid: header.gid ?? 0,
    mtime: BigInt(header.mtime?.getTime() ?? 0) * 1_000_000n,
    xattrs: xattrsOf(header),
  };
  switch (header.type) {
    case "directory":
      return { ...base, kind: "directory" };
    case "file":
    case "contiguous-file":
    case null:
    case undefined:
      return { ...base, kind: "file", content };
    case "symlink":
      return { ...base, kind: "symlink", target: header.linkname ?? "" };
    case "link":
      return { ...base, kind: "link", target: inside(header.linkname ?? "", "a link to") };
    case "fifo":
      return { ...base, kind: "fifo" };
    case "character-device":
    case "block-device":
      return {
        ...base,
        kind: header.type === "block-device" ? "block" : "char",
        major: header.devmajor ?? 0,
        minor: header.devminor ?? 0,
      };
    default:
      return undefined;
  }
}

/** A folder of this machine, names sorted; hard links inside it are kept. */
export function readFolder(root: string): readonly ArchiveEntry[] {
  const entries: ArchiveEntry[] = [];
  const seen = new Map<string, string>();
  let bytes = 0;
  const visit = (path: string): void => {
    const real = join(root, path);
    const status = lstatSync(real, { bigint: true });
    if (entries.length >= NAMES_MAX) throw new ArchiveError(`holds more than ${NAMES_MAX} names`);
    const mtime = status.mtimeNs;
    const base = {
      path: path === "" ? "/" : path,
      mode: Number(status.mode & 0o7777n),
      uid: Number(status.uid),
      gid: Number(status.gid),
      mtime,
      xattrs: [],
    };
    const key = `${status.dev}:${status.ino}`;
    const first = seen.get(key);
    if (!status.isDirectory() && status.nlink > 1n && first !== undefined) {
      entries.push({ ...base, kind: "link", target: first });
      return;
    }
    seen.set(key, base.path);
    if (status.isDirectory()) {
      entries.push({ ...base, kind: "directory" });
      for (const name of readdirSync(real).sort()) visit(`${path}/${name}`);
    } else if (status.isSymbolicLink()) entries.push({ ...base, kind: "symlink", target: readlinkSync(real) });
    else if (status.isFile()) {
      bytes += Number(status.size);
      if (bytes > ARCHIVE_BYTES_MAX) throw new ArchiveError("holds more than 1 GiB");
      entries.push({ ...base, kind: "file", content: Content.literal(readWhole(real, Number(status.size))) });
    } else if (status.isFIFO()) entries.push({ ...base, kind: "fifo" });
    else if (status.isCharacterDevice() || status.isBlockDevice()) {
      const rdev = Number(status.rdev);
      entries.push({
        ...base,
        kind: status.isBlockDevice() ? "block" : "char",
        major: (rdev >> 8) & 0xfff,
        minor: (rdev & 0xff) | ((rdev >> 12) & 0xfff00),
      });
    }
  };
  visit("");
  return entries;
}

function readWhole(path: string, size: number): Uint8Array {
  const out = new Uint8Array(size);
  const fd = openSync(path, "r");
  let done = 0;
  while (done < size) {
    const count = readSync(fd, out, done, size - done, done);
    if (count === 0) break;
    done += count;
  }
  closeSync(fd);
  return done === size ? out : out.slice(0, done);
}
