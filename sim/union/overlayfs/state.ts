/**
 * One overlayfs mount: what its operations share (kernel: struct ovl_fs).
 *
 * Interface: the files by operation (lookup.ts, copy-up.ts, create.ts, remove.ts, rename.ts, attributes.ts, xattr.ts, files.ts, readdir.ts) are
 * functions over an Overlay; filesystem.ts puts the FileSystem interface in front of them.
 */
import { assert } from "../../core/assert.ts";
import type { Clock } from "../../core/clock.ts";
import { EIO, type Errno } from "../../core/errno.ts";
import type { EventStream } from "../../core/events.ts";
import type { OverlayProfile } from "../../core/kernel-profile.ts";
import type { Name, NameTable } from "../../core/names.ts";
import { type DeviceNumber, type InodeNumber, inodeNumber } from "../../core/units.ts";
import { type Attributes, type FileHandle, type FileSystem, type Inode, newAttributes } from "../../vfs/filesystem.ts";
import { type LayerDirectory, WHITEOUT } from "../layer.ts";
import type { LowerView } from "../lower-view.ts";
import {
  HAS_REDIRECT,
  HOLDS_UPPER,
  IS_DIRECTORY,
  IS_INDEXED,
  IS_METACOPY,
  IS_SHARED,
  IS_STACKED,
  NO_NODE,
  type Node,
  UnionNodes,
} from "../nodes.ts";
import type { OpenFiles } from "../open-files.ts";
import { OpenedNames } from "../opened-names.ts";
import type { ViewNode } from "../view-nodes.ts";
import type { OverlayOptions } from "./options.ts";
import type { OverlayRules } from "./rules.ts";
import type { OverlayXattrs } from "./xattrs.ts";

/** st_ino of the root where the mount numbers its directories. */
const ROOT_NUMBER = 2;
/** Flags of nodes of which more than the row is kept. */
const REMEMBERED: number = IS_DIRECTORY | HAS_REDIRECT | IS_SHARED | IS_INDEXED;

/** What a mount counts; all only grow. */
export interface OverlayCounters {
  /** Names looked up that were not cached. */
  lookups: number;
  /** Layer lookups that the kernel makes for them. */
  layerLookups: number;
  copyUps: number;
  /** Copied up with data, and how much: bytes that went through memory, and their 4 KiB pages. */
  copiedBytes: number;
  copiedPages: number;
  /** Copied up by sharing extents. */
  clonedBytes: number;
  whiteouts: number;
  /** Inodes made on the upper filesystem. */
  upperCreates: number;
  fsyncs: number;
}

/** The writable layer. */
export interface UpperLayer {
  readonly fs: FileSystem;
  readonly root: Inode;
  /** Where objects are made before they are moved into place: work/ within the work directory, or index/. */
  readonly work: Inode;
  /** The directory index/ within the work directory, under index=on. */
  readonly index: Inode | undefined;
}

export interface OverlayParts {
  readonly upper: UpperLayer | undefined;
  readonly view: LowerView;
  readonly rules: OverlayRules;
  readonly xattrs: OverlayXattrs;
  readonly options: OverlayOptions;
  readonly profile: OverlayProfile;
  readonly names: NameTable;
  readonly clock: Clock;
  readonly events: EventStream;
  readonly label: string;
  readonly device: DeviceNumber;
  /** The pseudo device of each filesystem that takes part, where they are several. */
  readonly devices: ReadonlyMap<FileSystem, DeviceNumber>;
  readonly files: OpenFiles;
  /** Lets go of what the mount stands on. */
  readonly release: () => void;
}

export class Overlay {
  readonly upper: UpperLayer | undefined;
  readonly view: LowerView;
  /** The layers below, topmost first. */
  readonly lowers: readonly LayerDirectory[];
  readonly rules: OverlayRules;
  readonly xattrs: OverlayXattrs;
  readonly options: OverlayOptions;
  readonly profile: OverlayProfile;
  readonly names: NameTable;
  readonly clock: Clock;
  readonly events: EventStream;
  readonly label: string;
  readonly device: DeviceNumber;
  readonly devices: ReadonlyMap<FileSystem, DeviceNumber>;
  /** Whether all layers are on one filesystem. */
  readonly sameFilesystem: boolean;
  /** Whether directories have numbers of the mount's own: their inodes' would meet those of another filesystem (ovl_map_ino). */
  readonly numbersDirectories: boolean;
  /** Whether st_ino tells the filesystem of a layer (xino). */
  readonly mapsNumbers: boolean;
  readonly files: OpenFiles;
  readonly release: () => void;
  readonly nodes: UnionNodes;
  /** Nodes with several names, by upper inode and by what shows below. */
  readonly byUpper: Map<number, Node> = new Map();
  readonly byLower: Map<ViewNode, Node> = new Map();
  /** Redirects of the nodes that HAS_REDIRECT marks. */
  readonly redirects: Map<Node, string> = new Map();
  /** How many more links an indexed node shows than its upper inode has. */
  readonly linkDifferences: Map<Node, number> = new Map();
  /** Directories whose handles lead to them, whatever becomes of those above them (OVL_E_CONNECTED). */
  readonly connected: Set<Node> = new Set();
  /** Under which name each open indexed file was opened. */
  readonly openedAs: OpenedNames = new OpenedNames();
  /**
   * What a copy-up has put another in the place of, by the name of one that was removed while it was open: they keep their names and their upper
   * inodes, which have none any more.
   */
  readonly replaced: Set<Node> = new Set();
  /** Upper inodes that a copy-up has put so where the mount knows of nothing, and goes on to show nothing. */
  readonly unseen: Set<Inode> = new Set();
  /** Immutable and append-only flags by upper inode, of those that have any; where the layer was not empty at first, of those set by this mount. */
  readonly protections: Map<Inode, number> = new Map();
  #beganEmpty: boolean | undefined;
  /** st_ino of directories that have numbers of the mount's own, given in the order in which they are met. */
  readonly #directoryNumbers: Map<Node, InodeNumber> = new Map();
  readonly counters: OverlayCounters = {
    lookups: 0,
    layerLookups: 0,
    copyUps: 0,
    copiedBytes: 0,
    copiedPages: 0,
    clonedBytes: 0,
    whiteouts: 0,
    upperCreates: 0,
    fsyncs: 0,
  };
  /** The file that an open copied up and has still to cut to nothing. */
  copiedToCut: Node = NO_NODE;
  /** Whether the call cuts what it copies up: the file through which the copy is filled is closed behind the cut (fput is put off to the end of the call). */
  cutsCopy = false;
  /** That file, until then. */
  copyFile: FileHandle | undefined;
  /** The whiteout that others are hard links to, by its name in work/. */
  spareWhiteout: Name | undefined;
  spareWhiteoutInode: Inode | undefined;
  shareWhiteouts: boolean;
  /** Filled again by each operation that needs them. */
  readonly attributes: Attributes = newAttributes();
  readonly otherAttributes: Attributes = newAttributes();
  readonly #freeNames: Name[] = [];
  #nextName = 1;
  #nextDirectoryNumber = ROOT_NUMBER;

  constructor(parts: OverlayParts) {
    this.upper = parts.upper;
    this.view = parts.view;
    this.lowers = parts.view.layers;
    this.nodes = new UnionNodes(parts.view, {
      upperFsOf: () => (parts.upper as UpperLayer).fs,
      remembered: REMEMBERED,
      forget: (node) => this.#forget(node),
    });
    this.rules = parts.rules;
    this.xattrs = parts.xattrs;
    this.options = parts.options;
    this.profile = parts.profile;
    this.names = parts.names;
    this.clock = parts.clock;
    this.events = parts.events;
    this.label = parts.label;
    this.device = parts.device;
    this.devices = parts.devices;
    this.sameFilesystem = parts.devices.size <= 1;
    this.numbersDirectories = !this.sameFilesystem && parts.options.xino === "off";
    this.mapsNumbers = !this.sameFilesystem && !this.numbersDirectories;
    this.files = parts.files;
    this.release = parts.release;
    this.shareWhiteouts = parts.profile.sharedWhiteoutInode;
  }

  /** The upper layer, where something is to be changed: of a mount without one the VFS asks no change (`FileSystem.readOnly`). */
  get writable(): UpperLayer {
    assert(this.upper !== undefined, "an overlay without an upper layer has nothing to change");
    return this.upper;
  }

  /** The directory of hard links, of a mount that has one: index=on. */
  get index(): Inode {
    const { index } = this.writable;
    assert(index !== undefined, "an overlay without an index has no inode in it");
    return index;
  }

  /** Whether each lower inode that is copied up gets an index entry, so that a file handle leads to its copy (ovl_index_all). */
  get indexesAll(): boolean {
    return this.upper !== undefined && this.options.nfsExport;
  }

  /** The filesystem that shows a node: the upper one, or its topmost lower layer's. */
  fsOf(node: Node): FileSystem {
    const { nodes } = this;
    if (nodes.hasUpper(node)) return this.writable.fs;
    return (this.lowers[nodes.layerOf(node)] as LayerDirectory).fs;
  }

  /** Whether nothing was on the upper layer when this was first asked, before the mount had made anything there: all that is there is known then. */
  beganEmpty(): boolean {
    if (this.#beganEmpty === undefined) {
      const { fs, root } = this.writable;
      let isEmpty = this.counters.upperCreates === 0;
      fs.iterate(root, () => {
        isEmpty = false;
      });
      this.#beganEmpty = isEmpty;
    }
    return this.#beganEmpty;
  }

  /** A new node without entries. @param upper - NO_UPPER: what `lower` shows is it. @param mode - of the inode that shows it; absent: it is asked. */
  addNode(upper: number, lower: ViewNode, flags: number, mode?: number): Node {
    const node = this.nodes.add(upper, lower, flags);
    this.nodes.setType(node, mode ?? this.fsOf(node).mode(this.inodeOf(node)));
    if (this.numbersDirectories && (flags & IS_DIRECTORY) !== 0) {
      this.#directoryNumbers.set(node, inodeNumber(this.#nextDirectoryNumber++));
    }
    return node;
  }

  /** What `byLower` knows a view node by: the inode that shows, whatever its name (ovl_hash_bylower). */
  lowerKey(lower: ViewNode): ViewNode {
    const { view } = this;
    return lower === 0 ? 0 : view.stray(view.layerOf(lower), view.inodeOf(lower));
  }

  /** The inode there. */
  inodeOf(node: Node): Inode {
    return this.nodes.realOf(node);
  }

  /** Looks for the data of a file that only has attributes where it shows. @returns ENOENT when no data-only layer has them, EIO where they must have a digest. */
  findData(node: Node): Errno | undefined {
    const { nodes } = this;
    if ((nodes.flagsOf(node) & (IS_METACOPY | IS_STACKED)) === 0) return undefined;
    // ovl_maybe_validate_verity: "metacopy file has no digest specified".
    return this.view.findData(nodes.lowerOf(node)) ?? (this.options.verity === "require" ? EIO : undefined);
  }

  /** The filesystem that has a node's data: a lower one for a file of which only the attributes were copied up. */
  dataFsOf(node: Node): FileSystem {
    const { nodes } = this;
    if ((nodes.flagsOf(node) & (IS_METACOPY | IS_STACKED)) === 0) return this.fsOf(node);
    return this.view.dataFsOf(nodes.lowerOf(node));
  }

  /** The inode there. */
  dataInodeOf(node: Node): Inode {
    const { nodes } = this;
    if ((nodes.flagsOf(node) & (IS_METACOPY | IS_STACKED)) === 0) return nodes.realOf(node);
    return this.view.dataInodeOf(nodes.lowerOf(node));
  }

  /** Whether a directory is made up of several: what OVL_TYPE_MERGE says. */
  isMerged(node: Node): boolean {
    const lower = this.nodes.lowerOf(node);
    if (!this.nodes.has(node, IS_DIRECTORY) || lower === 0) return false;
    return this.nodes.hasUpper(node) || this.view.depthOf(lower) > 1;
  }

  /**
   * Whether some lower layer shows something at a name of a directory, so that taking it away needs a whiteout; also what cannot be looked up, for all
   * that is known is that something may be there (ovl_lower_positive).
   */
  lowerHas(directory: Node, name: Name): boolean {
    const lower = this.nodes.lowerOf(directory);
    if (lower === 0) return false;
    const found = this.view.lookup(lower, name);
    return found !== 0;
  }

  /**
   * A name in work/ that nothing has. The kernel counts on for ever; names come back here, since a host never forgets one.
   */
  temporaryName(): Name {
    return this.#freeNames.pop() ?? this.names.intern(`#${(this.#nextName++).toString(16)}`);
  }

  /** Gives a name in work/ back, when nothing has it any more. */
  freeName(name: Name): void {
    this.#freeNames.push(name);
  }

  /** Takes what is under way away again. Where that fails, its name is not used again. */
  discard(name: Name, isDirectory: boolean): void {
    const { fs, work } = this.writable;
    const kept = isDirectory ? fs.rmdir(work, name) : fs.unlink(work, name);
    if (kept === undefined) this.freeName(name);
  }

  /** The mount's own number of a directory. Precondition: numbersDirectories. */
  directoryNumber(node: Node): InodeNumber {
    const number = this.#directoryNumbers.get(node);
    assert(number !== undefined, `directory ${node} has no number`);
    return number;
  }

  /** Whether the upper layer has no whiteout any more where the mount knows of one (ovl_create_over_whiteout, ovl_rename: ESTALE). */
  lacksWhiteout(directory: Node, name: Name): boolean {
    return this.unseen.size > 0 && this.rules.probe(this.writable.fs, this.nodes.upperOf(directory), name) !== WHITEOUT;
  }

  /** Keeps a node's upper inode, in whose place another is about to come. */
  replace(node: Node): void {
    const { nodes } = this;
    this.replaced.add(node);
    if (nodes.has(node, HOLDS_UPPER)) return;
    this.writable.fs.hold(nodes.upperOf(node));
    nodes.set(node, HOLDS_UPPER);
  }

  #forget(node: Node): void {
    const { nodes } = this;
    this.#directoryNumbers.delete(node);
    this.connected.delete(node);
    if (nodes.has(node, HAS_REDIRECT)) this.redirects.delete(node);
    if (nodes.has(node, IS_SHARED)) {
      if (nodes.hasUpper(node) && this.byUpper.get(nodes.upperOf(node)) === node) this.byUpper.delete(nodes.upperOf(node));
      const key = this.lowerKey(nodes.lowerOf(node));
      if (this.byLower.get(key) === node) this.byLower.delete(key);
    }
    if (nodes.has(node, IS_INDEXED)) this.linkDifferences.delete(node);
  }

  /** Lets go of what the mount stands on. */
  end(): void {
    for (const node of this.replaced) this.writable.fs.drop(this.nodes.upperOf(node));
    this.release();
  }

  /** Where a node was last found, for events and logs. */
  pathOf(node: Node): string {
    return this.nodes.pathOf(node, this.names);
  }
}
