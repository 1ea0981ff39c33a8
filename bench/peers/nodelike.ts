/** Filesystems with the synchronous calls of node:fs: memfs, unionfs and ZenFS, each found in bench/node_modules. */
import { CannotRun, type Fill, type OpenMode, type Peer, type Tree } from "../peer.ts";

/** The part of node:fs that the adapters use. */
interface NodeLike {
  mkdirSync(path: string, options: { recursive: boolean }): unknown;
  writeFileSync(path: string, content: Uint8Array): void;
  openSync(path: string, flags: string): number;
  closeSync(handle: number): void;
  readSync(handle: number, into: Uint8Array, offset: number, length: number, position: number): number;
  writeSync(handle: number, content: Uint8Array, offset?: number, length?: number, position?: number): number;
  truncateSync(path: string, length: number): void;
  renameSync(source: string, target: string): void;
  unlinkSync(path: string): void;
  readdirSync(path: string): readonly unknown[];
  statSync(path: string, options?: { throwIfNoEntry: boolean }): { size: number } | undefined;
}

const FLAGS = { read: "r", write: "r+", append: "a" } as const;
const NO_THROW = { throwIfNoEntry: false } as const;

class NodeLikeTree implements Tree {
  readonly #fs: NodeLike;
  readonly #missingThrows: boolean;

  /** @param missingThrows - whether stat of a missing name throws even when asked not to. */
  constructor(fs: NodeLike, missingThrows = false) {
    this.#fs = fs;
    this.#missingThrows = missingThrows;
  }

  mkdirp(path: string): void {
    this.#fs.mkdirSync(path, { recursive: true });
  }
  writeFile(path: string, content: Uint8Array): void {
    this.#fs.writeFileSync(path, content);
  }
  open(path: string, mode: OpenMode): number {
    return this.#fs.openSync(path, FLAGS[mode]);
  }
  close(handle: number): void {
    this.#fs.closeSync(handle);
  }
  read(handle: number, into: Uint8Array, position: number): number {
    return this.#fs.readSync(handle, into, 0, into.length, position);
  }
  write(handle: number, content: Uint8Array, position: number): void {
    this.#fs.writeSync(handle, content, 0, content.length, position);
  }
  append(handle: number, content: Uint8Array): void {
    this.#fs.writeSync(handle, content);
  }
  truncate(path: string, length: number): void {
    this.#fs.truncateSync(path, length);
  }
  rename(source: string, target: string): void {
    this.#fs.renameSync(source, target);
  }
  unlink(path: string): void {
    this.#fs.unlinkSync(path);
  }
  readdir(path: string): number {
    return this.#fs.readdirSync(path).length;
  }
  stat(path: string): number {
    return this.#fs.statSync(path)?.size ?? Number.NaN;
  }
  missing(path: string): boolean {
    if (!this.#missingThrows) return this.#fs.statSync(path, NO_THROW) === undefined;
    try {
      this.#fs.statSync(path);
      return false;
    } catch {
      return true;
    }
  }
  dispose(): void {}
}

/** Imports a package of bench/package.json. A name in a variable keeps the compiler from asking for it. */
async function packaged<Module>(name: string): Promise<Module> {
  try {
    return (await import(name)) as Module;
  } catch (error) {
    throw new CannotRun(`${name} cannot be loaded: ${(error as Error).message.split("\n")[0]}`);
  }
}

interface MemfsModule {
  readonly Volume: new () => NodeLike;
}

export async function memfs(): Promise<Peer> {
  const { Volume } = await packaged<MemfsModule>("memfs");
  return {
    layersMax: 0,
    copiesUp: false,
    share: 1,
    mount(_layers: number, fill: Fill): Tree {
      const tree = new NodeLikeTree(new Volume());
      fill(tree, 0);
      return tree;
    },
  };
}

interface UnionModule {
  readonly Union: new () => NodeLike & { use(fs: NodeLike): void };
}

/** unionfs over memfs volumes: reads are united, a write goes to the topmost volume that takes it, nothing is copied up. */
export async function unionfs(): Promise<Peer> {
  const { Volume } = await packaged<MemfsModule>("memfs");
  const { Union } = await packaged<UnionModule>("unionfs");
  return {
    layersMax: 127,
    copiesUp: false,
    share: 1,
    mount(layers: number, fill: Fill): Tree {
      const union = new Union();
      for (let layer = 0; layer < layers; layer++) {
        const volume = new Volume();
        fill(new NodeLikeTree(volume), layer);
        union.use(volume);
      }
      union.use(new Volume());
      return new NodeLikeTree(union, true);
    },
  };
}

interface ZenFsModule {
  readonly fs: NodeLike;
  readonly InMemory: unknown;
  readonly CopyOnWriteFS: new (readable: object, writable: object) => object;
  mount(point: string, filesystem: object): void;
  umount(point: string): void;
  resolveMountConfigSync(options: { backend: unknown; label: string }): object;
}

/** What ZenFS is given of a workload's operations: at about half a millisecond a create, set-up alone would take minutes. */
const ZENFS_SHARE = 0.02;

/** ZenFS on one InMemory store. */
export async function zenfs(): Promise<Peer> {
  const module = await packaged<ZenFsModule>("@zenfs/core");
  return {
    layersMax: 0,
    copiesUp: false,
    share: ZENFS_SHARE,
    mountsOne: true,
    mount(_layers: number, fill: Fill): Tree {
      mountZenFs(module, module.resolveMountConfigSync({ backend: module.InMemory, label: "tree" }));
      const tree = new NodeLikeTree(module.fs, true);
      fill(tree, 0);
      return tree;
    },
  };
}

/** ZenFS CopyOnWrite, one nested in the other for each layer above the first. */
export async function zenfsCow(): Promise<Peer> {
  const module = await packaged<ZenFsModule>("@zenfs/core");
  const store = (label: string): object => module.resolveMountConfigSync({ backend: module.InMemory, label });
  return {
    layersMax: 64,
    copiesUp: true,
    share: ZENFS_SHARE,
    mountsOne: true,
    mount(layers: number, fill: Fill): Tree {
      const tree = new NodeLikeTree(module.fs, true);
      let united: object | undefined;
      for (let layer = 0; layer < layers; layer++) {
        const lower = store(`layer ${layer}`);
        mountZenFs(module, lower);
        fill(tree, layer);
        united = united === undefined ? lower : new module.CopyOnWriteFS(united, lower);
      }
      const upper = store("upper");
      mountZenFs(module, united === undefined ? upper : new module.CopyOnWriteFS(united, upper));
      return tree;
    },
  };
}

function mountZenFs(module: ZenFsModule, filesystem: object): void {
  module.umount("/");
  module.mount("/", filesystem);
}
