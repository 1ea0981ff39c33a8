/**
 * One mounted btrfs: everything that its operations share (kernel: struct btrfs_fs_info). Operations are functions over it, in files by operation.
 *
 * Interface: each call that changes something begins as transaction.ts says. The running transaction's number is `generation`; a node that has it is changed in place.
 */
import type { BlockDevice } from "../../block/device.ts";
import { InvariantError } from "../../core/assert.ts";
import type { Content } from "../../core/content.ts";
import { EIO, type Errno, isErrno } from "../../core/errno.ts";
import type { BtrfsProfile } from "../../core/kernel-profile.ts";
import type { Name } from "../../core/names.ts";
import { Random } from "../../core/random.ts";
import { bytes, type DeviceNumber } from "../../core/units.ts";
import type { AddressSpace } from "../../vfs/address-space.ts";
import type { Extent, Reference } from "../extent.ts";
import { Node, type NodeFormat } from "../node.ts";
import { type ItemReference, References } from "../references.ts";
import type { NodeStore, TreeParts } from "../store.ts";
import type { Tree } from "../tree.ts";
import { DelayedInodes } from "./delayed-inodes.ts";
import { EntryCache } from "./entry-cache.ts";
import type { BtrfsEnvironment } from "./environment.ts";
import { referencesInTree } from "./extent-references.ts";
import { FreshNodes } from "./fresh-nodes.ts";
import { GlobalReserve } from "./global-reserve.ts";
import { flushAll, type InodeState } from "./inode-state.ts";
import { InodeTable } from "./inode-table.ts";
import type { ChunkType, FileExtent, RootItem } from "./items.ts";
import {
  CHUNK_TREE,
  EXTENT_DATA,
  EXTENT_ITEM,
  EXTENT_TREE,
  FIRST_FREE,
  FORMAT,
  handleOf,
  key,
  LAST_FREE,
  METADATA_ITEM,
  NODE_SIZE,
  QUOTA_TREE,
  ROOT_ITEM,
  ROOT_TREE,
  TOP_SUBVOLUME,
} from "./layout.ts";
import { LogTrees } from "./log-trees.ts";
import { type Flushable, MetadataSpace } from "./metadata-space.ts";
import { nameHash } from "./name-hash.ts";
import { NodeTable } from "./node-table.ts";
import type { Quotas } from "./quotas.ts";
import type { SuperblockRecord } from "./records.ts";
import type { Space } from "./space.ts";
import { PLAIN_ROOT, type Subvolume } from "./subvolume.ts";

/** What a mount finds or a mkfs makes up. */
export interface BtrfsParts {
  readonly space: Space;
  readonly uuid: string;
  readonly generation: number;
  readonly mayHaveCache: boolean;
  /** Ends the running transaction. */
  readonly commit: (state: BtrfsState) => Errno | undefined;
  /** Brings the changes of so many extents' references to the extent tree, where nobody counts them for quota groups at the commit. */
  readonly settleReferences: (state: BtrfsState, most: number) => void;
}

const INLINE_MAX = 2048;
const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

export class BtrfsState implements NodeStore, Flushable {
  readonly format: NodeFormat = FORMAT;
  readonly device: BlockDevice;
  readonly environment: BtrfsEnvironment;
  readonly label: string;
  readonly space: Space;
  readonly uuid: string;
  readonly random: Random;
  readonly references: References;
  /** All nodes there are, those too that go with the running transaction. */
  readonly nodes: NodeTable = new NodeTable();
  /** Nodes that the running transaction has made. */
  readonly fresh: FreshNodes = new FreshNodes();
  /** The tree that the running transaction has made a snapshot of, until its root is settled: it changes none of its nodes in place, young as they are (BTRFS_ROOT_FORCE_COW). */
  sharedTree: number | undefined;
  /** All trees by id, subvolumes' among them. */
  readonly trees: Map<number, Tree> = new Map();
  /** Ids of the trees that the running transaction has changed or dropped, and of subvolumes whose item it has changed. */
  readonly touched: Set<number> = new Set();
  /** Subvolumes whose item differs from what the root tree has. */
  readonly #changedItems = new Set<Subvolume>();
  /** Where the root tree says that each tree's root is. */
  readonly writtenRoots: Map<number, number> = new Map();
  /** Where each tree's root was at the last commit. */
  readonly committedRoots: Map<number, number> = new Map();
  readonly subvolumes: Map<number, Subvolume> = new Map();
  readonly inodes: InodeTable = new InodeTable();
  /** Inodes whose pages a call has made dirty; they may have been written back meanwhile. */
  readonly dirtied: Set<InodeState> = new Set();
  /** Those of them that the flusher has not come to since; it does, whether they are still dirty or not (b_dirty). */
  readonly flushLater: Set<InodeState> = new Set();
  readonly delayedInodes: DelayedInodes = new DelayedInodes();
  /** Directories that stand for a subvolume elsewhere: by directory and name. */
  readonly placeholders: Map<string, number> = new Map();
  /** What was synced since the last commit. */
  readonly logs: LogTrees;
  /** The superblock of the last commit; undefined before the first. */
  committed: SuperblockRecord | undefined;
  /** Subvolumes without a name, to be dropped by the cleaner. */
  readonly deleted: number[] = [];
  quotas: Quotas | undefined;
  generation: number;
  /** Pages that who writes here has made dirty since it last had to look at how many there are (current->nr_dirtied). */
  dirtiedPages = 0;
  /** Bytes that delayed allocation has promised. */
  delayedBytes = 0;
  /** What the next superblock says of a space cache, and whether that is news. */
  mayHaveCache: boolean;
  cacheIsNew = false;
  /** Whether the device's error counts are to be written with the next commit. */
  statsAreNew = false;
  nextSubvolume = 256;
  nextPlaceholder = 1;
  /** st_dev of what belongs to no subvolume. */
  readonly superDevice: DeviceNumber;
  readonly counters: { commits: number; nodesWritten: number; nodesCopied: number } = {
    commits: 0,
    nodesWritten: 0,
    nodesCopied: 0,
  };
  /** Stands for the time since nodes were last written: a value made in it is in no block of the device yet. */
  unwritten: object = {};
  error: Errno | undefined;
  addressSpace: AddressSpace | undefined;
  /** What was found in directories. */
  readonly entries: EntryCache = new EntryCache();
  readonly #hashes: number[] = [];
  readonly globalReserve: GlobalReserve = new GlobalReserve(this.trees);
  readonly metadata: MetadataSpace;
  readonly #parts: BtrfsParts;

  constructor(device: BlockDevice, environment: BtrfsEnvironment, parts: BtrfsParts) {
    this.device = device;
    this.environment = environment;
    this.label = environment.label ?? "btrfs";
    this.space = parts.space;
    this.uuid = parts.uuid;
    this.generation = parts.generation;
    this.mayHaveCache = parts.mayHaveCache;
    this.random = new Random(Number.parseInt(parts.uuid.slice(0, 8), 16) + parts.generation);
    this.superDevice = environment.newDevice();
    this.#parts = parts;
    this.metadata = new MetadataSpace(this);
    this.logs = new LogTrees(this);
    this.references = new References({
      stored: (start) => this.storedExtent(start),
      storedReferences: (extent) => this.storedReferences(extent),
      referenceOf: (leaf, slot) => this.referenceOf(leaf, slot),
    });
  }

  get profile(): BtrfsProfile {
    return this.environment.profile;
  }

  get inlineMax(): number {
    return this.environment.options?.inlineMax ?? INLINE_MAX;
  }

  tree(id: number): Tree {
    const tree = this.trees.get(id);
    if (tree === undefined) throw new InvariantError(`${this.label} has no tree ${id}`);
    return tree;
  }

  newUuid(): string {
    let hex = "";
    for (const byte of this.random.bytes(16)) hex += HEX[byte] as string;
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
  }

  /** The hash of a name, computed once. */
  hash(name: Name): number {
    const known = this.#hashes[name];
    if (known !== undefined) return known;
    const hash = nameHash(this.environment.names.text(name));
    this.#hashes[name] = hash;
    return hash;
  }

  handle(subvolume: number, ino: number): number {
    return handleOf(subvolume, ino);
  }

  // Extents

  /** The extent as the extent tree has it: as of the last commit, until the running one comes to its extents. */
  storedExtent(start: number): Extent | undefined {
    return this.trees.get(EXTENT_TREE)?.first(key(start, EXTENT_ITEM), key(start, METADATA_ITEM + 1)) as Extent | undefined;
  }

  storedReferences(extent: Extent): readonly Reference[] {
    return referencesInTree(this.tree(EXTENT_TREE), extent);
  }

  /** What an item of a leaf refers to: a file extent with a place on the device. */
  referenceOf(leaf: Node, slot: number): ItemReference | undefined {
    if (leaf.kindAt(slot) !== EXTENT_DATA) return undefined;
    const extent = leaf.valueAt(slot) as FileExtent;
    if (extent.kind === "inline") return undefined;
    return { start: extent.start, object: leaf.objectAt(slot), offset: leaf.offsetAt(slot) - extent.offset };
  }

  // Nodes

  read(address: number): Node {
    const node = this.nodes.get(address);
    if (node === undefined) throw new InvariantError(`${this.label} has no node at ${address}`);
    return node;
  }

  allocate(tree: TreeParts, level: number): Node {
    const address = this.space.takeNode(tree.id === CHUNK_TREE ? "system" : "metadata", NODE_SIZE);
    const node = new Node({ length: NODE_SIZE, address, generation: this.generation, level, owner: tree.id });
    this.nodes.set(address, node);
    this.fresh.add(node);
    this.touched.add(tree.id);
    this.references.addNode(tree, node);
    return node;
  }

  isOwn(tree: TreeParts, node: Node): boolean {
    return node.generation === this.generation && !node.isSealed && tree.id !== this.sharedTree;
  }

  copied(tree: TreeParts, original: Node): boolean {
    this.counters.nodesCopied += 1;
    const isShared = this.references.copied(tree, original, original.generation <= tree.lastSnapshot);
    if (original.generation === this.generation) this.#forgetUnwritten(original);
    return isShared;
  }

  /** A node that is not written yet leaves no trace: its place is free at once (btrfs_free_tree_block). */
  freed(tree: TreeParts, node: Node): void {
    this.references.changeNode(node.address, { tree: tree.id }, -1);
    this.#forgetUnwritten(node);
  }

  #forgetUnwritten(node: Node): void {
    const { address } = node;
    if (node.isSealed || !this.references.forget(address)) return;
    this.fresh.drop(node);
    this.nodes.delete(address);
    this.space.release(address, NODE_SIZE);
  }

  // The device

  /** Writes to every copy of a logical range. */
  write(logical: number, content: Content): Errno | undefined {
    const group = this.space.groupOf(logical);
    for (const stripe of group.stripes) {
      const failed = this.device.write(bytes(stripe + logical - group.start), content);
      if (failed !== undefined) return failed;
    }
    return undefined;
  }

  /** Reads a logical range: of several copies the first that can be read. */
  readData(logical: number, length: number): Content | Errno {
    const group = this.space.groupOf(logical);
    let content: Content | Errno = EIO;
    for (const stripe of group.stripes) {
      content = this.device.read(bytes(stripe + logical - group.start), bytes(length));
      if (!isErrno(content)) return content;
    }
    return content;
  }

  // Transactions

  /** Bytes of a type that are promised and have no place yet (bytes_may_use). */
  promised(type: ChunkType): number {
    if (type === "data") return this.delayedBytes;
    return type === "metadata" ? this.metadata.mayUse : 0;
  }

  /** Writes all dirty data and commits: what frees the most of what is promised. */
  flushAndCommit(): Errno | undefined {
    return this.flushData() ?? this.commit();
  }

  /** Writes dirty data of the inodes that `wanted` names, by default all. @param flush - how one inode's is written; by default from its beginning on. */
  flushData(
    wanted: (inode: InodeState) => boolean = () => true,
    flush: (inode: InodeState) => Errno | undefined = flushAll,
  ): Errno | undefined {
    let failed: Errno | undefined;
    for (const inode of this.dirtied) {
      if (!wanted(inode)) continue;
      if ((inode.mapping?.dirtyPages ?? 0) > 0) failed = flush(inode) ?? failed;
      if ((inode.mapping?.dirtyPages ?? 0) === 0 && inode.delayed === undefined) this.dirtied.delete(inode);
    }
    return failed;
  }

  /** Writes dirty data of inodes, first of what became dirty first, until so many bytes are written. */
  flushSome(most: number): Errno | undefined {
    let left = most;
    return this.flushData((inode) => {
      if (left <= 0) return false;
      left -= inode.delayed?.covered ?? 0;
      return true;
    });
  }

  settleInodes(most: number): void {
    this.delayedInodes.settleAll(this.generation, most);
  }
  settleReferences(most: number): void {
    this.#parts.settleReferences(this, most);
  }
  commit(): Errno | undefined {
    return this.#parts.commit(this);
  }

  // Items

  /** Whether the running transaction has changed anything that a commit would write. */
  get isChanged(): boolean {
    return (
      this.cacheIsNew || !this.logs.isEmpty || this.fresh.count > 0 || this.delayedInodes.size > 0 || this.references.isChanged
    );
  }

  /** Whether a tree is a subvolume's: its nodes can be shared, and quotas count them. */
  isSubvolume(id: number): boolean {
    return id === TOP_SUBVOLUME || (id >= FIRST_FREE && id < LAST_FREE);
  }

  /** The ROOT_ITEM of a tree that is no subvolume. */
  plainRoot(id: number): RootItem {
    return { ...PLAIN_ROOT, root: this.tree(id).root, generation: this.generation };
  }

  /** The root tree. */
  get rootTree(): Tree {
    return this.tree(ROOT_TREE);
  }

  /** The item of a subvolume has changed: the next commit writes it. */
  itemChanged(subvolume: Subvolume): void {
    this.touched.add(subvolume.id);
    this.#changedItems.add(subvolume);
  }

  /** Whether a subvolume's item was to be written; now it is. */
  takeChangedItem(subvolume: Subvolume): boolean {
    return this.#changedItems.delete(subvolume);
  }

  /** A tree has gone. */
  dropTree(id: number): void {
    this.trees.delete(id);
    this.writtenRoots.delete(id);
    this.touched.add(id);
  }

  /** A tree that is no subvolume has gone with all its nodes. */
  dropPlainTree(id: number): void {
    this.dropTree(id);
    this.rootTree.remove(key(id, ROOT_ITEM));
  }

  /** Quota groups have changed without an extent: the next commit writes them. */
  touchQuotas(): void {
    const tree = this.tree(QUOTA_TREE);
    tree.own(tree.rootNode, undefined, 0);
  }
}
