/**
 * Mounting after a power cut: what the log trees tell is brought into their subvolumes, and committed
 * (fs/btrfs/tree-log.c: btrfs_recover_log_trees, replay_one_buffer; Linux 6.18).
 *
 * Order: inodes first, without what they have no more; then names that directories tell of; then names that inodes tell of, attributes and data; at last the counts of
 * links, and what has no link goes.
 */
import { InvariantError } from "../../core/assert.ts";
import type { Errno } from "../../core/errno.ts";
import { alignUp } from "../../core/units.ts";
import { S_IFDIR, S_IFMT, S_IFREG } from "../../vfs/filesystem.ts";
import { Cursor } from "../cursor.ts";
import type { Key } from "../key.ts";
import type { Node, NodeFormat } from "../node.ts";
import type { NodeStore } from "../store.ts";
import { Tree } from "../tree.ts";
import { writeInode } from "./delayed-inodes.ts";
import { dropExtents } from "./file-extents.ts";
import { inodeOf } from "./inodes.ts";
import type { DirEntry, InodeExtref, InodeItem, InodeRef, RootItem, XattrEntry } from "./items.ts";
import {
  DIR_INDEX,
  EXTENT_DATA,
  FORMAT,
  handleOf,
  INODE_BYTES,
  INODE_EXTREF,
  INODE_ITEM,
  INODE_REF,
  key,
  NODE_SIZE,
  ROOT_ITEM,
  SECTOR_SIZE,
  TREE_LOG,
  XATTR_ITEM,
} from "./layout.ts";
import type { LoggedExtent } from "./log-extents.ts";
import { replayExtent } from "./log-replay-extents.ts";
import { fixLinkCounts, type Replay, replayDeletedEntries, replayEntry, replayRefs } from "./log-replay-names.ts";
import { readBelow } from "./records.ts";
import type { BtrfsState } from "./state.ts";
import { lastInoIn } from "./subvolumes.ts";
import { keepEntry } from "./xattr-items.ts";

/** Nodes of log trees as the device has them: they are read, and nothing is changed. */
class LoggedNodes implements NodeStore {
  readonly format: NodeFormat = FORMAT;
  readonly nodes: Map<number, Node> = new Map();

  read(address: number): Node {
    const node = this.nodes.get(address);
    if (node === undefined) return this.#unchanged();
    return node;
  }
  allocate(): Node {
    return this.#unchanged();
  }
  isOwn(): boolean {
    return false;
  }
  copied(): boolean {
    return this.#unchanged();
  }
  freed(): void {
    this.#unchanged();
  }
  #unchanged(): never {
    throw new InvariantError("a log that is replayed is read as a whole, and stays as it is");
  }
}

/** Replays what was logged since the last commit, and commits. @param logRoot - the root of the tree of log trees. @returns EIO where a tree cannot be read. */
export function replayLogs(state: BtrfsState, logRoot: number): Errno | undefined {
  const store = new LoggedNodes();
  const failed = readBelow(state, store.nodes, logRoot);
  if (failed !== undefined) return failed;
  const replays: Replay[] = [];
  const roots = new Tree(store, TREE_LOG, logRoot);
  const cursor = new Cursor(roots);
  for (let more = cursor.seek(key(TREE_LOG, ROOT_ITEM)); more; more = cursor.next()) {
    const { root } = cursor.value as RootItem;
    const unread = readBelow(state, store.nodes, root);
    if (unread !== undefined) return unread;
    const subvolume = state.subvolumes.get(cursor.key.offset);
    // It may have been deleted since.
    if (subvolume !== undefined) replays.push({ state, subvolume, log: new Tree(store, TREE_LOG, root), toFix: new Set() });
  }
  pin(state, store);
  // The last subvolume comes first.
  replays.reverse();
  for (const stage of STAGES) for (const replay of replays) replayStage(replay, stage);
  for (const { subvolume } of replays) subvolume.lastIno = lastInoIn(subvolume.tree);
  return state.commit();
}

/** The nodes keep their places until the replay has committed: it may be cut short, and begin again. */
function pin(state: BtrfsState, { nodes }: LoggedNodes): void {
  for (const address of nodes.keys()) {
    state.space.reserveAt(address, NODE_SIZE);
    state.space.unreserve(address, NODE_SIZE, true);
  }
}

const STAGES = ["inodes", "entries", "all"] as const;
type Stage = (typeof STAGES)[number];

/** Goes through a log tree once. */
function replayStage(replay: Replay, stage: Stage): void {
  const cursor = new Cursor(replay.log);
  let isIgnored = false;
  for (let more = cursor.seek(key(0, 0)); more; more = cursor.next()) {
    const { key: at, value, size } = cursor;
    // What has no name goes with the entry that its directory has lost.
    if (at.kind === INODE_ITEM) isIgnored = (value as InodeItem).nlink === 0;
    if (isIgnored) continue;
    if (stage === "inodes" && at.kind === INODE_ITEM) replayInode(replay, at.object, value as InodeItem);
    else if (stage === "entries" && at.kind === DIR_INDEX) replayEntry(replay, at.object, at.offset, value as DirEntry);
    else if (stage === "all") replayItem(replay, at, value, size);
  }
  if (stage === "all") fixLinkCounts(replay);
}

function replayItem(replay: Replay, at: Key, value: unknown, size: number): void {
  if (at.kind === XATTR_ITEM) replay.subvolume.tree.set(at, size, value);
  else if (at.kind === INODE_REF || at.kind === INODE_EXTREF)
    replayRefs(replay, at, value as readonly (InodeRef | InodeExtref)[], size);
  else if (at.kind === EXTENT_DATA) replayExtent(replay, at.object, at.offset, value as LoggedExtent);
}

/** An inode gets the attributes that the log tells, and loses what the log does not know any more. */
function replayInode(replay: Replay, ino: number, item: InodeItem): void {
  const { state, subvolume } = replay;
  dropXattrs(replay, ino);
  const isDirectory = (item.mode & S_IFMT) === S_IFDIR;
  if (isDirectory) replayDeletedEntries(replay, ino);
  overwrite(replay, ino, item);
  const inode = inodeOf(state, handleOf(subvolume.id, ino));
  if ((item.mode & S_IFMT) === S_IFREG) {
    dropExtents(state, inode, alignUp(inode.size, SECTOR_SIZE), Number.MAX_SAFE_INTEGER);
    writeInode(inode);
  }
  replay.toFix.add(ino);
}

/** Takes away the extended attributes that the log does not have: it has all that there are (replay_xattr_deletes). */
function dropXattrs({ state, subvolume, log }: Replay, ino: number): void {
  const gone: string[] = [];
  subvolume.tree.visit(key(ino, XATTR_ITEM), key(ino, XATTR_ITEM + 1), (at, value) => {
    const kept = (log.get(at) ?? []) as readonly XattrEntry[];
    for (const { name } of value as readonly XattrEntry[]) if (kept.every((one) => one.name !== name)) gone.push(name);
    return false;
  });
  if (gone.length === 0) return;
  const inode = inodeOf(state, handleOf(subvolume.id, ino));
  for (const name of gone) keepEntry(inode, name, undefined);
}

/**
 * Brings an inode's item over (overwrite_item): bytes follow with the extents, a directory's size with its entries. Of what merely exists, only a size that the
 * log knows of is taken over where the inode is there already.
 */
function overwrite({ state, subvolume }: Replay, ino: number, item: InodeItem): void {
  const { tree, id } = subvolume;
  const at = key(ino, INODE_ITEM);
  const there = tree.get(at) as InodeItem | undefined;
  const merelyExists = item.generation === 0;
  const isDirectory = (item.mode & S_IFMT) === S_IFDIR;
  if (there === undefined) {
    const generation = merelyExists ? state.generation : item.generation;
    tree.set(at, INODE_BYTES, { ...item, generation, bytes: 0, size: isDirectory ? 0 : item.size });
    return;
  }
  const inode = inodeOf(state, handleOf(id, ino));
  if (merelyExists) {
    const isFile = (item.mode & there.mode & S_IFMT) === S_IFREG;
    if (isFile && item.size !== 0) inode.size = item.size;
  } else {
    const { mode, uid, gid, nlink, rdev, flags, atime, mtime, ctime } = item;
    Object.assign(inode, { mode, uid, gid, nlink, rdev, flags, atime, mtime, ctime });
    if (!isDirectory) inode.size = item.size;
  }
  inode.diskSize = inode.size;
  writeInode(inode);
}
