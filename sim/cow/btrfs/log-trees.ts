/**
 * The log trees of the running transaction: for each subvolume in which something was synced a tree with copies of items, and a tree of their roots
 * (fs/btrfs/tree-log.c, disk-io.c: btrfs_add_log_tree, btrfs_init_log_root_tree; Linux 6.18).
 *
 * Interface: their nodes have no extents, and no reference is counted: their space is reserved until the commit, which drops all of them. A node that is written is not
 * changed any more, as with every tree. Where there is no room for a node nothing is put in, and only a commit will do (`mustCommit`).
 */
import { assert, InvariantError } from "../../core/assert.ts";
import { Content } from "../../core/content.ts";
import type { Errno } from "../../core/errno.ts";
import type { Key } from "../key.ts";
import { Node, type NodeFormat } from "../node.ts";
import type { NodeStore, TreeParts } from "../store.ts";
import { Tree } from "../tree.ts";
import { FORMAT, ITEM_RESERVE, key, NODE_SIZE, ROOT_BYTES, ROOT_ITEM, TREE_LOG } from "./layout.ts";
import type { Space } from "./space.ts";
import { PLAIN_ROOT, type Subvolume } from "./subvolume.ts";

/** The filesystem as its log trees see it. */
interface Filesystem {
  /** The running transaction's. */
  readonly generation: number;
  readonly space: Space;
  readonly counters: { nodesWritten: number };
  /** Writes to every copy of a logical range. */
  write(logical: number, content: Content): Errno | undefined;
}

export class LogTrees implements NodeStore {
  readonly format: NodeFormat = FORMAT;
  readonly #state: Filesystem;
  readonly #nodes = new Map<number, Node>();
  readonly #trees = new Map<number, Tree>();
  #roots: Tree | undefined;
  /** The last transaction that no log can stand for. */
  #commitsIn = 0;

  constructor(state: Filesystem) {
    this.#state = state;
  }

  /** Whether anything was logged since the last commit. */
  get isEmpty(): boolean {
    return this.#roots === undefined;
  }

  /** Whether only a commit can keep what the running transaction has done (btrfs_need_log_full_commit). */
  get mustCommit(): boolean {
    return this.#commitsIn === this.#state.generation;
  }

  /** The running transaction has done what no log tells (btrfs_set_log_full_commit). */
  setMustCommit(): void {
    this.#commitsIn = this.#state.generation;
  }

  /** A subvolume's log tree, if there is one. */
  of(subvolume: Subvolume): Tree | undefined {
    return this.#trees.get(subvolume.id);
  }

  /** A subvolume's log tree, which is made if it is missing, as is the tree of roots (start_log_trans). @returns undefined where only a commit will do. */
  begin(subvolume: Subvolume): Tree | undefined {
    const known = this.of(subvolume);
    if (known !== undefined) return this.mustCommit ? undefined : known;
    if (!this.#hasRoom()) return undefined;
    this.#roots ??= new Tree(this, TREE_LOG);
    const tree = new Tree(this, TREE_LOG);
    this.#trees.set(subvolume.id, tree);
    subvolume.logSyncs = 0;
    subvolume.lastLogSync = 0;
    return tree;
  }

  /** Whether there is room for what one item may need: what is kept back for what must not fail may be used too. */
  #hasRoom(): boolean {
    const { space } = this.#state;
    return space.taken("metadata") + ITEM_RESERVE <= space.totals("metadata").total;
  }

  /** Whether an item of a log tree may change; if not, only a commit will do. */
  claim(): boolean {
    const has = this.#hasRoom();
    if (!has) this.setMustCommit();
    return has;
  }

  /** Puts an item in a log tree, or another value in its place. */
  set(tree: Tree, at: Key, size: number, value: unknown): void {
    if (this.claim()) tree.set(at, size, value);
  }

  // Nodes

  read(address: number): Node {
    const node = this.#nodes.get(address);
    if (node === undefined) throw new InvariantError(`no log tree has a node at ${address}`);
    return node;
  }

  allocate(tree: TreeParts, level: number): Node {
    const { space, generation } = this.#state;
    const address = space.reserveNode(NODE_SIZE);
    const node = new Node({ length: NODE_SIZE, address, generation, level, owner: tree.id });
    this.#nodes.set(address, node);
    return node;
  }

  isOwn(_tree: TreeParts, node: Node): boolean {
    return !node.isSealed;
  }

  copied(tree: TreeParts, original: Node): boolean {
    this.freed(tree, original);
    return false;
  }

  freed(_tree: TreeParts, { address, isSealed }: Node): void {
    this.#nodes.delete(address);
    this.#state.space.unreserve(address, NODE_SIZE, isSealed);
  }

  /** Drops all of them: the transaction commits (btrfs_free_log, btrfs_free_log_root_tree). */
  drop(): void {
    // As in the kernel, what was never written goes the same way as what was.
    for (const address of this.#nodes.keys()) this.#state.space.unreserve(address, NODE_SIZE, true);
    this.#nodes.clear();
    this.#trees.clear();
    this.#roots = undefined;
  }

  // The device

  /** Writes what is new of one tree, in the order of addresses. */
  #write(tree: Tree): Errno | undefined {
    const nodes: Node[] = [];
    tree.visitNodes((node) => {
      if (!node.isSealed) nodes.push(node);
    });
    nodes.sort((one, other) => one.address - other.address);
    for (const node of nodes) {
      node.seal();
      const failed = this.#state.write(node.address, Content.record(node));
      if (failed !== undefined) return failed;
      this.#state.counters.nodesWritten += 1;
    }
    return undefined;
  }

  /** Writes a subvolume's log tree, and the tree of roots with its root. @returns the address of that tree's root. */
  writeTrees(subvolume: Subvolume): number | Errno {
    const [tree, roots] = [this.of(subvolume), this.#roots];
    assert(tree !== undefined && roots !== undefined, `subvolume ${subvolume.id} has a log`);
    const failed = this.#write(tree);
    if (failed !== undefined) return failed;
    const { root } = tree;
    const { generation } = this.#state;
    this.set(roots, key(TREE_LOG, ROOT_ITEM, subvolume.id), ROOT_BYTES, { ...PLAIN_ROOT, root, generation });
    return this.#write(roots) ?? roots.root;
  }

  /** Throws when a tree is not in order, or when space is reserved for other nodes than there are. */
  check(): void {
    let nodes = 0;
    for (const tree of [...this.#trees.values(), ...(this.#roots === undefined ? [] : [this.#roots])]) {
      tree.check();
      tree.visitNodes(() => {
        nodes += 1;
      });
    }
    assert(nodes === this.#nodes.size, `log trees have ${nodes} nodes, ${this.#nodes.size} are kept`);
    const { logged } = this.#state.space;
    assert(logged === nodes * NODE_SIZE, `${logged} bytes are reserved for the ${nodes} nodes of log trees`);
  }
}
