/** What hangs on inodes beyond their columns, read from a buffer of inodes and the blocks it names. */
import { isErrno } from "../../core/errno.ts";
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../../vfs/filesystem.ts";
import { DirectoryData } from "./directory-data.ts";
import { loadShort, shortDirectory } from "./directory-load.ts";
import { FileData } from "./file-data.ts";
import { type InodeChunk, MODE, SymlinkData, WORDS } from "./inodes.ts";
import { BLOCK_SIZE, CHUNK_INODES, SECTORS_PER_BLOCK } from "./layout.ts";
import { type ClusterRecord, type ExtentsRecord, type InodeBody, type MetadataRecord, readRecord } from "./records.ts";
import type { XfsState } from "./state.ts";
import { XattrBlock, type XattrSet } from "./xattr-set.ts";

/** The record of a block of the device; undefined when it holds none. */
function blockRecord(state: XfsState, block: number): MetadataRecord | undefined {
  const record = readRecord(state.device, block * SECTORS_PER_BLOCK, BLOCK_SIZE);
  return isErrno(record) ? undefined : record;
}

export function newDirectoryData(state: XfsState, ino: number): DirectoryData {
  const data: DirectoryData = new DirectoryData(() => shortDirectory(state, ino, data));
  return data;
}

/** Fills a chunk's data and attributes. */
export function loadBodies(state: XfsState, chunk: InodeChunk, record: ClusterRecord): void {
  const read = (block: number): ExtentsRecord | undefined => {
    const below = blockRecord(state, block);
    return below?.kind === "xfs.extents" ? below : undefined;
  };
  for (const [index, body] of record.bodies.entries()) {
    if (body === undefined) continue;
    const at = record.first - chunk.first + index;
    const type = (chunk.words[at * WORDS + MODE] as number) & S_IFMT;
    if (type === S_IFLNK) chunk.data[at] = loadLink(state, body);
    else if (type === S_IFREG && body.fork !== undefined) {
      const data = new FileData();
      data.fork.load(body.fork, read);
      data.onDisk = chunk.sizes[at] as number;
      chunk.data[at] = data;
    } else if (type === S_IFDIR) {
      const data = newDirectoryData(state, chunk.first + at);
      data.sizeWhenRead = chunk.sizes[at] as number;
      chunk.data[at] = data;
      if (body.fork !== undefined) data.fork.load(body.fork, read);
      if (body.directory !== undefined) loadShort(state, chunk.first + at, data, body.directory);
      else {
        data.isShort = false;
        data.loaded = false;
      }
    }
    if (body.xattrs !== undefined || body.xattrBlocks !== undefined)
      (chunk.xattrs ??= new Array(CHUNK_INODES).fill(undefined))[at] = loadXattrs(state, body);
  }
}

function loadLink(state: XfsState, body: InodeBody): SymlinkData {
  if (body.target !== undefined) return new SymlinkData(body.target, 0);
  const block = body.fork?.entries[2] ?? 0;
  const record = blockRecord(state, block);
  return new SymlinkData(record?.kind === "xfs.symlink" ? record.target : "", block);
}

function loadXattrs(state: XfsState, body: InodeBody): XattrSet {
  const blocks: XattrBlock[] = [];
  const entries = new Map(body.xattrs);
  for (const block of body.xattrBlocks ?? []) {
    const record = blockRecord(state, block);
    if (record === undefined || !record.kind.startsWith("xfs.attribute")) continue;
    const known = record as Extract<MetadataRecord, { entries: readonly (readonly [string, Uint8Array])[] }>;
    const made = new XattrBlock(known.kind as XattrBlock["kind"], block);
    made.entries = known.entries as XattrBlock["entries"];
    if (made.kind === "xfs.attributeLeaf") for (const [name, value] of made.entries) entries.set(name, value);
    blocks.push(made);
  }
  const blockNumbers = body.xattrBlocks;
  return { entries, inInode: blockNumbers === undefined ? entries : undefined, blocks, blockNumbers };
}
