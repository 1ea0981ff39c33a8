/**
 * overlay2: each layer a folder, its tree a union mount of the folders of its chain (moby daemon/graphdriver/overlay2, v20.10.27).
 *
 * On disk, below the home (0710): `l/<26 characters>` → `../<id>/diff`, so that a chain's mount option stays short; and for each layer
 * `<id>/` (0710) with `diff/` (what it holds itself), `link` (its name in l/), and, where it has a parent, `lower` (the chain's links,
 * nearest first, joined by ":") and `work/`; `merged/` while it is mounted; `committed` once it is a parent.
 *
 * On xfs the home holds the node `backingFsBlockDev`, and with `-o pquota` a container's folder can have a size: what its own layer may take.
 *
 * Interface: Get of a base layer is `diff` itself; of a layer that is a parent, a read-only union. Mounts are counted: the first Get
 * mounts, the last Put unmounts. Remove looks at no children. A failed Create removes `<id>`, but not its link in l/.
 */
import type { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import type { Host } from "../../sim/host.ts";
import { OVERLAYFS_MAGIC } from "../../sim/vfs/magic.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { exportTree } from "../archive/export.ts";
import type { LayerDiff } from "../archive/unpack.ts";
import { type DockerProfile, dockerOf, type Overlay2Row } from "./docker-profile.ts";
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
} from "./driver.ts";
import { exists, lstat, makeDirectories, makeDirectory, readFile, removeAll, stat, writeFile } from "./files.ts";
import { folderSize } from "./folder-size.ts";
import { naiveApplyDiff, naiveDiff, unpackInto } from "./layer-diff.ts";
import { LINK_BYTES, linkName } from "./link-name.ts";
import { backingName, magicOf } from "./magic.ts";
import { naiveChanges, naiveDiffSize } from "./naive-diff.ts";
import { parseBool, parseKeyValue, parseSize, unionMountOptions } from "./options.ts";
import { checkOverlayHome, nativeDiffObstacle, usesMetacopy } from "./overlay-check.ts";
import { QuotaControl } from "./quota-control.ts";
import { RefCounter } from "./ref-counter.ts";
import { ensureRemoveAll, unmountBelow } from "./removal.ts";
import { overlayBranchChanges } from "./union-changes.ts";

/** The most layers below one: 128 links of 29 characters fit the mount options' page with room for the rest. */
const LOWERS_MAX = 128;
/** mount(2) copies one page of options, with its terminating NUL. */
const MOUNT_DATA_MAX = 4095;
/** A kernel that knows the option "index" has this file. */
const INDEX_PARAMETER = "/sys/module/overlay/parameters/index";

/** What a driver found out as it started. */
interface Found {
  readonly backing: string;
  /** Whether entries of the backing filesystem tell their type. */
  readonly types: boolean;
  /** Whether a file whose bits alone change is copied without its data; false in a Docker that does not ask. */
  readonly metacopy: boolean;
  /** Options before lowerdir in every mount, such as "index=off". */
  readonly mountOptions: readonly string[];
  /** Undefined: the backing filesystem keeps no limits. */
  readonly quota: QuotaControl | undefined;
  /** Of containers that ask for no size, in bytes; 0: no limit. */
  readonly defaultSize: number;
}

/** A layer's folders and files. */
interface LayerPaths {
  readonly top: string;
  readonly diff: string;
  readonly work: string;
  readonly merged: string;
  readonly lower: string;
  readonly link: string;
  readonly committed: string;
}

class Overlay2Driver implements GraphDriver {
  readonly name = "overlay2";
  readonly home: string;
  readonly counters: Record<string, number> = {};
  readonly #host: Host;
  readonly #task: Task;
  readonly #found: Found;
  readonly #docker: DockerProfile;
  readonly #references: RefCounter;
  /** Whether upper folders tell differences; found out at the first question. */
  #native: boolean | undefined;

  constructor(context: DriverContext, found: Found) {
    this.home = context.home;
    this.#host = context.host;
    this.#task = context.host.task;
    this.#found = found;
    this.#docker = dockerOf(context.settings);
    this.#references = new RefCounter((path) => magicOf(this.#task, path) === OVERLAYFS_MAGIC);
  }

  #paths(id: string): LayerPaths {
    const top = `${this.home}/${id}`;
    const at = (name: string): string => `${top}/${name}`;
    return {
      top,
      diff: at("diff"),
      work: at("work"),
      merged: at("merged"),
      lower: at("lower"),
      link: at("link"),
      committed: at("committed"),
    };
  }

  create(id: string, parent: string, options: CreateOptions = {}): DriverError | undefined {
    if (options.storage?.["size"] !== undefined) {
      return new DriverError("--storage-opt size is only supported for ReadWrite Layers");
    }
    return this.#create(id, parent, options);
  }

  createReadWrite(id: string, parent: string, options: CreateOptions = {}): DriverError | undefined {
    const { storage = {} } = options;
    const { quota, defaultSize } = this.#found;
    if ((storage["size"] !== undefined || defaultSize > 0) && quota === undefined) {
      return new DriverError("--storage-opt is supported only for overlay over xfs with 'pquota' mount option");
    }
    const isLimited = defaultSize > 0 && storage["size"] === undefined;
    return this.#create(id, parent, isLimited ? { ...options, storage: { ...storage, size: String(defaultSize) } } : options);
  }

  #create(id: string, parent: string, options: CreateOptions): DriverError | undefined {
    const paths = this.#paths(id);
    const { folderMode } = this.#docker;
    const failed = makeDirectories(this.#task, this.home, folderMode) ?? makeDirectory(this.#task, paths.top, folderMode);
    if (failed !== undefined) return failed;
    const unfinished = this.#fill(paths, id, parent, options);
    if (unfinished !== undefined) removeAll(this.#task, paths.top);
    return unfinished;
  }

  #fill(paths: LayerPaths, id: string, parent: string, options: CreateOptions): DriverError | undefined {
    const failed =
      this.#limit(paths, options.storage ?? {}) ?? makeDirectory(this.#task, paths.diff, 0o755) ?? this.#makeLink(paths, id);
    if (failed !== undefined || parent === "") return failed;
    return (
      makeDirectory(this.#task, paths.work, 0o700) ??
      (this.#docker.marksCommitted
        ? writeFile(this.#task, this.#paths(parent).committed, { text: "", mode: 0o600 })
        : undefined) ??
      this.#writeLower(paths, parent)
    );
  }

  /** Gives a layer's folder the size that its options ask for. */
  #limit(paths: LayerPaths, storage: Readonly<Record<string, string>>): DriverError | undefined {
    let size = 0;
    for (const [given, value] of Object.entries(storage)) {
      const key = given.toLowerCase();
      if (key !== "size") return new DriverError(`Unknown option ${key}`);
      const parsed = parseSize(value);
      if (isDriverError(parsed)) return parsed;
      size = parsed;
    }
    return size > 0 ? this.#found.quota?.setQuota(paths.top, size) : undefined;
  }

  #makeLink(paths: LayerPaths, id: string): DriverError | undefined {
    const name = linkName(this.#host.random.bytes(LINK_BYTES));
    const at = `${this.home}/l/${name}`;
    const made = this.#task.symlink(`../${id}/diff`, at);
    if (made !== undefined) return pathError("symlink", `../${id}/diff ${at}`, made);
    return writeFile(this.#task, paths.link, { text: name, mode: 0o644 });
  }

  #writeLower(paths: LayerPaths, parent: string): DriverError | undefined {
    const above = this.#paths(parent);
    const there = lstat(this.#task, above.top);
    if (isDriverError(there)) return there;
    const link = readFile(this.#task, above.link);
    if (isDriverError(link)) return link;
    const lowers = [`l/${link}`, ...this.#lowers(above)];
    if (lowers.length > LOWERS_MAX) return new DriverError("max depth exceeded");
    return writeFile(this.#task, paths.lower, { text: lowers.join(":"), mode: 0o666 });
  }

  /** The chain below a layer, nearest first, as links relative to the home; nothing below a base layer. */
  #lowers(paths: LayerPaths): string[] {
    const text = readFile(this.#task, paths.lower);
    return isDriverError(text) ? [] : text.split(":");
  }

  get(id: string, mountLabel = ""): string | DriverError {
    const paths = this.#paths(id);
    const there = stat(this.#task, paths.top);
    if (isDriverError(there)) return there;
    if (!exists(this.#task, paths.lower)) return paths.diff;
    if (this.#references.increment(paths.merged) > 1) return paths.merged;
    const failed = this.#mount(paths, id, mountLabel);
    if (failed === undefined) return paths.merged;
    if (this.#references.decrement(paths.merged) <= 0) {
      this.#host.unmount(paths.merged);
      this.#task.rmdir(paths.merged);
    }
    return failed;
  }

  /** The options of a layer's mount; `at` gives the path of a folder of the home. */
  #mountData(how: { paths: LayerPaths; id: string; readOnly: boolean; label: string }, at: (path: string) => string): string {
    const lowers = this.#lowers(how.paths).map(at);
    const options = how.readOnly
      ? [`lowerdir=${[at(`${how.id}/diff`), ...lowers].join(":")}`]
      : [`lowerdir=${lowers.join(":")}`, `upperdir=${at(`${how.id}/diff`)}`, `workdir=${at(`${how.id}/work`)}`];
    const label = how.label === "" ? [] : [`context="${how.label}"`];
    return [...this.#found.mountOptions, ...options, ...label].join(",");
  }

  #mount(paths: LayerPaths, id: string, label: string): DriverError | undefined {
    const readOnly = exists(this.#task, paths.committed);
    const made = makeDirectory(this.#task, paths.merged, 0o700);
    if (made !== undefined) return made;
    const how = { paths, id, readOnly, label };
    let options = this.#mountData(how, (path) => `${this.home}/${path}`);
    let directory = "/";
    if (options.length > MOUNT_DATA_MAX) {
      // Too long with absolute paths: a process whose working directory is the home mounts with relative ones.
      options = this.#mountData(how, (path) => path);
      directory = this.home;
      if (options.length > MOUNT_DATA_MAX) {
        return new DriverError(`cannot mount layer, mount label too large ${options.length}`);
      }
    }
    const failed = this.#host.mount({ type: "overlay", source: "overlay", target: paths.merged, options, directory });
    if (failed !== undefined) {
      const text = `error creating overlay mount to ${paths.merged}: ${errnoText(failed.errno)}`;
      return new DriverError(text, { errno: failed.errno });
    }
    const owned = readOnly ? undefined : this.#task.chown(`${paths.work}/work`, 0, 0);
    return owned === undefined ? undefined : pathError("chown", `${paths.work}/work`, owned);
  }

  put(id: string): DriverError | undefined {
    const paths = this.#paths(id);
    if (!exists(this.#task, paths.lower)) return undefined;
    if (this.#references.decrement(paths.merged) > 0) return undefined;
    // What fails here Docker only logs.
    this.#host.unmount(paths.merged, true);
    this.#task.rmdir(paths.merged);
    return undefined;
  }

  remove(id: string): DriverError | undefined {
    if (id === "") return new DriverError("refusing to remove the directories: id is empty");
    const paths = this.#paths(id);
    const link = readFile(this.#task, paths.link);
    if (!isDriverError(link) && link !== "") removeAll(this.#task, `${this.home}/l/${link}`);
    return ensureRemoveAll(this.#host, this.#task, paths.top);
  }

  exists(id: string): boolean {
    return exists(this.#task, this.#paths(id).top);
  }

  changes(id: string, parent: string): Change[] | DriverError {
    const { overlayChanges } = this.#docker;
    if (overlayChanges === "trees" || !this.#usesNativeDiff() || !this.#isParent(id, parent))
      return naiveChanges(this.#task, this, { id, parent });
    const lowers = this.#lowerFolders(id);
    return isDriverError(lowers) ? lowers : overlayBranchChanges(this.#task, this.#paths(id).diff, lowers);
  }

  diffSize(id: string, parent: string): number | DriverError {
    if (!this.#usesNativeDiff() || !this.#isParent(id, parent)) return naiveDiffSize(this.#task, this, { id, parent });
    return folderSize(this.#task, this.#paths(id).diff);
  }

  diff(id: string, parent: string): Content | DriverError {
    if (!this.#usesNativeDiff() || !this.#isParent(id, parent)) return naiveDiff(this.#host, this, { id, parent });
    return exportTree(this.#task, this.#paths(id).diff, "overlay");
  }

  applyDiff(id: string, parent: string, diff: LayerDiff): number | DriverError {
    const isNaive = this.#docker.naiveApplyDiff && !this.#usesNativeDiff();
    if (isNaive || !this.#isParent(id, parent)) return naiveApplyDiff(this.#host, this, { id, diff });
    const folder = this.#paths(id).diff;
    const failed = unpackInto(this.#host, folder, diff, "overlay");
    return isDriverError(failed) ? failed : folderSize(this.#task, folder);
  }

  #usesNativeDiff(): boolean {
    this.#native ??= nativeDiffObstacle(this.#host, this.home, this.#found.mountOptions) === undefined;
    return this.#native;
  }

  /** The folders of the chain below a layer, their links resolved. */
  #lowerFolders(id: string): string[] | DriverError {
    const folders: string[] = [];
    for (const link of this.#lowers(this.#paths(id))) {
      const at = `${this.home}/${link}`;
      const target = this.#task.readlink(at);
      if (isErrno(target)) return pathError("readlink", at, target);
      folders.push(target.replace("..", this.home));
    }
    return folders;
  }

  #isParent(id: string, parent: string): boolean {
    const folders = this.#lowerFolders(id);
    if (isDriverError(folders)) return false;
    const [nearest] = folders;
    if (nearest === undefined) return parent === "";
    return nearest === this.#paths(parent).diff;
  }

  status(): readonly (readonly [string, string])[] {
    const values: Readonly<Record<Overlay2Row, string>> = {
      "Backing Filesystem": this.#found.backing,
      "Supports d_type": String(this.#found.types),
      "Using metacopy": String(this.#found.metacopy),
      "Native Overlay Diff": String(this.#usesNativeDiff()),
      userxattr: "false",
    };
    return this.#docker.overlay2Rows.map((label) => [label, values[label]]);
  }

  metadata(id: string): Readonly<Record<string, string>> | DriverError {
    const paths = this.#paths(id);
    const there = stat(this.#task, paths.top);
    if (isDriverError(there)) return there;
    const lowers = this.#lowerFolders(id);
    if (isDriverError(lowers)) return lowers;
    return {
      ...(lowers.length > 0 ? { LowerDir: lowers.join(":") } : {}),
      MergedDir: paths.merged,
      UpperDir: paths.diff,
      WorkDir: paths.work,
    };
  }

  cleanup(): undefined {
    unmountBelow(this.#host, this.home);
  }
}

/** Reads the daemon's options. @returns the size of containers that ask for none; 0: no limit. */
function defaultSizeOf(options: readonly string[]): number | DriverError {
  let size = 0;
  for (const option of options) {
    const parsed = parseKeyValue(option);
    if (isDriverError(parsed)) return parsed;
    const { key, value } = parsed;
    if (key === "overlay2.override_kernel_check") {
      const flag = parseBool(value);
      if (isDriverError(flag)) return flag;
    } else if (key === "overlay2.size") {
      const given = parseSize(value);
      if (isDriverError(given)) return given;
      size = given;
    } else return new DriverError(`overlay2: unknown option ${key}`);
  }
  return size;
}

/** Project quotas are tried on xfs alone. @returns undefined where there are none, and no size asks for them. */
function startQuota({ host, home }: DriverContext, backing: string, size: number): QuotaControl | DriverError | undefined {
  if (backing !== "xfs") {
    if (size === 0) return undefined;
    return new DriverError(`Storage Option overlay2.size only supported for backingFS XFS. Found ${backing}`);
  }
  const quota = QuotaControl.start(host.task, home);
  if (!isDriverError(quota)) return quota;
  if (size === 0) return undefined;
  return new DriverError(
    `Storage option overlay2.size not supported. Filesystem does not support Project Quota: ${quota.message}`,
  );
}

function init(context: DriverContext): GraphDriver | DriverError {
  const { host, home, settings } = context;
  const backing = backingName(host.task, home);
  const defaultSize = defaultSizeOf(context.options);
  if (isDriverError(defaultSize)) return defaultSize;
  const { indexOff, needsTypes, folderMode, overlay2Rows } = dockerOf(settings);
  const types = checkOverlayHome(host, home, { name: "overlay2", backing, lowers: ["lower2", "lower1"], needsTypes });
  if (isDriverError(types)) return types;
  const usual = indexOff && exists(host.task, INDEX_PARAMETER) ? "index=off" : "";
  const mountOptions = unionMountOptions(settings, usual);
  const metacopy = overlay2Rows.includes("Using metacopy") && usesMetacopy(host, home, mountOptions);
  if (isDriverError(metacopy)) return metacopy;
  const failed = makeDirectories(host.task, home, folderMode) ?? makeDirectory(host.task, `${home}/l`, 0o700);
  if (failed !== undefined) return failed;
  const quota = startQuota(context, backing, defaultSize);
  if (isDriverError(quota)) return quota;
  return new Overlay2Driver(context, { backing, types, metacopy, mountOptions, quota, defaultSize });
}

/** The driver overlay2. */
export const OVERLAY2: DriverKind = { name: "overlay2", deprecated: false, init };
