/**
 * What a filesystem must offer to be measured. One adapter a peer, in peers/; every workload speaks to this alone.
 *
 * Interface:
 * - Paths are absolute, normal and of the peer's own root. Calls are synchronous and throw when they fail.
 * - Bytes go in as the caller's array, which the caller may change afterwards, and come out into the caller's array.
 */

/** How a file is opened: for reading, for reading and writing in place, or for writing at its end. None of them creates. */
export type OpenMode = "read" | "write" | "append";

/** One mounted tree. */
export interface Tree {
  /** Makes the directory and those above it that are missing. */
  mkdirp(path: string): void;
  /** Creates a file with these bytes. */
  writeFile(path: string, content: Uint8Array): void;
  open(path: string, mode: OpenMode): number;
  close(handle: number): void;
  /** @returns how many bytes were read into the front of `into`. */
  read(handle: number, into: Uint8Array, position: number): number;
  write(handle: number, content: Uint8Array, position: number): void;
  /** Writes at the end, through a handle opened for "append". */
  append(handle: number, content: Uint8Array): void;
  /** Sets a file's length; what is added reads as zeros. */
  truncate(path: string, length: number): void;
  rename(source: string, target: string): void;
  unlink(path: string): void;
  /** @returns the number of names. */
  readdir(path: string): number;
  /** stat(2). @returns the size in bytes. */
  stat(path: string): number;
  /** stat(2) of a name that is not there. @returns whether it is missing. */
  missing(path: string): boolean;
  /** Gives up mounts and folders. */
  dispose(): void;
  /** Where bytes can be described instead of given. */
  readonly described?: DescribedBytes;
}

/** Writes whose bytes are a description: a seed and a length. */
export interface DescribedBytes {
  /** Creates a file of `length` bytes that do not compress. */
  writeFile(path: string, length: number): void;
  /** Writes 4 KiB, the same description each time. */
  write4k(handle: number, position: number): void;
}

/** Puts entries into one layer, 0 being the lowest. */
export type Fill = (tree: Tree, layer: number) => void;

export interface Peer {
  /** The most lower layers it can mount; 0 for a filesystem that has none. */
  readonly layersMax: number;
  /** Whether opening a lower file for writing copies it up. */
  readonly copiesUp: boolean;
  /** What share of a workload's operations it is given, 1 for all: peers whose set-up alone would take minutes get less. */
  readonly share: number;
  /** Whether a mounted tree ends the one before it. */
  readonly mountsOne?: boolean;
  /** An empty writable tree above `layers` lower ones. A peer without layers fills the tree itself, with layer 0 alone. */
  mount(layers: number, fill: Fill): Tree;
  /** Where it has thin pools: an empty one. */
  readonly pool?: (size: PoolSize) => MeasuredPool;
  /** Where it has filesystems with snapshots: one that holds so many files. */
  readonly trees?: Readonly<Record<"tree" | "btrfs" | "zfs", (files: number) => MeasuredTree>>;
}

/** A filesystem whose files are snapshot as a whole. */
export interface MeasuredTree {
  snapshot(name: string): void;
  /** Where a clone is another thing than a snapshot: makes one of the snapshot of that name. */
  readonly clone?: (name: string) => void;
}

/** Blocks of 64 KiB: of the pool's data device, and of each volume. */
export interface PoolSize {
  readonly dataBlocks: number;
  readonly volumeBlocks: number;
  /** Only data blocks are counted: there is no metadata to be exact about. */
  readonly counted?: boolean;
}

/** A thin pool to measure. A device is called by its id. */
export interface MeasuredPool {
  create(id: number): void;
  /** Takes a snapshot; nothing is committed by it. */
  snapshot(origin: number, id: number): void;
  /** Writes a whole block of a device; it gets a data block unless it has one that it shares with nobody. */
  write(id: number, block: number): void;
  discard(id: number, block: number): void;
  /** Takes the next free data block, for nobody. */
  allocate(): void;
  commit(): void;
}

/** Thrown by a peer that this machine cannot run; the message is the one line that says why. */
export class CannotRun extends Error {}
