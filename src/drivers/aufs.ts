/**
 * aufs: each layer a branch, its tree a union mount of the branches of its chain (moby daemon/graphdriver/aufs, v20.10.27; spec/drivers.md 5.1).
 *
 * On disk, below the home (0710): `layers/<id>`, a text of all ancestors, nearest first; `diff/<id>/`, what the layer holds itself; `mnt/<id>/`,
 * where it is mounted.
 *
 * Interface: Get of a base layer is `diff/<id>` itself; every other layer is mounted with its own branch writable, image layers too. Mounts are
 * counted: the first Get mounts, the last Put unmounts. Remove looks at no children. The host has no auplink: that Docker's call of it fails
 * before each unmount is only logged, and pseudo-links end with the mount.
 */
import type { Content } from "../../sim/core/content.ts";
import { EEXIST, ENOENT, ENOTEMPTY } from "../../sim/core/errno.ts";
import type { Host } from "../../sim/host.ts";
import { AUFS_MAGIC } from "../../sim/vfs/magic.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { exportTree } from "../archive/export.ts";
import type { LayerDiff } from "../archive/unpack.ts";
import { aufsMount, probeDirperm1 } from "./aufs-mount.ts";
import { dockerOf } from "./docker-profile.ts";
import {
  type Change,
  type CreateOptions,
  type DriverContext,
  DriverError,
  type DriverKind,
  type GraphDriver,
  INCOMPATIBLE,
  isDriverError,
  NOT_SUPPORTED,
  pathError,
} from "./driver.ts";
import { exists, isDirectory, lstat, makeDirectories, readFile, removeAll, rename, sortedNames, writeFile } from "./files.ts";
import { folderSize } from "./folder-size.ts";
import { naiveApplyDiff, naiveDiff, unpackInto } from "./layer-diff.ts";
import { backingName, magicOf } from "./magic.ts";
import { naiveChanges, naiveDiffSize } from "./naive-diff.ts";
import { unionMountOptions } from "./options.ts";
import { RefCounter } from "./ref-counter.ts";
import { ensureRemoveAll, unmountBelow } from "./removal.ts";
import { branchChanges } from "./union-changes.ts";

/** Where the kernel tells its types of filesystems. */
const FILESYSTEMS_FILE = "/proc/filesystems";
/** Filesystems on which aufs does not work. */
const INCOMPATIBLE_BACKINGS = new Set(["aufs", "btrfs", "ecryptfs"]);
/** What a folder is called while it is removed. */
const REMOVING = "-removing";
/** What aufs keeps in the root of a branch for itself, but the mark of an opaque directory. */
const OWN_ENTRY = /^\.wh\.\.wh\.(?!\.opq$)/;

class AufsDriver implements GraphDriver {
  readonly name = "aufs";
  readonly home: string;
  readonly counters: Record<string, number> = {};
  readonly #host: Host;
  readonly #task: Task;
  readonly #backing: string;
  /** Further options of every mount. */
  readonly #mountOptions: readonly string[];
  readonly #references: RefCounter;
  /** Where each layer was last mounted, or shown. */
  readonly #paths = new Map<string, string>();
  /** Whether the kernel knows the option dirperm1; found out at the first question. */
  #dirperm1: boolean | undefined;

  constructor(context: DriverContext, backing: string) {
    this.home = context.home;
    this.#host = context.host;
    this.#task = context.host.task;
    this.#backing = backing;
    this.#mountOptions = unionMountOptions(context.settings, "");
    this.#references = new RefCounter((path) => this.#isMounted(path));
  }

  #isMounted(path: string): boolean {
    return magicOf(this.#task, path) === AUFS_MAGIC;
  }

  #usesDirperm1(): boolean {
    this.#dirperm1 ??= probeDirperm1(this.#host);
    return this.#dirperm1;
  }

  branchFolder(id: string): string {
    return `${this.home}/diff/${id}`;
  }

  #mountpoint(id: string): string {
    return `${this.home}/mnt/${id}`;
  }

  #layersFile(id: string): string {
    return `${this.home}/layers/${id}`;
  }

  /** All ancestors, nearest first. */
  #ancestors(id: string): string[] | DriverError {
    const text = readFile(this.#task, this.#layersFile(id));
    return isDriverError(text) ? text : text.split("\n").filter((line) => line !== "");
  }

  create(id: string, parent: string, options: CreateOptions = {}): DriverError | undefined {
    return this.createReadWrite(id, parent, options);
  }

  /** A parent that is not there is found missing after the folders were made, which stay. */
  createReadWrite(id: string, parent: string, options: CreateOptions = {}): DriverError | undefined {
    if (Object.keys(options.storage ?? {}).length > 0) return new DriverError("--storage-opt is not supported for aufs");
    const failed =
      makeDirectories(this.#task, this.#mountpoint(id), 0o755) ??
      makeDirectories(this.#task, this.branchFolder(id), 0o755) ??
      writeFile(this.#task, this.#layersFile(id), { text: "", mode: 0o666 });
    if (failed !== undefined || parent === "") return failed;
    const above = this.#ancestors(parent);
    if (isDriverError(above)) return above;
    return writeFile(this.#task, this.#layersFile(id), { text: [parent, ...above, ""].join("\n"), mode: 0o666 });
  }

  get(id: string, mountLabel = ""): string | DriverError {
    const ancestors = this.#ancestors(id);
    if (isDriverError(ancestors) && ancestors.errno !== ENOENT) return ancestors;
    const parents = isDriverError(ancestors) ? [] : ancestors;
    const path = this.#paths.get(id) ?? (parents.length > 0 ? this.#mountpoint(id) : this.branchFolder(id));
    if (this.#references.increment(path) > 1) return path;
    // A mount that fails stays counted: until a Put, the next Get takes it as mounted.
    const failed = parents.length === 0 ? undefined : this.#mount(id, path, { parents, mountLabel });
    if (failed !== undefined) return failed;
    this.#paths.set(id, path);
    return path;
  }

  #mount(id: string, target: string, from: { parents: readonly string[]; mountLabel: string }): DriverError | undefined {
    if (this.#isMounted(target)) return undefined;
    const failed = aufsMount(this.#host, {
      writable: this.branchFolder(id),
      lowers: from.parents.map((parent) => this.branchFolder(parent)),
      target,
      mountLabel: from.mountLabel,
      dirperm1: this.#usesDirperm1(),
      further: this.#mountOptions,
    });
    if (failed === undefined) return undefined;
    this.#host.unmount(target);
    const reason = failed.errno === undefined ? {} : { errno: failed.errno };
    return new DriverError(`error creating aufs mount to ${target}: ${failed.message}`, reason);
  }

  put(id: string): DriverError | undefined {
    const path = this.#paths.get(id) ?? this.#mountpoint(id);
    this.#paths.set(id, path);
    return this.#references.decrement(path) > 0 ? undefined : this.#unmount(path);
  }

  #unmount(path: string): DriverError | undefined {
    if (!this.#isMounted(path)) return undefined;
    const failed = this.#host.unmount(path);
    return failed === undefined ? undefined : pathError("aufs: unmount error after retries:", path, failed);
  }

  /** What Docker leaves out of the layers that it makes of a branch: aufs's own entries. */
  commit(id: string): DriverError | undefined {
    const branch = this.branchFolder(id);
    const names = sortedNames(this.#task, branch);
    if (isDriverError(names)) return names;
    for (const name of names.filter((one) => OWN_ENTRY.test(one))) {
      const failed = removeAll(this.#task, `${branch}/${name}`);
      if (failed !== undefined) return failed;
    }
    return undefined;
  }

  remove(id: string): DriverError | undefined {
    const path = this.#paths.get(id) ?? this.#mountpoint(id);
    const busy = this.#unmount(path);
    if (busy !== undefined) return busy;
    const unlinked = this.#task.unlink(this.#layersFile(id));
    if (unlinked !== undefined && unlinked !== ENOENT) {
      return wrapped(`error removing layers dir for ${id}`, pathError("remove", this.#layersFile(id), unlinked));
    }
    const branch = this.#removeAside(this.branchFolder(id));
    if (branch !== undefined) return wrapped(`could not remove diff path for id ${id}`, branch);
    const mountpoint = this.#removeAside(path);
    if (mountpoint !== undefined) return wrapped(`could not remove mountpoint for id ${id}`, mountpoint);
    this.#paths.delete(id);
    return undefined;
  }

  /** Renames a folder out of the way, then removes it: nobody finds half of it under its name. */
  #removeAside(source: string): DriverError | undefined {
    const target = source + REMOVING;
    const failed = rename(this.#task, source, target);
    if (failed?.errno === EEXIST || failed?.errno === ENOTEMPTY) {
      if (exists(this.#task, source)) {
        const text = `target rename dir "${target}" exists but should not, this needs to be manually cleaned up`;
        return wrapped(text, failed);
      }
    } else if (failed !== undefined && failed.errno !== ENOENT) return wrapped("error preparing atomic delete", failed);
    return ensureRemoveAll(this.#host, this.#task, target);
  }

  exists(id: string): boolean {
    return exists(this.#task, this.#layersFile(id));
  }

  /** Whether a layer is the nearest below another; below a base layer, or one that is not there, is whatever is asked for. */
  #isParent(id: string, parent: string): boolean {
    const ancestors = this.#ancestors(id);
    const [nearest] = isDriverError(ancestors) ? [] : ancestors;
    return nearest === undefined || nearest === parent;
  }

  changes(id: string, parent: string): Change[] | DriverError {
    if (!this.#isParent(id, parent)) return naiveChanges(this.#task, this, { id, parent });
    const ancestors = this.#ancestors(id);
    if (isDriverError(ancestors)) return ancestors;
    return branchChanges(
      this.#task,
      this.branchFolder(id),
      ancestors.map((one) => this.branchFolder(one)),
    );
  }

  diffSize(id: string, parent: string): number | DriverError {
    if (!this.#isParent(id, parent)) return naiveDiffSize(this.#task, this, { id, parent });
    return folderSize(this.#task, this.branchFolder(id));
  }

  /** The branch's own files, whiteouts as they are. */
  diff(id: string, parent: string): Content | DriverError {
    if (!this.#isParent(id, parent)) return naiveDiff(this.#host, this, { id, parent });
    return exportTree(this.#task, this.branchFolder(id), "aufs");
  }

  applyDiff(id: string, parent: string, diff: LayerDiff): number | DriverError {
    if (!this.#isParent(id, parent)) return naiveApplyDiff(this.#host, this, { id, diff });
    const failed = unpackInto(this.#host, this.branchFolder(id), diff, "aufs");
    return isDriverError(failed) ? failed : folderSize(this.#task, this.branchFolder(id));
  }

  status(): readonly (readonly [string, string])[] {
    const layers = sortedNames(this.#task, `${this.home}/layers`);
    return [
      ["Root Dir", this.home],
      ["Backing Filesystem", this.#backing],
      ["Dirs", String(isDriverError(layers) ? 0 : layers.length)],
      ["Dirperm1 Supported", String(this.#usesDirperm1())],
    ];
  }

  metadata(): null {
    return null;
  }

  cleanup(): undefined {
    unmountBelow(this.#host, this.home);
  }
}

function wrapped(what: string, error: DriverError): DriverError {
  return new DriverError(`${what}: ${error.message}`, error.errno === undefined ? {} : { errno: error.errno });
}

/** Whether the kernel says that it has aufs. */
function supportsAufs(task: Task): boolean {
  const types = readFile(task, FILESYSTEMS_FILE);
  return !isDriverError(types) && types.split("\n").some((line) => line.includes("aufs"));
}

/** Removes what an earlier daemon had begun to remove. */
function finishRemovals(host: Host, home: string): DriverError | undefined {
  for (const folder of ["mnt", "diff"]) {
    const names = sortedNames(host.task, `${home}/${folder}`);
    if (isDriverError(names)) return names;
    for (const name of names.filter((one) => one.endsWith(REMOVING))) {
      const path = `${home}/${folder}/${name}`;
      const of = lstat(host.task, path);
      // What fails here Docker only logs.
      if (!isDriverError(of) && isDirectory(of)) ensureRemoveAll(host, host.task, path);
    }
  }
  return undefined;
}

/** The daemon's --storage-opt are not looked at. */
function init(context: DriverContext): GraphDriver | DriverError {
  const { host, home, settings } = context;
  if (!supportsAufs(host.task)) return NOT_SUPPORTED;
  const backing = backingName(host.task, home);
  if (INCOMPATIBLE_BACKINGS.has(backing)) return INCOMPATIBLE;
  const { folderMode } = dockerOf(settings);
  const failed =
    makeDirectories(host.task, home, folderMode) ??
    makeDirectories(host.task, `${home}/mnt`, folderMode) ??
    makeDirectories(host.task, `${home}/diff`, folderMode) ??
    makeDirectories(host.task, `${home}/layers`, folderMode) ??
    finishRemovals(host, home);
  return failed ?? new AufsDriver(context, backing);
}

/** The driver aufs. */
export const AUFS: DriverKind = { name: "aufs", deprecated: true, backings: ["ext4", "xfs", "tmpfs"], init };
