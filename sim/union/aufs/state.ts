/**
 * One aufs mount: what its operations share (kernel: struct au_sbinfo).
 *
 * Words: the *upper branches* are those from the topmost down to the lowest writable one, read-only ones among them too; the *lower branches* lie
 * below, never change, and are asked through their merged view. A branch is told by its index, the topmost being 0; every index from
 * `uppers.length` on is of a lower one. A directory has an *instance* on each branch that takes part in it. A node that is
 * *pseudo-linked* has an upper inode and names that only branches below have yet: the folder of pseudo-links keeps the inode for them.
 *
 * Interface: the files by operation (lookup.ts, policy.ts, copy-up.ts, create.ts, remove.ts, rename.ts, attributes.ts, files.ts, readdir.ts,
 * branches.ts) are functions over an Aufs; filesystem.ts puts the FileSystem interface in front of them.
 */
import { assert } from "../../core/assert.ts";
import type { Clock } from "../../core/clock.ts";
import type { EventStream } from "../../core/events.ts";
import type { Name, NameTable } from "../../core/names.ts";
import type { DeviceNumber, InodeNumber } from "../../core/units.ts";
import { type Credentials, ROOT } from "../../vfs/credentials.ts";
import { type Attributes, type FileSystem, type Inode, newAttributes } from "../../vfs/filesystem.ts";
import type { Vfs } from "../../vfs/vfs.ts";
import type { LayerDirectory } from "../layer.ts";
import type { ListingEntry } from "../listing.ts";
import type { LowerView } from "../lower-view.ts";
import { IS_DIRECTORY, IS_OPAQUE, IS_SHARED, IS_UNLINKED, type Node, ROOT_NODE, UnionNodes } from "../nodes.ts";
import type { OpenFiles } from "../open-files.ts";
import { OpenedNames } from "../opened-names.ts";
import type { ViewNode } from "../view-nodes.ts";
import type { BranchPermission } from "./branch-words.ts";
import { IS_DISPLACED } from "./flags.ts";
import { type Found, newFound } from "./found.ts";
import type { AufsOptions } from "./options.ts";
import { BranchPins } from "./pins.ts";
import { PolicyState } from "./policy-state.ts";
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
  /** Inodes made on writable branches. */
  upperCreates: number;
  fsyncs: number;
}

/** A name of a node. */
export interface Place {
  readonly directory: Node;
  readonly name: Name;
}

/** A name of a directory on a branch. */
export interface BranchName extends Place {
  readonly branch: number;
}

/** A branch whose folder was found: `inode` is its root. */
export interface Branch extends LayerDirectory {
  /** As the mount options name it. */
  readonly path: string;
  readonly permission: BranchPermission;
}

/** aufs's own files in the root of a writable branch. */
export interface OwnEntries {
  /** The file that whiteouts are hard links of; undefined where each is a file of its own (rw+nolwh). Another when it can have no more links. */
  whiteoutBase: Inode | undefined;
  /** The folder of pseudo-links; undefined under noplink. */
  readonly pseudoLinks: Inode | undefined;
  readonly orphans: Inode;
}

/** A branch of a mount, and what the mount keeps of it while it stays. */
export interface MountedBranch extends Branch {
  /** Of a writable one. */
  readonly own: OwnEntries | undefined;
  /** Nodes with several names, by their inodes here, as far as they were met while it was an upper branch. */
  readonly shared: Map<Inode, Node>;
  /** Directories here that a rename moved away from what lies below, by inode number (dirren.ts). */
  readonly renamed: Set<InodeNumber>;
}

/** The lower branches: their merged view, and what ends this mount's use of it. */
export interface LowerBranches {
  readonly view: LowerView;
  readonly release: () => void;
}

/** The branches of a mount, and what tells names apart in them. */
export interface BranchSet {
  /** All, topmost first. */
  readonly branches: readonly MountedBranch[];
  /** Those of them from the topmost down to the lowest writable one. */
  readonly uppers: readonly MountedBranch[];
  /** Absent where the lowest branch is writable. */
  readonly lower: LowerBranches | undefined;
  readonly rules: AufsRules;
}

export interface AufsParts {
  readonly branches: BranchSet;
  readonly options: AufsOptions;
  readonly names: NameTable;
  readonly clock: Clock;
  readonly events: EventStream;
  readonly label: string;
  readonly device: DeviceNumber;
  readonly files: OpenFiles;
  /** Begins a watch on an inode of a branch; what it returns ends it. */
  readonly watch: Vfs["watch"];
}

/** The numbers of the root and of the first inode that is met (AUFS_ROOT_INO, AUFS_FIRST_INO). */
const ROOT_NUMBER = 2;
const FIRST_NUMBER = 11;
/** Flags of nodes of which more than the row is kept. */
const REMEMBERED: number = IS_SHARED | IS_DIRECTORY | IS_UNLINKED;

export class Aufs implements BranchSet {
  branches: readonly MountedBranch[];
  uppers: readonly MountedBranch[];
  lower: LowerBranches | undefined;
  rules: AufsRules;
  options: AufsOptions;
  readonly names: NameTable;
  readonly clock: Clock;
  readonly events: EventStream;
  readonly label: string;
  readonly device: DeviceNumber;
  readonly files: OpenFiles;
  readonly nodes: UnionNodes = new UnionNodes(
    {
      layerOf: (node) => this.view.layerOf(node),
      inodeOf: (node) => this.view.inodeOf(node),
      depthOf: (node) => this.view.depthOf(node),
    },
    { upperFsOf: (node) => this.fsOf(node), remembered: REMEMBERED, forget: (node) => this.#forget(node) },
  );
  /** Where there are several upper branches: the inodes of each directory that has one of them, by branch. */
  readonly instances: Map<Node, (Inode | undefined)[]> = new Map();
  /** Nodes with several names, by what shows below. */
  readonly byLower: Map<ViewNode, Node> = new Map();
  /** Where pseudo-linked nodes were on an upper branch before they were copied up. */
  readonly formerPlaces: Map<Node, { readonly shared: Map<Inode, Node>; readonly inode: Inode }[]> = new Map();
  /** st_nlink of pseudo-linked nodes, and of those that were copied up without a name: their upper inode's own count is another. */
  readonly linkCounts: Map<Node, number> = new Map();
  /**
   * How many names a node without an upper inode has lost or won since stat told its count: i_nlink falls with each, stat takes it from the branch
   * again, and what it is when the node is copied up, it stays (au_cpup_attr_nlink).
   */
  readonly lostLinks: Map<Node, number> = new Map();
  /** Under which name each open file was opened. */
  readonly openedAs: OpenedNames = new OpenedNames();
  /** What the lower branches of a merged directory add to its st_nlink. */
  readonly lowerLinks: Map<ViewNode, number> = new Map();
  readonly policies: PolicyState = new PolicyState();
  readonly watch: Vfs["watch"];
  /** What is kept of branches that may be changed beside the mount. */
  readonly pins: BranchPins = new BranchPins();
  /** Listings of directories that are given again for a while, and when each was read. */
  readonly listings: Map<Node, { readonly shown: readonly ListingEntry[]; readonly readAt: number }> = new Map();
  /** Hears of a directory that is on other branches than before. */
  whenPlaced: ((directory: Node) => void) | undefined;
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
  /** Who makes the call that makes, removes or moves a name. */
  caller: Credentials = ROOT;
  readonly found: Found = newFound();
  /** Filled again by each operation that needs them. */
  readonly attributes: Attributes = newAttributes();
  readonly otherAttributes: Attributes = newAttributes();
  readonly #freeNames: Name[] = [];
  #nextName = 1;

  constructor(parts: AufsParts) {
    this.branches = parts.branches.branches;
    this.uppers = parts.branches.uppers;
    this.lower = parts.branches.lower;
    this.rules = parts.branches.rules;
    this.options = parts.options;
    this.names = parts.names;
    this.clock = parts.clock;
    this.events = parts.events;
    this.label = parts.label;
    this.device = parts.device;
    this.files = parts.files;
    this.watch = parts.watch;
  }

  /** The merged view of the lower branches; there must be one where a node has a lower part. */
  get view(): LowerView {
    assert(this.lower !== undefined, "no branch lies below");
    return this.lower.view;
  }

  /** An upper branch that there is. */
  upperAt(branch: number): MountedBranch {
    const upper = this.uppers[branch];
    assert(upper !== undefined, `branch ${branch} is no upper one`);
    return upper;
  }

  /** Whether a branch is written to. */
  isWritable(branch: number): boolean {
    return this.uppers[branch]?.permission.writable === true;
  }

  /** aufs's own entries on a writable branch. */
  ownOn(branch: number): OwnEntries {
    const { own } = this.upperAt(branch);
    assert(own !== undefined, `branch ${branch} is not writable`);
    return own;
  }

  /** The branch that shows a node (au_ibtop); `uppers.length` for every lower one. */
  branchOf(node: Node): number {
    return this.nodes.hasUpper(node) ? this.nodes.layerOf(node) : this.uppers.length;
  }

  /** Whether the inode that shows a node is on a writable branch. */
  isOnWritable(node: Node): boolean {
    return this.isWritable(this.branchOf(node));
  }

  /** The filesystem that shows a node: an upper branch's, or its topmost lower one's. */
  fsOf(node: Node): FileSystem {
    const layer = this.nodes.layerOf(node);
    const from: readonly LayerDirectory[] = this.nodes.hasUpper(node) ? this.uppers : this.view.layers;
    return (from[layer] as LayerDirectory).fs;
  }

  /** The inode there. */
  inodeOf(node: Node): Inode {
    return this.nodes.realOf(node);
  }

  /** A directory's inode on an upper branch; undefined where it has none there. */
  inodeOn(directory: Node, branch: number): Inode | undefined {
    if (this.uppers.length === 1) return this.nodes.hasUpper(directory) ? this.nodes.upperOf(directory) : undefined;
    return this.instances.get(directory)?.[branch];
  }

  /** The same where the directory is known to be there. */
  mustBeOn(directory: Node, branch: number): Inode {
    const inode = this.inodeOn(directory, branch);
    assert(inode !== undefined, `directory ${directory} is not on branch ${branch}`);
    return inode;
  }

  /** A directory is on an upper branch from now on. */
  addInstance(directory: Node, branch: number, inode: Inode): void {
    const above = branch < this.branchOf(directory);
    if (this.uppers.length > 1) {
      const among = this.instances.get(directory) ?? [];
      among[branch] = inode;
      this.instances.set(directory, among);
    }
    if (above) this.nodes.setUpper(directory, inode, branch);
    this.whenPlaced?.(directory);
  }

  /** A directory has nothing to do any more with what lies below a branch. */
  cutBelow(directory: Node, branch: number): void {
    const among = this.instances.get(directory);
    if (among !== undefined) among.length = Math.min(among.length, branch + 1);
    if (this.nodes.lowerOf(directory) !== 0) this.nodes.forgetLower(directory);
  }

  /** The lowest branch that a directory is on (au_dbtaildir); `uppers.length` for every lower one. */
  tailOf(directory: Node): number {
    if (this.nodes.lowerOf(directory) !== 0) return this.uppers.length;
    return this.uppers.length === 1 ? 0 : (this.instances.get(directory)?.length ?? 0) - 1;
  }

  /** The upper branch on which a directory hides what lies below (au_dbdiropq); -1 for none. */
  opaqueBranch(directory: Node): number {
    return this.nodes.has(directory, IS_OPAQUE) ? this.tailOf(directory) : -1;
  }

  /** st_ino: numbers are given in the order in which inodes are met, and kept while the mount knows the inode (fs/aufs/xino.c). */
  numberOf(node: Node): InodeNumber {
    return (node === ROOT_NODE ? ROOT_NUMBER : node + FIRST_NUMBER - ROOT_NODE - 1) as InodeNumber;
  }

  /** A name of aufs's own that nothing has. The kernel draws them by lot; names come back here, since a host never forgets one. */
  temporaryName(): Name {
    return this.#freeNames.pop() ?? this.names.intern(`.wh..wh..${(this.#nextName++).toString(16).padStart(4, "0")}`);
  }

  /** Gives a passing name back, when nothing has it any more. */
  freeName(name: Name): void {
    this.#freeNames.push(name);
  }

  #forget(node: Node): void {
    const { nodes } = this;
    this.settle(node);
    this.pins.release(node);
    this.listings.delete(node);
    this.instances.delete(node);
    if (nodes.has(node, IS_SHARED)) {
      if (nodes.hasUpper(node)) unshare(this.upperAt(nodes.layerOf(node)).shared, nodes.upperOf(node), node);
      for (const { shared, inode } of this.formerPlaces.get(node) ?? []) unshare(shared, inode, node);
      this.formerPlaces.delete(node);
      if (this.byLower.get(nodes.lowerOf(node)) === node) this.byLower.delete(nodes.lowerOf(node));
    }
    this.linkCounts.delete(node);
    this.lostLinks.delete(node);
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
    const { nodes, lostLinks } = this;
    const links = this.linkCounts.get(node);
    if (links !== undefined) this.linkCounts.set(node, Math.max(0, links + change));
    else if (!nodes.hasUpper(node) && (nodes.has(node, IS_SHARED) || nodes.holdsOf(node) > 0)) {
      lostLinks.set(node, (lostLinks.get(node) ?? 0) - change);
    }
  }

  /** How many names a lower node has that is being copied up. @param links - its branch inode's count. */
  linksAtCopyUp(node: Node, links: number): number {
    return Math.max(0, links - (this.lostLinks.get(node) ?? 0));
  }

  /** Where a node was last found, for events and logs. */
  pathOf(node: Node): string {
    return this.nodes.pathOf(node, this.names);
  }
}

function unshare(shared: Map<Inode, Node>, inode: Inode, node: Node): void {
  if (shared.get(inode) === node) shared.delete(inode);
}
