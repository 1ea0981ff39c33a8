/**
 * The floors: the least that JavaScript can do for a file tree, with none of a filesystem's rules.
 * floor-flat is one Map from path to node over all layers; floor-tree nests a Map a directory and asks layer after layer.
 */
import type { Fill, OpenMode, Peer, Tree } from "../peer.ts";
import { floorPool } from "./thin.ts";

interface FloorNode {
  bytes: Uint8Array;
  size: number;
  /** The names in a directory, undefined for a file. */
  readonly children: Map<string, FloorNode> | undefined;
  /** Whether a write must copy the bytes first. */
  lower: boolean;
}

const NONE = new Uint8Array(0);

function file(bytes: Uint8Array, lower: boolean): FloorNode {
  return { bytes, size: bytes.length, children: undefined, lower };
}
function directory(): FloorNode {
  return { bytes: NONE, size: 0, children: new Map(), lower: false };
}

/** Open files and their bytes, the same for both floors. */
abstract class FloorTree implements Tree {
  readonly #open: (FloorNode | undefined)[] = [];
  readonly #free: number[] = [];
  /** Whether layers are still being filled. */
  filling = true;

  abstract mkdirp(path: string): void;
  abstract insert(path: string, node: FloorNode): void;
  abstract find(path: string): FloorNode | undefined;
  abstract rename(source: string, target: string): void;
  abstract unlink(path: string): void;
  abstract readdir(path: string): number;

  writeFile(path: string, content: Uint8Array): void {
    this.insert(path, file(content.length === 0 ? NONE : content.slice(), this.filling));
  }
  open(path: string, mode: OpenMode): number {
    let node = this.#must(path);
    if (node.lower && mode !== "read") {
      node = { bytes: node.bytes.slice(), size: node.size, children: undefined, lower: false };
      this.insert(path, node);
    }
    const handle = this.#free.pop() ?? this.#open.length;
    this.#open[handle] = node;
    return handle;
  }
  close(handle: number): void {
    this.#open[handle] = undefined;
    this.#free.push(handle);
  }
  read(handle: number, into: Uint8Array, position: number): number {
    const { bytes, size } = this.#node(handle);
    const length = Math.min(into.length, size - position);
    into.set(bytes.subarray(position, position + length));
    return length;
  }
  write(handle: number, content: Uint8Array, position: number): void {
    const node = this.#node(handle);
    const end = position + content.length;
    if (end > node.bytes.length) {
      const grown = new Uint8Array(Math.max(end, node.bytes.length * 2));
      grown.set(node.bytes.subarray(0, node.size));
      node.bytes = grown;
    }
    node.bytes.set(content, position);
    if (end > node.size) node.size = end;
  }
  append(handle: number, content: Uint8Array): void {
    this.write(handle, content, this.#node(handle).size);
  }
  truncate(path: string, length: number): void {
    const node = this.#must(path);
    const bytes = new Uint8Array(length);
    bytes.set(node.bytes.subarray(0, Math.min(length, node.size)));
    node.bytes = bytes;
    node.size = length;
  }
  stat(path: string): number {
    return this.#must(path).size;
  }
  missing(path: string): boolean {
    return this.find(path) === undefined;
  }
  dispose(): void {}

  #must(path: string): FloorNode {
    const node = this.find(path);
    if (node === undefined) throw new Error(`ENOENT ${path}`);
    return node;
  }
  #node(handle: number): FloorNode {
    const node = this.#open[handle];
    if (node === undefined) throw new Error(`EBADF ${handle}`);
    return node;
  }
}

class FlatTree extends FloorTree {
  readonly #nodes = new Map<string, FloorNode>([["", directory()]]);

  mkdirp(path: string): void {
    if (this.#nodes.has(path)) return;
    this.mkdirp(parentOf(path));
    this.insert(path, directory());
  }
  insert(path: string, node: FloorNode): void {
    this.#nodes.get(parentOf(path))?.children?.set(nameOf(path), node);
    this.#nodes.set(path, node);
  }
  find(path: string): FloorNode | undefined {
    return this.#nodes.get(path);
  }
  rename(source: string, target: string): void {
    const node = this.#nodes.get(source);
    if (node === undefined) throw new Error(`ENOENT ${source}`);
    this.unlink(source);
    this.insert(target, node);
    for (const name of node.children?.keys() ?? []) this.#move(`${source}/${name}`, `${target}/${name}`);
  }
  unlink(path: string): void {
    this.#nodes.get(parentOf(path))?.children?.delete(nameOf(path));
    this.#nodes.delete(path);
  }
  readdir(path: string): number {
    return [...(this.#nodes.get(path)?.children?.keys() ?? [])].length;
  }

  #move(source: string, target: string): void {
    const node = this.#nodes.get(source);
    if (node === undefined) return;
    this.#nodes.delete(source);
    this.#nodes.set(target, node);
    for (const name of node.children?.keys() ?? []) this.#move(`${source}/${name}`, `${target}/${name}`);
  }
}

class NestedTree extends FloorTree {
  /** The topmost first. */
  readonly #layers: FloorNode[] = [directory()];

  addLayer(): void {
    this.#layers.unshift(directory());
  }
  mkdirp(path: string): void {
    this.#make(path);
  }
  insert(path: string, node: FloorNode): void {
    this.#make(parentOf(path)).children?.set(nameOf(path), node);
  }
  find(path: string): FloorNode | undefined {
    for (const root of this.#layers) {
      const node = walk(root, path);
      if (node !== undefined) return node;
    }
    return undefined;
  }
  rename(source: string, target: string): void {
    const node = this.find(source);
    if (node === undefined) throw new Error(`ENOENT ${source}`);
    this.unlink(source);
    this.insert(target, node);
  }
  unlink(path: string): void {
    walk(this.#top(), parentOf(path))?.children?.delete(nameOf(path));
  }
  readdir(path: string): number {
    const names = new Set<string>();
    for (const root of this.#layers) for (const name of walk(root, path)?.children?.keys() ?? []) names.add(name);
    return [...names].length;
  }

  #top(): FloorNode {
    return this.#layers[0] as FloorNode;
  }
  #make(path: string): FloorNode {
    let node = this.#top();
    for (const name of path.split("/").slice(1)) {
      let next = node.children?.get(name);
      if (next === undefined) {
        next = directory();
        node.children?.set(name, next);
      }
      node = next;
    }
    return node;
  }
}

function walk(root: FloorNode, path: string): FloorNode | undefined {
  let node: FloorNode | undefined = root;
  for (let start = 1; start < path.length && node !== undefined; ) {
    let end = path.indexOf("/", start);
    if (end < 0) end = path.length;
    node = node.children?.get(path.slice(start, end));
    start = end + 1;
  }
  return node;
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}
function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function floor(make: () => FloorTree & { addLayer?(): void }): Peer {
  return {
    layersMax: 127,
    copiesUp: true,
    share: 1,
    mount(layers: number, fill: Fill): Tree {
      const tree = make();
      for (let layer = 0; layer < layers; layer++) {
        fill(tree, layer);
        tree.addLayer?.();
      }
      tree.filling = false;
      return tree;
    },
    pool: floorPool,
  };
}

export function floorFlat(): Peer {
  return floor(() => new FlatTree());
}
export function floorTree(): Peer {
  return floor(() => new NestedTree());
}
