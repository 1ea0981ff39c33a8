/**
 * Opens an image archive on this machine: a file, compressed or not, or a folder.
 *
 * Interface: the bytes stay where they are until somebody wants them; the file must not change meanwhile. `close` ends the reading.
 */
import { closeSync, existsSync, fstatSync, lstatSync, openSync, readdirSync, readlinkSync, readSync } from "node:fs";
import { join } from "node:path";
import { Content } from "../../sim/core/content.ts";
import { uncompressed } from "../archive/compression.ts";
import { ArchiveFault, type ReadMode } from "../archive/fault.ts";
import { type ImageFiles, linkedFiles, type Member, symbolicLink, tarFiles } from "../images/files.ts";
import { readImages } from "../images/read-images.ts";
import { verifyLayers } from "../images/source-image.ts";
import type { ArchivedImage } from "../scenario/archive.ts";
import { nodeDecompress } from "./decompress.ts";
import { nodeHasher } from "./digest.ts";

/** Small reads come from this many bytes that were read together. */
const AHEAD = 65_536;
/** The name of standard input. */
const STANDARD_INPUT = "-";
const PIECE = 2 ** 20;
/** What is kept in memory of a pipe at most. */
const STREAM_MAX = 2 ** 32;
/** More files than a layout of any sense has. */
const FILES_MAX = 100_000;

/** Files at the top of an archive or folder, of which one lists its images. */
export const LISTS: readonly string[] = ["manifest.json", "index.json", "oci-layout", "repositories"];

/** What is read of the machine's files, until `close`. */
export class OpenedFiles {
  readonly #descriptors: number[] = [];

  /** The bytes of a file of this machine; of a pipe, and of standard input by the name "-", all that comes is read at once. */
  content(path: string): Content {
    const fd = path === STANDARD_INPUT ? openStandardInput() : openSync(path, "r");
    this.#descriptors.push(fd);
    const of = fstatSync(fd);
    if (of.isFIFO() || of.isCharacterDevice() || of.isSocket()) return readStream(fd);
    const length = of.size;
    const ahead = new Uint8Array(Math.min(AHEAD, length));
    let start = 0;
    let filled = 0;
    const readInto = (target: Uint8Array, offset: number): void => {
      if (target.length >= AHEAD / 4) {
        readWhole(fd, target, offset);
        return;
      }
      if (offset < start || offset + target.length > start + filled) {
        start = offset;
        filled = Math.min(ahead.length, length - offset);
        readWhole(fd, ahead.subarray(0, filled), start);
      }
      target.set(ahead.subarray(offset - start, offset - start + target.length));
    };
    return Content.source({ length, readInto });
  }

  close(): void {
    for (const fd of this.#descriptors.splice(0)) closeSync(fd);
  }
}

/** Standard input, opened anew where that can be done: so it waits for what has not come. */
function openStandardInput(): number {
  return process.platform === "win32" ? 0 : openSync("/dev/stdin", "r");
}

/** @throws ArchiveFault for more than the limit */
function readStream(fd: number): Content {
  const pieces: Content[] = [];
  let length = 0;
  for (;;) {
    const piece = new Uint8Array(PIECE);
    const count = readSync(fd, piece, 0, PIECE, null);
    if (count === 0) return Content.concat(pieces);
    length += count;
    if (length > STREAM_MAX) throw new ArchiveFault("E_LIMIT", `more than ${STREAM_MAX} bytes come through a pipe`);
    pieces.push(Content.literal(piece.subarray(0, count)));
  }
}

function readWhole(fd: number, target: Uint8Array, offset: number): void {
  for (let done = 0; done < target.length; ) {
    const count = readSync(fd, target, done, target.length - done, offset + done);
    if (count === 0) throw new ArchiveFault("E_TAR_TRUNCATED", "the file became shorter while it was read");
    done += count;
  }
}

/** Whether a path is a folder, and not standard input. @throws the machine's error where nothing is there */
export function isFolder(path: string): boolean {
  return path !== STANDARD_INPUT && lstatSync(path).isDirectory();
}

/** The files of an image archive or of a folder. */
export async function openImageFiles(path: string, mode: ReadMode, opened: OpenedFiles): Promise<ImageFiles> {
  if (isFolder(path)) return folderFiles(path, opened);
  return tarFiles(await uncompressed(opened.content(path), nodeDecompress), mode);
}

/** The first image of an archive, its layers opened and checked; undefined for what holds no image. @throws ArchiveFault */
export async function readArchivedImage(path: string): Promise<ArchivedImage | undefined> {
  if (lstatSync(path).isDirectory() && !LISTS.some((name) => existsSync(join(path, name)))) return undefined;
  const opened = new OpenedFiles();
  let files: ImageFiles;
  try {
    files = await openImageFiles(path, "docker", opened);
  } catch {
    // What is no tar at all is judged by who reads root filesystems.
    return undefined;
  }
  if (!LISTS.some((name) => files.names.includes(name))) return undefined;
  const context = { mode: "strict", newHasher: nodeHasher, decompress: nodeDecompress } as const;
  const [image] = (await readImages(files, context)).images;
  if (image === undefined) return undefined;
  const layers = await verifyLayers(image, context);
  return { config: image.config.raw, layers: layers.map(({ content }) => content) };
}

/** What a function gives, asked for once: a file that many images name is opened once. */
function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

/** The files below a folder; links lead within it. */
function folderFiles(root: string, opened: OpenedFiles): ImageFiles {
  const members = new Map<string, Member>();
  const visit = (folder: string): void => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const name = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (members.size >= FILES_MAX) throw new ArchiveFault("E_LIMIT", `the folder holds more than ${FILES_MAX} files`);
      if (entry.isDirectory()) visit(name);
      else if (entry.isFile()) members.set(name, { kind: "file", open: once(() => opened.content(join(root, name))) });
      else if (entry.isSymbolicLink()) members.set(name, symbolicLink(name, readlinkSync(join(root, name))));
    }
  };
  visit("");
  return linkedFiles(members);
}
