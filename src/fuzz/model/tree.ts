/**
 * The plain tree with its processes: what a driver's mounted tree must answer like. It knows POSIX as Linux keeps it and the few rules
 * (rules.ts) by which a driver differs; it shares no code with the engines.
 *
 * Interface: `seal` ends a layer: what is there is lower from then on. `fork` gives an equal tree that changes on its own: two containers
 * of one image.
 */
import { EACCES, ELOOP, ENOENT, ENOTDIR, type Errno } from "../../../sim/core/errno.ts";
import { copyOf, type ModelNode, newIdentity, newNode } from "./node.ts";
import type { ModelRules } from "./rules.ts";

/** Who makes a call. */
export interface Actor {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
}

const ROOT: Actor = { uid: 0, gid: 0, groups: [] };
/** The most symbolic links that a walk follows. */
const SYMBOLIC_LINKS_MAX = 40;

/** A descriptor. */
export interface ModelFile {
  readonly node: ModelNode;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly append: boolean;
  position: number;
}

export class ModelTree {
  readonly root: ModelNode;
  /** Of the layer at work. */
  rules: ModelRules;
  /** Of every layer that stands on another. */
  readonly #above: ModelRules;
  readonly files: Map<string, ModelFile> = new Map();
  /** Grows with each `seal`. */
  layer = 0;
  /** Who makes the call at work, and the permission bits that new files do not get. */
  actor: Actor = ROOT;
  umask = 0;
  /** Names of the rules by which something was answered otherwise than on one plain filesystem, and how often. */
  readonly fired: Map<string, number> = new Map();

  // Where the last walk ended; `node` undefined where the last name is free.
  directory: ModelNode;
  name = "";
  node: ModelNode | undefined;
  #links = 0;

  /** @param base - the rules of the lowest layer. @param above - those of the others. */
  constructor(base: ModelRules, above: ModelRules, root?: ModelNode) {
    this.rules = base;
    this.#above = above;
    this.root = root ?? newNode("dir", { mode: 0o755, uid: 0, gid: 0, layer: 0 });
    this.root.parent = this.root;
    this.directory = this.root;
  }

  /** Notes that a rule decided. */
  fire(rule: string): void {
    this.fired.set(rule, (this.fired.get(rule) ?? 0) + 1);
  }

  isLower(node: ModelNode): boolean {
    return node.layer < this.layer;
  }

  /** Walks to a path's last name. @returns why it cannot get there; whether the name is taken, `node` tells. */
  walk(path: string, follow: boolean): Errno | undefined {
    this.#links = 0;
    this.directory = this.root;
    this.node = this.root;
    this.name = "";
    return this.#walkFrom(this.root, path, follow);
  }

  /** As `walk`, for a name that must be there. */
  find(path: string, follow: boolean): ModelNode | Errno {
    return this.walk(path, follow) ?? this.node ?? ENOENT;
  }

  #walkFrom(start: ModelNode, path: string, follow: boolean): Errno | undefined {
    let at = path.startsWith("/") ? this.root : start;
    this.node = at;
    this.directory = at;
    const names = componentsOf(path);
    const last = names.length - 1;
    for (let index = 0; index <= last; index++) {
      const name = names[index] as string;
      if (at.entries === undefined) return ENOTDIR;
      if (!this.may(at, 1)) return EACCES;
      this.directory = at;
      this.name = name;
      const found = name === ".." ? at.parent : name === "." ? at : at.entries.get(name);
      this.node = found;
      if (found === undefined) return index === last ? undefined : ENOENT;
      if (found.type === "symlink" && (index < last || follow)) {
        if (++this.#links > SYMBOLIC_LINKS_MAX) return ELOOP;
        const lost = this.#walkFrom(at, found.target, true);
        if (lost !== undefined) return lost;
        const target = this.node as ModelNode | undefined;
        if (target === undefined && index < last) return ENOENT;
        if (target === undefined) return undefined;
        at = target;
        continue;
      }
      at = found;
    }
    return undefined;
  }

  /** Whether the actor may do what `mask` (4 read, 2 write, 1 execute) says. */
  may(node: ModelNode, mask: number): boolean {
    if (this.actor.uid === 0) return (mask & 1) === 0 || node.type === "dir" || (node.mode & 0o111) !== 0;
    return this.#allows(node, mask);
  }

  #allows(owned: Pick<ModelNode, "mode" | "uid" | "gid">, mask: number): boolean {
    const { uid, gid, groups } = this.actor;
    let bits = owned.mode;
    if (owned.uid === uid) bits >>= 6;
    else if (owned.gid === gid || groups.includes(owned.gid)) bits >>= 3;
    return (mask & 7 & ~bits) === 0;
  }

  /** Whether the actor may search what a directory is in the layers below. */
  maySearchBelow(directory: ModelNode): boolean {
    const { sealed } = directory;
    return this.actor.uid === 0 || sealed === undefined || !this.isLower(directory) || this.#allows(sealed, 1);
  }

  owns(node: ModelNode): boolean {
    return this.actor.uid === 0 || this.actor.uid === node.uid;
  }

  /**
   * Whether what the last walk found is a device, a socket or a link that belongs neither to the actor nor to the directory's owner, in a directory
   * that is sticky and that all can write to: O_CREAT does not open it.
   */
  isOthersInSticky(node: ModelNode): boolean {
    const { mode, uid } = this.directory;
    if ((mode & 0o1002) !== 0o1002 || node.type === "file" || node.type === "fifo") return false;
    return node.uid !== uid && node.uid !== this.actor.uid;
  }

  inGroup(gid: number): boolean {
    return this.actor.gid === gid || this.actor.groups.includes(gid);
  }

  /** Whether the set-group-id bit may be kept by the actor: root, or a member of the group. */
  keepsGroupBit(gid: number): boolean {
    return this.actor.uid === 0 || this.inGroup(gid);
  }

  /** A file that is about to change is no lower one any more: its links to other lower names are broken where the rules say so. */
  change(node: ModelNode): void {
    if (!this.isLower(node) || node.type === "dir") return;
    node.layer = this.layer;
    if (node.identity === undefined && this.rules.breaksLinks) {
      if (node.links > 1) this.fire("copy-up breaks hard links");
      node.links = 1;
      node.countless = false;
      node.identity = newIdentity();
    }
  }

  /** Ends the layer. Open files are closed by then. */
  seal(): void {
    this.layer += 1;
    this.rules = this.#above;
    this.files.clear();
    sealDirectory(this.root, this.rules);
  }

  /** An equal tree, with no open files, that changes on its own. */
  fork(): ModelTree {
    const tree = new ModelTree(this.rules, this.#above, copyNode(this.root, new Map()));
    tree.layer = this.layer;
    return tree;
  }
}

const COMPONENTS = new Map<string, readonly string[]>();

function componentsOf(path: string): readonly string[] {
  let known = COMPONENTS.get(path);
  if (known === undefined) {
    known = path.split("/").filter((name) => name !== "");
    if (COMPONENTS.size < 10_000) COMPONENTS.set(path, known);
  }
  return known;
}

function copyNode(node: ModelNode, copies: Map<ModelNode, ModelNode>): ModelNode {
  const known = copies.get(node);
  if (known !== undefined) return known;
  const copy = copyOf(node);
  copies.set(node, copy);
  for (const [name, child] of node.entries ?? []) {
    const copied = copyNode(child, copies);
    if (copied.entries !== undefined) copied.parent = copy;
    copy.entries?.set(name, copied);
  }
  return copy;
}

/**
 * Notes what a directory holds as lower names. Where copying up breaks links, each name of a file with several becomes a file of its own that
 * shows the old count: a change of one leaves the others.
 */
function sealDirectory(directory: ModelNode, rules: ModelRules): void {
  const { entries } = directory;
  if (entries === undefined) return;
  directory.lowerNames = new Set(entries.keys());
  directory.sealed = { mode: directory.mode, uid: directory.uid, gid: directory.gid };
  for (const [name, node] of entries) {
    if (node.entries !== undefined) sealDirectory(node, rules);
    else if (rules.breaksLinks && (node.links !== 1 || rules.countsOtherLayers)) {
      const split = copyOf(node);
      split.identity = undefined;
      split.countless = rules.countsOtherLayers;
      entries.set(name, split);
    } else if (rules.keepsCoveredLinks && node.links > 1) node.countless = true;
  }
}
