/**
 * A lab: layers and containers by name, as one driver keeps them on one host.
 *
 * Words: a *layer* is read-only once something is put over it; a *container* is a writable layer over one. Both are mounted from the
 * moment they are made, each with one process in it (a session) whose root is the layer's tree.
 *
 * Interface: names that are not there, or are taken, throw a LabError (a wrong scenario); a driver's failure is returned.
 */
import type { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import type { Host } from "../../sim/host.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { hexOf } from "../archive/digest.ts";
import { readTar } from "../archive/tar-read.ts";
import { CallSession } from "../calls/session.ts";
import type { TreeCopyCounters } from "../drivers/dir-copy.ts";
import { type Change, type DriverError, type GraphDriver, isDriverError, pathError } from "../drivers/driver.ts";
import { makeDirectories } from "../drivers/files.ts";
import { applyDiffTo, diffOf } from "../drivers/layer-diff.ts";
import { setUpInitLayer } from "./init-layer.ts";
import { branchRows, type UpperRow, upperRows } from "./upper.ts";
import type { VolumeOption } from "./volume-option.ts";
import { enterContainer, type MountPoint, prepareVolumes } from "./volumes.ts";

/** A step that names a layer that is not there, or a name twice. */
export class LabError extends Error {
  override readonly name = "LabError";
}

export interface LayerOptions {
  /** Written in the driver's own folder, not through the union mount. */
  readonly raw?: boolean;
}

export interface ContainerOptions {
  /** Its own options, such as size (docker run --storage-opt). */
  readonly storage?: Readonly<Record<string, string>>;
  /** Whether it stands on an init layer, as Docker's containers do. Default false. */
  readonly init?: boolean;
  /** What is mounted in it (docker run -v). Default: nothing. */
  readonly volumes?: readonly VolumeOption[];
  /** Where its process begins, made where it is missing. Default: the root. */
  readonly workdir?: string;
}

export interface LabOptions {
  /** Each process keeps every inode that it has seen, as the recorder of traces does. Default false. */
  readonly keepsSeen?: boolean;
  /** What is mounted in every layer and container that stands on another (docker run -v). Default: nothing. */
  readonly volumes?: readonly VolumeOption[];
}

interface Tree {
  readonly id: string;
  /** The parent's id; "" for none. */
  readonly parent: string;
  /** Whether the parent is an init layer, made for this one. */
  readonly init: boolean;
  /** Where its process begins. */
  readonly workdir: string;
  /** The tree's path on the host, while it is mounted. */
  path: string | undefined;
  /** Whether `path` comes from the driver's Get, and must be put. */
  held: boolean;
  session: CallSession | undefined;
  /** What its process finds mounted in it. */
  points: readonly MountPoint[];
  /** Unmounts that for a process that has left; undefined without a process, or with nothing mounted. */
  leave: (() => void) | undefined;
}

function newTree(id: string, parent: string, init: boolean, workdir = "/"): Tree {
  return { id, parent, init, workdir, path: undefined, held: false, session: undefined, points: [], leave: undefined };
}

/** Docker makes the folder before the process begins in it. */
function beginIn(task: Task, folder: string): DriverError | undefined {
  const made = isErrno(task.resolve(folder)) ? makeDirectories(task, folder, 0o755) : undefined;
  const errno = made === undefined ? task.chdir(folder) : undefined;
  return errno === undefined ? made : pathError("chdir", folder, errno);
}

/** Characters of a layer's id. */
const ID_BYTES = 32;

export class Lab {
  readonly host: Host;
  readonly driver: GraphDriver;
  /** What was copied out of images into new volumes. */
  readonly volumes: TreeCopyCounters = { treeCopyFiles: 0, treeCopyBytes: 0 };
  readonly #keepsSeen: boolean;
  readonly #volumes: readonly VolumeOption[];
  readonly #trees = new Map<string, Tree>();

  constructor(host: Host, driver: GraphDriver, { keepsSeen = false, volumes = [] }: LabOptions = {}) {
    this.host = host;
    this.driver = driver;
    this.#keepsSeen = keepsSeen;
    this.#volumes = volumes;
  }

  /** Every layer and container, in the order they were made. */
  get names(): string[] {
    return [...this.#trees.keys()];
  }

  has(name: string): boolean {
    return this.#trees.has(name);
  }

  #tree(name: string): Tree {
    const tree = this.#trees.get(name);
    if (tree === undefined) throw new LabError(`there is no layer or container ${name}`);
    return tree;
  }

  /** The id by which the driver knows it. */
  idOf(name: string): string {
    return this.#tree(name).id;
  }

  /** A new layer over `parent`, open for writing until something is put over it. */
  addLayer(name: string, parent?: string, options: LayerOptions = {}): DriverError | undefined {
    return this.#add(name, parent, options);
  }

  /** A writable container over a layer. */
  addContainer(name: string, parent: string, options: ContainerOptions = {}): DriverError | undefined {
    return this.#add(name, parent, {}, options);
  }

  /** A writable container over a layer that differs from it as `diff` of another one told: what docker commit keeps of it. */
  addFrom(name: string, parent: string, diff: Content): DriverError | undefined {
    const tree = this.#make(name, parent);
    if (isDriverError(tree)) return tree;
    const { host, driver } = this;
    const layer = {
      id: tree.id,
      parent: tree.parent,
      diff: { entries: readTar(diff, { mode: "docker" }), mode: "docker" as const },
    };
    const size = applyDiffTo(host, driver, layer);
    return isDriverError(size) ? size : this.#open(tree);
  }

  /** How a container differs from its parent, as a tar archive. */
  diff(name: string): Content | DriverError {
    const { id, parent } = this.#tree(name);
    return diffOf(this.host, this.driver, { id, parent });
  }

  #add(name: string, parent: string | undefined, options: LayerOptions, container?: ContainerOptions): DriverError | undefined {
    const tree = this.#make(name, parent, container);
    if (isDriverError(tree)) return tree;
    if (options.raw === true) return this.#openRaw(tree);
    const volumes = parent === undefined ? [] : [...this.#volumes, ...(container?.volumes ?? [])];
    return this.#open(tree) ?? (volumes.length === 0 ? undefined : this.#start(name, tree, volumes));
  }

  /** A container with volumes starts at once: what is mounted shows in its layer. */
  #start(name: string, tree: Tree, volumes: readonly VolumeOption[]): DriverError | undefined {
    const points = prepareVolumes(this.host, { root: tree.path ?? "/", counters: this.volumes }, volumes);
    if (isDriverError(points)) return points;
    tree.points = points;
    const session = this.session(name);
    return isDriverError(session) ? session : undefined;
  }

  /** @param container - absent of an image's layer, which no size of containers limits */
  #make(name: string, parent: string | undefined, container?: ContainerOptions): Tree | DriverError {
    const { storage = {}, init = false, workdir } = container ?? {};
    if (this.#trees.has(name)) throw new LabError(`there is a layer or container ${name} already`);
    const parentId = parent === undefined ? "" : this.#tree(parent).id;
    const sealed = parent === undefined ? undefined : this.seal(parent);
    if (sealed !== undefined) return sealed;
    const id = hexOf(this.host.random.bytes(ID_BYTES));
    const below = init ? `${id}-init` : parentId;
    const { driver } = this;
    const failed =
      (init ? this.#makeInit(below, parentId, storage) : undefined) ??
      (container === undefined ? driver.create(id, below) : driver.createReadWrite(id, below, { storage }));
    if (failed !== undefined) return failed;
    const tree = newTree(id, below, init, workdir);
    this.#trees.set(name, tree);
    return tree;
  }

  #makeInit(id: string, parent: string, storage: Readonly<Record<string, string>>): DriverError | undefined {
    const failed = this.driver.createReadWrite(id, parent, { storage });
    if (failed !== undefined) return failed;
    const root = this.driver.get(id);
    if (isDriverError(root)) return root;
    return setUpInitLayer(this.host.task, root) ?? this.driver.put(id);
  }

  /** Takes an image layer that the driver has under `id` already. */
  adopt(name: string, id: string): void {
    if (this.#trees.has(name)) throw new LabError(`there is a layer or container ${name} already`);
    this.#trees.set(name, newTree(id, "", false));
  }

  #open(tree: Tree): DriverError | undefined {
    const path = this.driver.get(tree.id);
    if (isDriverError(path)) return path;
    tree.path = path;
    tree.held = true;
    return undefined;
  }

  /** A raw layer's tree is the folder in which a union driver keeps what the layer holds itself. */
  #openRaw(tree: Tree): DriverError | undefined {
    const folder = this.#upperFolder(tree);
    if (isDriverError(folder)) return folder;
    if (folder === undefined) throw new LabError(`${this.driver.name} has no raw layers`);
    tree.path = folder;
    return undefined;
  }

  #upperFolder(tree: Tree): string | undefined | DriverError {
    if (this.driver.branchFolder !== undefined) return this.driver.branchFolder(tree.id);
    const metadata = this.driver.metadata(tree.id);
    return metadata === null || isDriverError(metadata) ? (metadata ?? undefined) : metadata["UpperDir"];
  }

  /** The tree's path on the host; mounts it when it is not. */
  pathOf(name: string): string | DriverError {
    const tree = this.#tree(name);
    if (tree.path === undefined) {
      const failed = this.#open(tree);
      if (failed !== undefined) return failed;
    }
    return tree.path ?? "/";
  }

  /** The process in a tree: the same one until the layer is sealed. */
  session(name: string): CallSession | DriverError {
    const tree = this.#tree(name);
    if (tree.session !== undefined) return tree.session;
    const path = this.pathOf(name);
    if (isDriverError(path)) return path;
    const task = this.#enter(tree, path);
    if (isDriverError(task)) return task;
    const moved = tree.workdir === "/" ? undefined : beginIn(task, tree.workdir);
    if (moved !== undefined) return moved;
    tree.session = new CallSession(task, { keepsSeen: this.#keepsSeen });
    return tree.session;
  }

  /** A process in a tree; only one with volumes needs mounts of its own. */
  #enter(tree: Tree, path: string): Task | DriverError {
    if (tree.points.length === 0) {
      const task = this.host.task.chroot(path);
      return isErrno(task) ? pathError("chroot", path, task) : task;
    }
    const entered = enterContainer(this.host, path, tree.points);
    if (isDriverError(entered)) return entered;
    tree.leave = entered.leave;
    return entered.task;
  }

  /** The task of the process in a tree. */
  task(name: string): Task | DriverError {
    const session = this.session(name);
    return isDriverError(session) ? session : session.task;
  }

  /** Ends the writing of a layer: its process leaves it, the driver puts it and makes an image layer of it. */
  seal(name: string): DriverError | undefined {
    const tree = this.#tree(name);
    return this.#leave(tree) ?? this.driver.commit?.(tree.id);
  }

  /** The process leaves the tree, the driver puts it. */
  #leave(tree: Tree): DriverError | undefined {
    tree.session?.end();
    tree.session = undefined;
    tree.leave?.();
    tree.leave = undefined;
    const { held } = tree;
    tree.path = undefined;
    tree.held = false;
    return held ? this.driver.put(tree.id) : undefined;
  }

  /** Ends a layer or container, and removes what the driver keeps of it. */
  remove(name: string): DriverError | undefined {
    const tree = this.#tree(name);
    const failed = this.#leave(tree) ?? this.driver.remove(tree.id) ?? (tree.init ? this.driver.remove(tree.parent) : undefined);
    if (failed === undefined) this.#trees.delete(name);
    return failed;
  }

  /** What `docker diff` shows: how it differs from its parent. */
  changes(name: string): Change[] | DriverError {
    const { id, parent } = this.#tree(name);
    return this.driver.changes(id, parent);
  }

  /** Bytes that it adds to its parent, as the driver counts them. */
  diffSize(name: string): number | DriverError {
    const { id, parent } = this.#tree(name);
    return this.driver.diffSize(id, parent);
  }

  /** What a union driver left in the layer's own folder; undefined where the driver has none. */
  upper(name: string): UpperRow[] | DriverError | undefined {
    const folder = this.#upperFolder(this.#tree(name));
    if (folder === undefined || isDriverError(folder)) return folder;
    return this.driver.branchFolder === undefined ? upperRows(this.host.task, folder) : branchRows(this.host.task, folder);
  }

  /**
   * The same layers and containers on a machine that has started again on what is left of this one's disk: none is mounted, and no process is in
   * any of them.
   */
  again(host: Host, driver: GraphDriver): Lab {
    const lab = new Lab(host, driver, { keepsSeen: this.#keepsSeen, volumes: this.#volumes });
    for (const [name, { id, parent, init, workdir, points }] of this.#trees)
      lab.#trees.set(name, { ...newTree(id, parent, init, workdir), points });
    return lab;
  }

  /** Ends every process and every mount. */
  end(): void {
    for (const name of this.names.reverse()) this.#leave(this.#tree(name));
    this.driver.cleanup();
  }
}
