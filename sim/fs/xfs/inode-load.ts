/** What hangs on inodes beyond their columns, read from a buffer of inodes and the blocks it names. */
import { assert } from "../../core/assert.ts";
import { type Errno, isErrno } from "../../core/errno.ts";
import { S_IFLNK, S_IFMT, S_IFREG } from "../../vfs/filesystem.ts";
import { DirectoryData } from "./directory-data.ts";
import { loadShort, shortDirectory } from "./directory-load.ts";
import { FileData } from "./file-data.ts";
import { type InodeChunk, type InodeData, MODE, SymlinkData, WORDS } from "./inodes.ts";
import { CHUNK_INODES } from "./layout.ts";
import { type ClusterRecord, type ExtentsRecord, type InodeBody, readBlock } from "./records.ts";
import type { XfsState } from "./state.ts";

export function newDirectoryData(state: XfsState, ino: number): DirectoryData {
  const data: DirectoryData = new DirectoryData(() => shortDirectory(state, ino, data));
  return data;
}

/** Fills a chunk's data and attributes. What cannot be read now is read when it is asked for. */
export function loadBodies(state: XfsState, chunk: InodeChunk, record: ClusterRecord): void {
  for (const [index, body] of record.bodies.entries()) {
    if (body === undefined) continue;
    const at = record.first - chunk.first + index;
    const { xattrs, xattrBlocks, ...own } = body;
    if (loadBody(state, chunk, at, own) !== undefined) chunk.unread.set(at, own);
    if (xattrs === undefined && xattrBlocks === undefined) continue;
    chunk.xattrs ??= new Array(CHUNK_INODES).fill(undefined);
    chunk.xattrs[at] = { entries: xattrs, inInode: xattrs, blocks: [], blockNumbers: xattrBlocks, forkBytes: 0 };
  }
}

/** Fills what one inode's data fork holds, or nothing of it. @returns EIO or EUCLEAN when a block of it cannot be read. */
export function loadBody(state: XfsState, chunk: InodeChunk, at: number, body: InodeBody): Errno | undefined {
  const data = loadData(state, chunk, at, body);
  if (isErrno(data)) return data;
  chunk.data[at] = data;
  if (body.directory !== undefined && data instanceof DirectoryData) loadShort(state, chunk.first + at, data, body.directory);
  return undefined;
}

function loadData(state: XfsState, chunk: InodeChunk, at: number, body: InodeBody): InodeData | Errno {
  const read = (block: number): ExtentsRecord | Errno => readBlock(state.device, block, "xfs.extents");
  const type = (chunk.words[at * WORDS + MODE] as number) & S_IFMT;
  if (type === S_IFLNK) return loadLink(state, body);
  if (body.fork === undefined) return undefined;
  const size = chunk.sizes[at] as number;
  if (type === S_IFREG) {
    const data = new FileData();
    data.onDisk = size;
    return data.fork.load(body.fork, read) ?? data;
  }
  const data = newDirectoryData(state, chunk.first + at);
  data.sizeWhenRead = size;
  data.isShort = body.directory !== undefined;
  data.loaded = data.isShort;
  return data.fork.load(body.fork, read) ?? data;
}

function loadLink(state: XfsState, { target, fork }: InodeBody): SymlinkData | Errno {
  if (target !== undefined) return new SymlinkData(target, 0);
  const block = fork?.entries[2];
  assert(block !== undefined, "a symbolic link has neither a target nor a block for it");
  const record = readBlock(state.device, block, "xfs.symlink");
  return isErrno(record) ? record : new SymlinkData(record.target, block);
}
