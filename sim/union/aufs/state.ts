/**
 * One aufs mount: what its operations share (kernel: struct au_sbinfo).
 *
 * Words: the *upper* is the writable branch, which is the topmost one; the branches below it are the *lower layers*. A node that is
 * *pseudo-linked* has an upper inode and names that only lower branches have yet: the folder of pseudo-links keeps the inode for them.
 *
 * Interface: the files by operation (lookup.ts, copy-up.ts, create.ts, remove.ts, rename.ts, attributes.ts, files.ts, readdir.ts) are functions
 * over an Aufs; filesystem.ts puts the FileSystem interface in front of them.
 */
import { assert } from "../../core/assert.ts";
import type { Clock } from "../../core/clock.ts";
import type { EventStream } from "../../core/events.ts";
import type { Name, NameTable } from "../../core/names.ts";
import type { DeviceNumber, InodeNumber } from "../../core/units.ts";
import { type Credentials, ROOT } from "../../vfs/credentials.ts";
import { type Attributes, type FileSystem, type Inode, newAttributes } from "../../vfs/filesystem.ts";
import type { LayerDirectory } from "../layer.ts";
import type { LowerView, ViewNode } from "../lower-view.ts";
import { HOLDS_UPPER, IS_DIRECTORY, IS_SHARED, IS_UNLINKED, type Node, ROOT_NODE, UnionNodes } from "../nodes.ts";
import type { OpenFiles } from "../open-files.ts";
import { OpenedNames } from "../opened-names.ts";
import { IS_DISPLACED } from "./flags.ts";
import type { AufsOptions, BranchPermission } from "./options.ts";
import type { AufsRules } from "./rules.ts";

/** What a mount counts; all only grow. */
export interface AufsCounters {
  /** Names looked up that were not cached. */
  lookups: number;
  /** Branch lookups that the kernel makes for them. */
  layerLookups: number;
  copyUps: number;
  /** Copied up with data, and how much: bytes that went through memory, and their 4 KiB pages. */
  copiedBytes: number;
  copiedPages: number;
  /** Copied up by sharing extents. */
  clonedBytes: number;
  whiteouts: number;
  /** Names of a pair of hard links that came up as links of what was copied before. */
  pseudoLinks: number;
  /** Inodes made on the writable branch. */
  upperCreates: number;
  fsyncs: number;
}

/** A name of a node. */
export interface Place {
  readonly directory: Node;
  readonly name: Name;
}

/** The writable branch, with aufs's own files in its root. */
export interface WritableBranch {
  readonly fs: FileSystem;
  readonly root: Inode;
  /** The file that whiteouts are hard links of; undefined where each is a file of its own (rw+nolwh). */
  readonly whiteoutBase: Inode | undefined;
  /** The folder of pseudo-links; undefined under noplink. */
  readonly pseudoLinks: Inode | undefined;
  readonly orphans: Inode;
}

/** A branch whose folder was found. */
export interface Branch extends LayerDirectory {
  /** As the mount options name it. */
  readonly path: string;
  readonly permission: BranchPermission;
}

/** The lower branches: their merged view, and what ends this mount's use of it. */
export interface LowerBranches {
  readonly view: LowerView;
  readonly rules: AufsRules;
  /** Topmost first. */
  readonly branches: readonly Branch[];
  readonly release: () => void;
}

export interface AufsParts {
  readonly upper: WritableBranch | undefined;
  readonly rules: AufsRules;
  /** Absent where the writable branch is the only one. */
  readonly lower: LowerBranches | undefined;
  readonly options: AufsOptions;
  readonly names: NameTable;
  readonly clock: Clock;
  readonly events: EventStream;
  readonly label: string;
  readonly device: DeviceNumber;
  readonly files: OpenFiles;
  /** Lets go of the writable branch. */
  readonly release: () => void;
}

/** The numbers of the root and of the first inode that is met (AUFS_ROOT_INO, AUFS_FIRST_INO). */
const ROOT_NUMBER = 2;
const FIRST_NUMBER = 11;

export class Aufs {
  readonly upper: WritableBranch | undefined;
  readonly options: AufsOptions;
  readonly names: NameTable;
  readonly clock: Clock;
  readonly events: EventStream;
  readonly label: string;
  readonly device: DeviceNumber;
  readonly files: OpenFiles;
  readonly release: () => void;
  readonly nodes: UnionNodes = new UnionNodes({
    layerOf: (node) => this.view.layerOf(node),
    inodeOf: (node) => this.view.inodeOf(node),
    depthOf: (node) => this.view.depthOf(node),
  });
  /** Replaced when branches are appended. */
  lower: LowerBranches | undefined;
  rules: AufsRules;
  /** Nodes with several names, by upper inode and by what shows below. */
  readonly byUpper: Map<number, Node> = new Map();
  readonly byLower: Map<ViewNode, Node> = new Map();
  /** st_nlink of pseudo-linked nodes, and of those that were copied up without a name: their upper inode's own count is another. */
  readonly linkCounts: Map<Node, number> = new Map();
  /** How many names of a lower inode have gone: its st_nlink falls by them when it is copied up, not before. */
  readonly lostLinks: Map<ViewNode, number> = new Map();
  /** Under which name each open file was opened. */
  readonly openedAs: OpenedNames = new OpenedNames();
  /** What the lower branches of a merged directory add to its st_nlink. */
  readonly lowerLinks: Map<ViewNode, number> = new Map();
  readonly counters: AufsCounters = {
    lookups: 0,
    layerLookups: 0,
    copyUps: 0,
    copiedBytes: 0,
    copiedPages: 0,
    clonedBytes: 0,
    whiteouts: 0,
    pseudoLinks: 0,
    upperCreates: 0,
    fsyncs: 0,
  };
  /** How many directories are marked as displaced. */
  displaced = 0;
  /** Who makes the call that removes or moves a name. */
  caller: Credentials = ROOT;
  /** Filled again by each operation that needs them. */
  readonly attributes: Attributes = newAttributes();
  readonly otherAttributes: Attributes = newAttributes();
  readonly #freeNames: Name[] = [];
  #nextName = 1;

  constructor(parts: AufsParts) {
    this.upper = parts.upper;
    this.rules = parts.rules;
    this.lower = parts.lower;
    this.options = parts.options;
    this.names = parts.names;
    this.clock = parts.clock;
    this.events = parts.events;
    this.label = parts.label;
    this.device = parts.device;
    this.files = parts.files;
    this.release = parts.release;
  }

  /** The merged view of the lower branches; there must be one where a node has a lower part. */
  get view(): LowerView {
    assert(this.lower !== undefined, "no branch lies below");
    return this.lower.view;
  }

  /** The filesystem that shows a node: the writable branch's, or its topmost lower one's. */
  fsOf(node: Node): FileSystem {
    const { upper } = this;
    if (upper !== undefined && this.nodes.hasUpper(node)) return upper.fs;
    return (this.view.layers[this.nodes.layerOf(node)] as LayerDirectory).fs;
  }

  /** The inode there. */
  inodeOf(node: Node): Inode {
    return this.nodes.realOf(node);
  }

  /** st_ino: numbers are given in the order in which inodes are met, and kept while the mount knows the inode (fs/aufs/xino.c). */
  numberOf(node: Node): InodeNumber {
    return (node === ROOT_NODE ? ROOT_NUMBER : node + FIRST_NUMBER - ROOT_NODE - 1) as InodeNumber;
  }

  /** Whether some lower branch shows something at a name of a directory, so that taking it away needs a whiteout. */
  lowerHas(directory: Node, name: Name): boolean {
    const lower = this.nodes.lowerOf(directory);
    if (lower === 0) return false;
    const found = this.view.lookup(lower, name);
    return typeof found === "number" && found !== 0;
  }

  /** A name of aufs's own that nothing has. The kernel draws them by lot; names come back here, since a host never forgets one. */
  temporaryName(): Name {
    return this.#freeNames.pop() ?? this.names.intern(`.wh..wh..${(this.#nextName++).toString(16).padStart(4, "0")}`);
  }

  /** Gives a passing name back, when nothing has it any more. */
  freeName(name: Name): void {
    this.#freeNames.push(name);
  }

  /** Keeps a held node's upper inode alive, since its name is about to go. */
  beforeLoss(node: Node): void {
    const { nodes, upper } = this;
    if (upper === undefined || nodes.holdsOf(node) === 0 || !nodes.hasUpper(node) || nodes.has(node, HOLDS_UPPER)) return;
    upper.fs.hold(nodes.upperOf(node));
    nodes.set(node, HOLDS_UPPER);
  }

  /** Ends a node that lost its last entry, unless it is held. */
  afterLoss(node: Node): void {
    const { nodes } = this;
    if (nodes.entriesOf(node) !== 0) return;
    nodes.set(node, IS_UNLINKED);
    if (nodes.has(node, IS_DIRECTORY)) nodes.forgetEntries(node);
    if (nodes.holdsOf(node) === 0) this.#end(node);
  }

  hold(node: Node): void {
    this.nodes.setHolds(node, this.nodes.holdsOf(node) + 1);
  }

  drop(node: Node): void {
    const holds = this.nodes.holdsOf(node) - 1;
    this.nodes.setHolds(node, holds);
    if (holds === 0 && this.nodes.entriesOf(node) === 0 && node !== ROOT_NODE) this.#end(node);
  }

  #end(node: Node): void {
    const { nodes, upper } = this;
    if (nodes.has(node, IS_DIRECTORY)) nodes.forgetEntries(node);
    this.settle(node);
    if (nodes.has(node, HOLDS_UPPER) && upper !== undefined) upper.fs.drop(nodes.upperOf(node));
    if (nodes.has(node, IS_SHARED)) {
      if (nodes.hasUpper(node) && this.byUpper.get(nodes.upperOf(node)) === node) this.byUpper.delete(nodes.upperOf(node));
      if (this.byLower.get(nodes.lowerOf(node)) === node) this.byLower.delete(nodes.lowerOf(node));
    }
    this.linkCounts.delete(node);
    nodes.free(node);
  }

  /** A directory was exchanged: for a while its entries are not found. */
  displace(directory: Node): void {
    if (this.nodes.has(directory, IS_DISPLACED)) return;
    this.nodes.set(directory, IS_DISPLACED);
    this.displaced += 1;
  }

  /** Ends that. */
  settle(node: Node): void {
    if (!this.nodes.has(node, IS_DISPLACED)) return;
    this.nodes.clear(node, IS_DISPLACED);
    this.displaced -= 1;
  }

  /** Counts a node's names, where its upper inode does not. */
  countLinks(node: Node, change: number): void {
    const links = this.linkCounts.get(node);
    if (links !== undefined) this.linkCounts.set(node, Math.max(0, links + change));
    else if (!this.nodes.hasUpper(node) && this.nodes.has(node, IS_SHARED)) {
      const lower = this.nodes.lowerOf(node);
      this.lostLinks.set(lower, (this.lostLinks.get(lower) ?? 0) - change);
    }
  }

  /** How many names a lower node has that is being copied up. @param links - its branch inode's count. */
  linksAtCopyUp(node: Node, links: number): number {
    return Math.max(0, links - (this.lostLinks.get(this.nodes.lowerOf(node)) ?? 0));
  }

  /** Where a node was last found, for events and logs. */
  pathOf(node: Node): string {
    let path = "";
    for (let at = node; at !== ROOT_NODE && at !== 0; at = this.nodes.parentOf(at)) {
      path = `/${this.names.text(this.nodes.nameOf(at))}${path}`;
    }
    return path === "" ? "/" : path;
  }
}
