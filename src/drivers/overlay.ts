/**
 * overlay: each image layer a whole tree whose files are hard links to its parent's, each container a union mount of one such tree and
 * an upper folder (moby daemon/graphdriver/overlay, v20.10.27; spec/drivers.md 5.4).
 *
 * On disk, below the home: `<id>/` (0710) with `root/`, an image layer's whole tree; or, for a container, `upper/`, `work/` and
 * `lower-id` (the id of the image layer below), and `merged/` while it is mounted.
 *
 * Interface: Get of an image layer is `root` itself, writable and not mounted. A layer made over one without a root (Docker: over a
 * container's init layer) starts with a copy of that one's upper folder. Mounts are counted; a Put cannot fail. Remove looks at no
 * children. A failed Create removes `<id>`.
 */
import type { Host } from "../../sim/host.ts";
import { OVERLAYFS_MAGIC } from "../../sim/vfs/magic.ts";
import type { Task } from "../../sim/vfs/task.ts";
import type { LayerDiff } from "../archive/unpack.ts";
import { copyTree, type TreeCopyCounters } from "./dir-copy.ts";
import { dockerOf } from "./docker-profile.ts";
import {
  type Change,
  type CreateOptions,
  type DriverContext,
  DriverError,
  type DriverKind,
  errnoText,
  type GraphDriver,
  isDriverError,
  pathError,
  type TreeCopyEngine,
} from "./driver.ts";
import { exists, lstat, makeDirectories, makeDirectory, readFile, removeAll, rename, stat, writeFile } from "./files.ts";
import { naiveApplyDiff, unpackInto } from "./layer-diff.ts";
import { backingName, magicOf } from "./magic.ts";
import { naiveChanges, naiveDiffSize } from "./naive-diff.ts";
import { parseKeyValue, unionMountOptions } from "./options.ts";
import { checkOverlayHome } from "./overlay-check.ts";
import { layUpper } from "./overlay-layers.ts";
import { RefCounter } from "./ref-counter.ts";
import { ensureRemoveAll, unmountBelow } from "./removal.ts";

/** A layer's folders and files. */
interface LayerPaths {
  readonly top: string;
  readonly root: string;
  readonly upper: string;
  readonly work: string;
  readonly merged: string;
  readonly lowerId: string;
}

/** What the driver found below its home. */
interface FoundBelow {
  /** Docker's name of the filesystem. */
  readonly backing: string;
  /** Whether its entries tell their type. */
  readonly types: boolean;
}

class OverlayDriver implements GraphDriver {
  readonly name = "overlay";
  readonly home: string;
  readonly counters: TreeCopyCounters & Record<string, number> = { treeCopyFiles: 0, treeCopyBytes: 0 };
  readonly #host: Host;
  readonly #task: Task;
  readonly #found: FoundBelow;
  /** Further options of every mount. */
  readonly #mountOptions: readonly string[];
  readonly #engine: TreeCopyEngine;
  readonly #folderMode: number;
  readonly #references: RefCounter;

  constructor(context: DriverContext, found: FoundBelow) {
    this.home = context.home;
    this.#host = context.host;
    this.#task = context.host.task;
    this.#found = found;
    this.#mountOptions = unionMountOptions(context.settings, "");
    this.#folderMode = dockerOf(context.settings).folderMode;
    this.#engine = context.settings.treeCopy ?? "docker";
    this.#references = new RefCounter((path) => magicOf(this.#task, path) === OVERLAYFS_MAGIC);
  }

  #paths(id: string): LayerPaths {
    const top = `${this.home}/${id}`;
    const at = (name: string): string => `${top}/${name}`;
    return { top, root: at("root"), upper: at("upper"), work: at("work"), merged: at("merged"), lowerId: at("lower-id") };
  }

  create(id: string, parent: string, options: CreateOptions = {}): DriverError | undefined {
    return this.createReadWrite(id, parent, options);
  }

  createReadWrite(id: string, parent: string, options: CreateOptions = {}): DriverError | undefined {
    if (Object.keys(options.storage ?? {}).length > 0) return new DriverError("--storage-opt is not supported for overlay");
    const paths = this.#paths(id);
    const failed =
      makeDirectories(this.#task, this.home, this.#folderMode) ?? makeDirectory(this.#task, paths.top, this.#folderMode);
    if (failed !== undefined) return failed;
    const unfinished = parent === "" ? makeDirectory(this.#task, paths.root, 0o755) : this.#fill(paths, parent);
    if (unfinished !== undefined) removeAll(this.#task, paths.top);
    return unfinished;
  }

  #fill(paths: LayerPaths, parent: string): DriverError | undefined {
    const above = this.#paths(parent);
    const there = lstat(this.#task, above.top);
    if (isDriverError(there)) return there;
    const root = lstat(this.#task, above.root);
    if (isDriverError(root)) return this.#fillFromUpper(paths, above);
    return (
      makeDirectory(this.#task, paths.upper, root.mode & 0o7777) ??
      makeDirectory(this.#task, paths.work, 0o700) ??
      writeFile(this.#task, paths.lowerId, { text: parent, mode: 0o600 })
    );
  }

  /** Over a layer that is no image layer: the same image layer below, and a copy of its upper folder. */
  #fillFromUpper(paths: LayerPaths, above: LayerPaths): DriverError | undefined {
    const lower = readFile(this.#task, above.lowerId);
    if (isDriverError(lower)) return lower;
    const upper = lstat(this.#task, above.upper);
    if (isDriverError(upper)) return upper;
    return (
      writeFile(this.#task, paths.lowerId, { text: lower, mode: 0o600 }) ??
      makeDirectory(this.#task, paths.upper, upper.mode & 0o7777) ??
      makeDirectory(this.#task, paths.work, 0o700) ??
      this.#copy(above.upper, paths.upper, false)
    );
  }

  #copy(source: string, target: string, links: boolean): DriverError | undefined {
    const how = { task: this.#task, engine: this.#engine, counters: this.counters, links };
    return copyTree(this.#host, { source, target }, how);
  }

  get(id: string): string | DriverError {
    const paths = this.#paths(id);
    const there = stat(this.#task, paths.top);
    if (isDriverError(there)) return there;
    if (exists(this.#task, paths.root)) return paths.root;
    if (this.#references.increment(paths.merged) > 1) return paths.merged;
    const failed = this.#mount(paths);
    if (failed === undefined) return paths.merged;
    if (this.#references.decrement(paths.merged) <= 0) {
      this.#host.unmount(paths.merged);
      this.#task.rmdir(paths.merged);
    }
    return failed;
  }

  #mount(paths: LayerPaths): DriverError | undefined {
    const lower = readFile(this.#task, paths.lowerId);
    if (isDriverError(lower)) return lower;
    const made = makeDirectory(this.#task, paths.merged, 0o700);
    if (made !== undefined) return made;
    const layers = `lowerdir=${this.#paths(lower).root},upperdir=${paths.upper},workdir=${paths.work}`;
    const options = [layers, ...this.#mountOptions].join(",");
    const failed = this.#host.mount({ type: "overlay", source: "overlay", target: paths.merged, options });
    if (failed !== undefined) {
      const text = `error creating overlay mount to ${paths.merged}: ${errnoText(failed.errno)}`;
      return new DriverError(text, { errno: failed.errno });
    }
    const owned = this.#task.chown(`${paths.work}/work`, 0, 0);
    return owned === undefined ? undefined : pathError("chown", `${paths.work}/work`, owned);
  }

  put(id: string): undefined {
    const paths = this.#paths(id);
    if (exists(this.#task, paths.root)) return;
    if (this.#references.decrement(paths.merged) > 0) return;
    // What fails here Docker only logs.
    this.#host.unmount(paths.merged, true);
    this.#task.rmdir(paths.merged);
  }

  /** ApplyDiff of a layer's own difference onto hard links of its parent's tree; the experiment's recorder keeps the upper folder. */
  commit(id: string): DriverError | undefined {
    const paths = this.#paths(id);
    if (exists(this.#task, paths.root)) return undefined;
    const lower = readFile(this.#task, paths.lowerId);
    if (isDriverError(lower)) return lower;
    const how = { task: this.#task, engine: this.#engine, counters: this.counters };
    const failed = this.#makeRoot(paths, lower, (building) => layUpper({ upper: paths.upper, root: building }, how));
    return failed !== undefined || this.#engine === "all" ? failed : this.#dropUpper(paths);
  }

  /** Over an image layer: hard links of its tree, the difference unpacked onto them. */
  applyDiff(id: string, parent: string, diff: LayerDiff): number | DriverError {
    const paths = this.#paths(id);
    if (parent === "" || exists(this.#task, paths.root) || !exists(this.#task, this.#paths(parent).root)) {
      return naiveApplyDiff(this.#host, this, { id, diff });
    }
    let size = 0;
    const failed = this.#makeRoot(paths, parent, (building) => {
      const unpacked = unpackInto(this.#host, building, diff, "merge");
      if (isDriverError(unpacked)) return unpacked;
      size = unpacked;
      return undefined;
    });
    return failed ?? this.#dropUpper(paths) ?? size;
  }

  /** Makes the layer's whole tree beside it: hard links of a parent's, changed by `fill`, then put in its place. */
  #makeRoot(paths: LayerPaths, parent: string, fill: (building: string) => DriverError | undefined): DriverError | undefined {
    const building = `${paths.top}/tmproot${this.#host.random.uint32()}`;
    const failed =
      this.#copy(this.#paths(parent).root, building, true) ?? fill(building) ?? rename(this.#task, building, paths.root);
    if (failed !== undefined) removeAll(this.#task, building);
    return failed;
  }

  /** Removes what a layer with a whole tree needs no more. */
  #dropUpper(paths: LayerPaths): DriverError | undefined {
    return [paths.upper, paths.work, paths.merged, paths.lowerId].reduce<DriverError | undefined>(
      (error, path) => error ?? removeAll(this.#task, path),
      undefined,
    );
  }

  remove(id: string): DriverError | undefined {
    if (id === "") return new DriverError("refusing to remove the directories: id is empty");
    return ensureRemoveAll(this.#host, this.#task, this.#paths(id).top);
  }

  exists(id: string): boolean {
    return exists(this.#task, this.#paths(id).top);
  }

  changes(id: string, parent: string): Change[] | DriverError {
    return naiveChanges(this.#task, this, { id, parent });
  }

  diffSize(id: string, parent: string): number | DriverError {
    return naiveDiffSize(this.#task, this, { id, parent });
  }

  status(): readonly (readonly [string, string])[] {
    return [
      ["Backing Filesystem", this.#found.backing],
      ["Supports d_type", String(this.#found.types)],
    ];
  }

  metadata(id: string): Readonly<Record<string, string>> | DriverError {
    const paths = this.#paths(id);
    const there = stat(this.#task, paths.top);
    if (isDriverError(there)) return there;
    const image = exists(this.#task, paths.root) ? { RootDir: paths.root } : {};
    const lower = readFile(this.#task, paths.lowerId);
    if (isDriverError(lower)) return "RootDir" in image ? image : lower;
    const { merged, upper, work } = paths;
    return { ...image, LowerDir: this.#paths(lower).root, MergedDir: merged, UpperDir: upper, WorkDir: work };
  }

  cleanup(): undefined {
    unmountBelow(this.#host, this.home);
  }
}

function init(context: DriverContext): GraphDriver | DriverError {
  const { host, home } = context;
  for (const option of context.options) {
    const parsed = parseKeyValue(option);
    return isDriverError(parsed) ? parsed : new DriverError(`overlay: unknown option ${parsed.key}`);
  }
  const backing = backingName(host.task, home);
  const { needsTypes, folderMode } = dockerOf(context.settings);
  const types = checkOverlayHome(host, home, { name: "overlay", backing, lowers: ["lower"], needsTypes });
  if (isDriverError(types)) return types;
  return makeDirectories(host.task, home, folderMode) ?? new OverlayDriver(context, { backing, types });
}

/** The driver overlay. */
export const OVERLAY: DriverKind = { name: "overlay", deprecated: true, init };
