/**
 * The layer store: layers by what they hold, containers' writable layers, and who still needs which (moby v20.10.27 layer/layer_store.go).
 *
 * Words: a *chainID* names a layer with everything below it; a *cache id* is what the driver calls it, and is random; a writable layer has
 * a *mount id*, and an *init id* for the layer between it and the image.
 *
 * Interface:
 * - A layer that is got or registered is held once more for the caller, until `release`. Children and mounts hold what they stand on.
 * - `register` leaves nothing behind when it fails, be it by the driver or by an ArchiveFault, which it throws on.
 * - Everything is kept as files: a new store over the same host finds what the old one had.
 */
import { assert } from "../../sim/core/assert.ts";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import type { Host } from "../../sim/host.ts";
import { newAttributes, O_RDONLY } from "../../sim/vfs/filesystem.ts";
import { digestOfContent, digestOfText, hexOf, type NewHasher } from "../archive/digest.ts";
import type { Gzip } from "../archive/gzip.ts";
import { layerPath } from "../archive/names.ts";
import { reassemble } from "../archive/tar-split.ts";
import { type Change, DriverError, type GraphDriver, isDriverError, pathError } from "../drivers/driver.ts";
import { applyDiffTo, diffOf } from "../drivers/layer-diff.ts";
import { setUpInitLayer } from "./init-layer.ts";
import { LayerDb } from "./layer-db.ts";
import { type LayerTar, sumTar } from "./tar-sums.ts";

/** The most layers an image can have: 127 less the init layer and the container's own. */
const DEPTH_MAX = 125;
const ID_BYTES = 32;

/** A read-only layer. */
export interface Layer {
  readonly chainId: string;
  readonly diffId: string;
  readonly cacheId: string;
  readonly parent: Layer | undefined;
  /** Bytes that it adds. */
  readonly size: number;
}

/** A container's writable layer. */
export interface WritableLayer {
  readonly name: string;
  readonly mountId: string;
  readonly initId: string | undefined;
  readonly parent: Layer | undefined;
}

/** What the store is built on. */
export interface StoreParts {
  readonly host: Host;
  readonly driver: GraphDriver;
  /** Docker's own folder of images on this driver: `/var/lib/docker/image/<driver>`. */
  readonly root: string;
  readonly newHasher: NewHasher;
  readonly gzip: Gzip;
}

interface Held {
  readonly layer: Layer;
  references: number;
}

const NO_LAYER: DriverError = new DriverError("layer does not exist");
const NOT_RETAINED: DriverError = new DriverError("layer not retained");

/** How many layers a chain has. */
function depthOf(layer: Layer | undefined): number {
  let depth = 0;
  for (let at = layer; at !== undefined; at = at.parent) depth += 1;
  return depth;
}

/** Bytes of a whole chain. */
export function chainSize(layer: Layer | undefined): number {
  let size = 0;
  for (let at = layer; at !== undefined; at = at.parent) size += at.size;
  return size;
}

export class LayerStore {
  readonly parts: StoreParts;
  readonly db: LayerDb;
  readonly #layers = new Map<string, Held>();
  readonly #mounts = new Map<string, WritableLayer>();

  constructor(parts: StoreParts) {
    this.parts = parts;
    this.db = new LayerDb(parts.host, parts.root);
    this.#restore();
  }

  /** Takes up what the files say: layers whose parent is there, parents first; then mounts. */
  #restore(): void {
    const records = new Map(this.db.layers().map((record) => [record.chainId, record]));
    const load = (chainId: string, depth: number): Layer | undefined => {
      const known = this.#layers.get(chainId)?.layer;
      const record = records.get(chainId);
      if (known !== undefined || record === undefined || depth > DEPTH_MAX) return known;
      const parent = record.parent === undefined ? undefined : load(record.parent, depth + 1);
      if (record.parent !== undefined && parent === undefined) return undefined;
      if (!this.parts.driver.exists(record.cacheId)) return undefined;
      return this.#keep({ ...record, parent }, 0);
    };
    for (const chainId of records.keys()) load(chainId, 1);
    for (const mount of this.db.mounts()) {
      const parent = mount.parent === undefined ? undefined : this.#layers.get(mount.parent)?.layer;
      if (mount.parent !== undefined && parent === undefined) continue;
      if (parent !== undefined) this.#retain(parent);
      this.#mounts.set(mount.name, { ...mount, parent });
    }
  }

  #keep(layer: Layer, references: number): Layer {
    this.#layers.set(layer.chainId, { layer, references });
    if (layer.parent !== undefined) this.#retain(layer.parent);
    return layer;
  }

  #retain(layer: Layer): void {
    const held = this.#layers.get(layer.chainId);
    assert(held !== undefined, `${layer.chainId} is not in the store`);
    held.references += 1;
  }

  #newId(): string {
    for (;;) {
      const id = hexOf(this.parts.host.random.bytes(ID_BYTES));
      // An id whose short form reads as a number is drawn again (moby pkg/stringid).
      if (!/^\d{12}/.test(id)) return id;
    }
  }

  /** Every layer, by chainID. */
  get layers(): readonly Layer[] {
    return [...this.#layers.values()].map(({ layer }) => layer);
  }

  get mounts(): readonly WritableLayer[] {
    return [...this.#mounts.values()];
  }

  /** Holds a layer. @returns NO_LAYER */
  get(chainId: string): Layer | DriverError {
    const held = this.#layers.get(chainId);
    if (held === undefined) return NO_LAYER;
    held.references += 1;
    return held.layer;
  }

  /** The layer without holding it. */
  find(chainId: string): Layer | undefined {
    return this.#layers.get(chainId)?.layer;
  }

  /** Puts a tar over a chain ("" for a base layer); the same tar over the same chain gives the layer that is there. @throws ArchiveFault */
  register(tar: LayerTar, parentChain: string): Layer | DriverError {
    const parent = parentChain === "" ? undefined : this.get(parentChain);
    if (isDriverError(parent)) return parent;
    let made: Layer | DriverError = new DriverError("max depth exceeded");
    try {
      if (depthOf(parent) < DEPTH_MAX) made = this.#registerOver(tar, parent);
    } finally {
      // The new layer holds its parent by itself.
      if (parent !== undefined) this.release(parent);
    }
    return made;
  }

  #registerOver(tar: LayerTar, parent: Layer | undefined): Layer | DriverError {
    const { driver, newHasher } = this.parts;
    const cacheId = this.#newId();
    const created = driver.create(cacheId, parent?.cacheId ?? "");
    if (created !== undefined) return created;
    let kept = false;
    try {
      const applied = this.#apply(tar, cacheId, parent);
      if (isDriverError(applied)) return applied;
      const { diffId, size, split } = applied;
      const chainId = parent === undefined ? diffId : digestOfText(`${parent.chainId} ${diffId}`, newHasher);
      const there = this.get(chainId);
      if (!isDriverError(there)) return there;
      const record = { chainId, diffId, cacheId, parent: parent?.chainId, size };
      const failed = this.db.commit(record, split);
      if (failed !== undefined) return failed;
      kept = true;
      return this.#keep({ ...record, parent }, 1);
    } finally {
      if (!kept) driver.remove(cacheId);
    }
  }

  /**
   * Takes up a layer that the driver has already, under its old name: the migration of images from before 1.10. No data moves.
   * @returns the layer, held; of a tree that is there already under another name, that one
   */
  registerByGraphId(graphId: string, parentChain: string): Layer | DriverError {
    const { host, driver, newHasher } = this.parts;
    const parent = parentChain === "" ? undefined : this.find(parentChain);
    if (parentChain !== "" && parent === undefined) return NO_LAYER;
    const tar = diffOf(host, driver, { id: graphId, parent: parent?.cacheId ?? "" });
    if (isDriverError(tar)) return tar;
    const size = driver.diffSize(graphId, parent?.cacheId ?? "");
    if (isDriverError(size)) return size;
    const { sums } = sumTar({ content: tar, mode: "docker" }, this.parts, (entries) => {
      for (const _ of entries);
    });
    const { diffId, split } = sums();
    const chainId = parent === undefined ? diffId : digestOfText(`${parent.chainId} ${diffId}`, newHasher);
    const there = this.get(chainId);
    if (!isDriverError(there)) return there;
    const record = { chainId, diffId, cacheId: graphId, parent: parent?.chainId, size };
    return this.db.commit(record, split) ?? this.#keep({ ...record, parent }, 1);
  }

  /** One pass over the tar: its digest, its tar-split, its files into the driver. */
  #apply(
    tar: LayerTar,
    cacheId: string,
    parent: Layer | undefined,
  ): { readonly diffId: string; readonly size: number; readonly split: Uint8Array } | DriverError {
    const { host, driver } = this.parts;
    const { taken: size, sums } = sumTar(tar, this.parts, (entries) =>
      applyDiffTo(host, driver, { id: cacheId, parent: parent?.cacheId ?? "", diff: { entries, mode: tar.mode } }),
    );
    return isDriverError(size) ? size : { ...sums(), size };
  }

  /** Lets go of a layer. @returns the layers that nobody needed any more, the topmost first */
  release(layer: Layer): Layer[] | DriverError {
    const held = this.#layers.get(layer.chainId);
    if (held === undefined || held.references === 0) return NOT_RETAINED;
    const removed: Layer[] = [];
    for (let at: Layer | undefined = layer; at !== undefined; at = at.parent) {
      const one = this.#layers.get(at.chainId);
      assert(one !== undefined && one.references > 0, `${at.chainId} is released more often than held`);
      one.references -= 1;
      if (one.references > 0) break;
      this.#layers.delete(at.chainId);
      const folder = this.db.beginRemoval(at.chainId, this.#newId());
      const failed = isDriverError(folder) ? folder : (this.parts.driver.remove(at.cacheId) ?? this.db.remove(folder));
      if (failed !== undefined) return failed;
      removed.push(at);
    }
    return removed;
  }

  /** Finishes removals that were cut short. */
  cleanup(): DriverError | undefined {
    for (const { folder, cacheId } of this.db.orphans()) {
      const failed = this.parts.driver.remove(cacheId) ?? this.db.remove(folder);
      if (failed !== undefined) return failed;
    }
    return undefined;
  }

  /** A layer's tar as it came, put together from its files. @returns Docker's error where they are not what they were */
  tarStream(layer: Layer): Content | DriverError {
    const { driver, gzip, newHasher } = this.parts;
    const packed = this.db.tarSplit(layer.chainId);
    if (isDriverError(packed)) return packed;
    const root = driver.get(layer.cacheId);
    if (isDriverError(root)) return root;
    const tar = reassemble(gzip.unpack(packed), (name) => this.#readFile(root, name));
    driver.put(layer.cacheId);
    if (!(tar instanceof Content)) return new DriverError(tar.wrong);
    if (digestOfContent(tar, newHasher) === layer.diffId) return tar;
    const advice = "Re-pulling or rebuilding this image may resolve the issue";
    return new DriverError(
      `could not verify layer data for: ${layer.diffId}. This may be because internal files in the layer store were modified. ${advice}`,
    );
  }

  /** Reads what Docker joins of the layer's folder and a name: one that leads out of the folder leads out of it here too. */
  #readFile(root: string, name: string): Content | string {
    const { task } = this.parts.host;
    const path = layerPath(`${root}/${name}`);
    const fd = task.open(path, O_RDONLY);
    if (isErrno(fd)) return pathError("open", path, fd).message;
    const of = newAttributes();
    task.fstat(fd, of);
    const content = task.pread(fd, Math.max(1, of.size), 0);
    task.close(fd);
    return isErrno(content) ? pathError("read", path, content).message : content;
  }

  // Writable layers

  /**
   * Makes a container's writable layer over a chain, or over nothing.
   * @param options.init - whether Docker's own files are put between; a builder's layers have none
   */
  createWritable(name: string, parentChain: string, options: { readonly init: boolean }): WritableLayer | DriverError {
    if (this.#mounts.has(name)) return new DriverError("mount already exists with name");
    const parent = parentChain === "" ? undefined : this.get(parentChain);
    if (isDriverError(parent)) return parent;
    const mountId = this.#newId();
    const initId = options.init ? `${mountId}-init` : undefined;
    const made = this.#makeWritable({ name, mountId, initId, parent });
    if (made !== undefined && parent !== undefined) this.release(parent);
    return made ?? (this.#mounts.get(name) as WritableLayer);
  }

  #makeWritable(layer: WritableLayer): DriverError | undefined {
    const { driver } = this.parts;
    const { name, mountId, initId, parent } = layer;
    let below = parent?.cacheId ?? "";
    if (initId !== undefined) {
      const failed = this.#makeInit(initId, below);
      if (failed !== undefined) return failed;
      below = initId;
    }
    const failed =
      driver.createReadWrite(mountId, below) ?? this.db.writeMount({ name, mountId, initId, parent: parent?.chainId });
    if (failed === undefined) this.#mounts.set(name, layer);
    return failed;
  }

  #makeInit(initId: string, below: string): DriverError | undefined {
    const { driver, host } = this.parts;
    const created = driver.createReadWrite(initId, below);
    if (created !== undefined) return created;
    const root = driver.get(initId);
    if (isDriverError(root)) return root;
    const failed = setUpInitLayer(host.task, root);
    driver.put(initId);
    return failed;
  }

  /** What the writable layer stands on, as the driver calls it. */
  #baseOf(layer: WritableLayer): string {
    return layer.initId ?? layer.parent?.cacheId ?? "";
  }

  /** `docker diff`. */
  changes(layer: WritableLayer): Change[] | DriverError {
    return this.parts.driver.changes(layer.mountId, this.#baseOf(layer));
  }

  /** SizeRw of `docker ps -s`. */
  writableSize(layer: WritableLayer): number | DriverError {
    return this.parts.driver.diffSize(layer.mountId, this.#baseOf(layer));
  }

  /** What `docker commit` takes: the tar of everything that the container changed. */
  writableTar(layer: WritableLayer): Content | DriverError {
    return diffOf(this.parts.host, this.parts.driver, { id: layer.mountId, parent: this.#baseOf(layer) });
  }

  /** Ends a writable layer. @returns the layers that nobody needs any more */
  releaseWritable(layer: WritableLayer): Layer[] | DriverError {
    const { driver } = this.parts;
    if (!this.#mounts.has(layer.name)) return [];
    const failed =
      driver.remove(layer.mountId) ??
      (layer.initId === undefined ? undefined : driver.remove(layer.initId)) ??
      this.db.removeMount(layer.name);
    if (failed !== undefined) return failed;
    this.#mounts.delete(layer.name);
    return layer.parent === undefined ? [] : this.release(layer.parent);
  }

  /** Throws an InvariantError when a layer is held by more children and mounts than its count says, or the driver has lost one. */
  check(): void {
    const needed = new Map<string, number>();
    const need = (layer: Layer | undefined): void => {
      if (layer !== undefined) needed.set(layer.chainId, (needed.get(layer.chainId) ?? 0) + 1);
    };
    for (const { layer } of this.#layers.values()) need(layer.parent);
    for (const layer of this.#mounts.values()) need(layer.parent);
    for (const { layer, references } of this.#layers.values()) {
      assert(references >= (needed.get(layer.chainId) ?? 0), `${layer.chainId} has too few references`);
      assert(this.parts.driver.exists(layer.cacheId), `the driver has lost ${layer.cacheId}`);
    }
  }
}
