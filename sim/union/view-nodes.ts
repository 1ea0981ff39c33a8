/**
 * The nodes of a merged view: rows that say which inodes of which layers make each up, topmost first, in two pools.
 */
import type { Inode } from "../vfs/filesystem.ts";

/** The number of an object of the view; 0 is none. */
export type ViewNode = number;

const FIRST_ROWS = 16;
const FIRST_PLACES = 32;

export class ViewNodes {
  /** Where a node's inodes begin in the two pools, how many there are, and what looking it up cost. */
  #starts = new Uint32Array(FIRST_ROWS);
  #counts = new Uint16Array(FIRST_ROWS);
  #probes = new Uint16Array(FIRST_ROWS);
  #end = 1;
  #layers = new Uint16Array(FIRST_PLACES);
  #inodes = new Float64Array(FIRST_PLACES);
  #pooled = 0;

  /** Where a node's first inode is in the pools; its others follow. */
  startOf(node: ViewNode): number {
    return this.#starts[node] as number;
  }
  countOf(node: ViewNode): number {
    return this.#counts[node] as number;
  }
  probesOf(node: ViewNode): number {
    return this.#probes[node] as number;
  }
  layerAt(place: number): number {
    return this.#layers[place] as number;
  }
  inodeAt(place: number): Inode {
    return this.#inodes[place] as Inode;
  }

  /** Puts another inode at a place. */
  setPlace(place: number, layer: number, inode: Inode): void {
    this.#layers[place] = layer;
    this.#inodes[place] = inode;
  }

  /** A new node. @param probes - how many layer lookups the kernel makes to find it. */
  add(layers: readonly number[], inodes: readonly Inode[], probes: number): ViewNode {
    const node = this.#end++;
    if (node === this.#starts.length) this.#growRows();
    const count = layers.length;
    while (this.#pooled + count > this.#layers.length) this.#growPools();
    this.#starts[node] = this.#pooled;
    this.#counts[node] = count;
    this.#probes[node] = probes;
    this.#layers.set(layers, this.#pooled);
    this.#inodes.set(inodes, this.#pooled);
    this.#pooled += count;
    return node;
  }

  #growRows(): void {
    const length = this.#starts.length * 2;
    const starts = new Uint32Array(length);
    starts.set(this.#starts);
    this.#starts = starts;
    const counts = new Uint16Array(length);
    counts.set(this.#counts);
    this.#counts = counts;
    const probes = new Uint16Array(length);
    probes.set(this.#probes);
    this.#probes = probes;
  }

  #growPools(): void {
    const layers = new Uint16Array(this.#layers.length * 2);
    layers.set(this.#layers);
    this.#layers = layers;
    const inodes = new Float64Array(layers.length);
    inodes.set(this.#inodes);
    this.#inodes = inodes;
  }
}
