/**
 * The nodes of the plain tree: what a filesystem holds, as objects that refer to each other. No inode numbers, no blocks, no layers of files.
 *
 * Interface: a directory's `entries` is set, and only a directory's. `layer` is the layer in which the node got what it shows; one of an
 * earlier layer than the tree's is *lower*: a union mount has to copy it before it can change.
 */

/** File types by the names that steps give them. */
export type NodeType = "file" | "dir" | "symlink" | "char" | "block" | "socket" | "fifo";

export interface ModelNode {
  readonly type: NodeType;
  /** Permission and set-id bits. */
  mode: number;
  uid: number;
  gid: number;
  /** Names of what is no directory; of a lower file whose links are broken up, what it shows. */
  links: number;
  /** Whether a name of it was removed while it was a lower file. */
  covered: boolean;
  /** Whether the count that is shown says nothing. */
  countless: boolean;
  layer: number;
  /** Of a directory: its entries by name. */
  readonly entries: Map<string, ModelNode> | undefined;
  /** Of a directory of a lower layer: what it held when that was sealed. */
  lowerNames: ReadonlySet<string> | undefined;
  /** Of a directory of a lower layer: who might do what there when that was sealed. */
  sealed: Pick<ModelNode, "mode" | "uid" | "gid"> | undefined;
  /** Of a directory: the one above; the top is its own. */
  parent: ModelNode | undefined;
  /** Of a file: at least `size` bytes, those behind it zeros. Changed through the functions below only, for a copy of the node may share it. */
  data: Uint8Array;
  sharesData: boolean;
  size: number;
  /** Of a symbolic link. */
  readonly target: string;
  /** Of a device. */
  readonly rdev: readonly [number, number];
  xattrs: Map<string, string> | undefined;
  /** Nanoseconds since 1970 as utimensat set it; undefined when something else may have changed it since. */
  mtime: Nanoseconds | undefined;
  /**
   * Which file it is, for telling whether inode numbers stay the same: an object a file; undefined where nothing is said, as of the names
   * of a lower file with several.
   */
  identity: Identity | undefined;
}

type Nanoseconds = number | bigint;

/** A file's identity: what the driver showed of it is noted here. */
export interface Identity {
  /** The inode and device number that were shown first. */
  inode: number;
  device: number;
}

const EMPTY = new Uint8Array(0);

export interface NewNode {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly layer: number;
  readonly target?: string;
  readonly rdev?: readonly [number, number];
}

/** A node with no name yet. */
export function newNode(type: NodeType, init: NewNode): ModelNode {
  return {
    type,
    mode: init.mode,
    uid: init.uid,
    gid: init.gid,
    links: 1,
    covered: false,
    countless: false,
    layer: init.layer,
    entries: type === "dir" ? new Map() : undefined,
    lowerNames: undefined,
    sealed: undefined,
    parent: undefined,
    data: EMPTY,
    sharesData: false,
    size: 0,
    target: init.target ?? "",
    rdev: init.rdev ?? [0, 0],
    xattrs: undefined,
    mtime: undefined,
    identity: newIdentity(),
  };
}

/**
 * An equal node that changes on its own, without what a directory holds. Both share a file's bytes until one of them changes.
 * It is made as any other node is, for nodes of one shape are read several times as fast as those of many.
 */
export function copyOf(node: ModelNode): ModelNode {
  const copy = newNode(node.type, node);
  copy.links = node.links;
  copy.covered = node.covered;
  copy.countless = node.countless;
  copy.lowerNames = node.lowerNames;
  copy.sealed = node.sealed;
  copy.parent = node.parent;
  copy.data = node.data;
  copy.sharesData = true;
  node.sharesData = true;
  copy.size = node.size;
  copy.xattrs = node.xattrs === undefined ? undefined : new Map(node.xattrs);
  copy.mtime = node.mtime;
  if (node.identity === undefined) copy.identity = undefined;
  return copy;
}

export function newIdentity(): Identity {
  return { inode: -1, device: -1 };
}

/** What a file holds from `offset` on, up to `length` bytes; shares the file's memory. */
export function dataOf(node: ModelNode, offset: number, length: number): Uint8Array {
  return node.data.subarray(Math.min(offset, node.size), Math.min(offset + length, node.size));
}

/** Writes bytes into a file; a gap before them is zeros. */
export function writeData(node: ModelNode, offset: number, given: Uint8Array): void {
  if (given.length === 0) return;
  const end = offset + given.length;
  ownData(node, end).set(given, offset);
  if (end > node.size) node.size = end;
  node.mtime = undefined;
}

/** Cuts or lengthens a file with zeros. */
export function setSize(node: ModelNode, size: number): void {
  if (size < node.size && node.sharesData) {
    // What is cut off need not be copied.
    node.data = node.data.slice(0, size);
    node.sharesData = false;
  } else if (size < node.size) node.data.fill(0, size, node.size);
  else if (size > node.size) ownData(node, size);
  node.size = size;
}

/** Makes zeros of what a file holds from `start` up to `end`. */
export function clearData(node: ModelNode, start: number, end: number): void {
  if (start < node.size) ownData(node, 0).fill(0, start, Math.min(end, node.size));
}

/** Moves what a file holds from `start` up to `end` to `target`, all of it within its size. */
export function moveData(
  node: ModelNode,
  target: number,
  { start, end }: { readonly start: number; readonly end: number },
): void {
  ownData(node, 0).copyWithin(target, start, end);
}

/** A file's bytes to be changed: at least `wanted`, and nobody else's. */
function ownData(node: ModelNode, wanted: number): Uint8Array {
  const { data, sharesData } = node;
  const isShort = wanted > data.length;
  if (!isShort && !sharesData) return data;
  const own = new Uint8Array(isShort ? Math.max(64, wanted + (wanted >>> 2)) : data.length);
  own.set(data);
  node.data = own;
  node.sharesData = false;
  return own;
}
