/**
 * zfs: every layer a dataset, a child layer a clone of its parent (moby daemon/graphdriver/zfs/zfs.go, v20.10.27; spec/drivers.md §5.7).
 *
 * In the pool: `<fsname>/<id>`, mountpoint=legacy; a clone's snapshot is made for it, marked to be destroyed at once, and lives as long as the
 * clone. On disk: `graph/<id>`, where a layer is mounted while it is in use.
 * Interface: which layers exist is read when the driver starts, and kept in memory. The dataset's rows of the status are those of that moment.
 */
import { isErrno } from "../../sim/core/errno.ts";
import { findDataset } from "../../sim/cow/zfs/commands.ts";
import type { Dataset } from "../../sim/cow/zfs/dsl.ts";
import { columnOf } from "../../sim/cow/zfs/listing.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import type { Host } from "../../sim/host.ts";
import { ZFS_MAGIC } from "../../sim/vfs/magic.ts";
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
  PREREQUISITES,
} from "./driver.ts";
import { exists, makeDirectories, makeDirectory, parentPath } from "./files.ts";
import { magicOf } from "./magic.ts";
import { naiveChanges, naiveDiffSize } from "./naive-diff.ts";
import { parseKeyValue } from "./options.ts";
import { RefCounter } from "./ref-counter.ts";
import { unmountBelow } from "./removal.ts";
import { ZfsCommand, type ZfsCommandError } from "./zfs-command.ts";

/** A second has so many nanoseconds: a snapshot's name is the number of the one at which it is made. */
const NANOSECONDS = 1_000_000_000;

class ZfsDriver implements GraphDriver {
  readonly name = "zfs";
  readonly home: string;
  readonly counters: Record<string, number> = {};
  readonly #host: Host;
  readonly #zfs: ZfsCommand;
  readonly #fsname: string;
  readonly #rows: readonly (readonly [string, string])[];
  readonly #known = new Set<string>();
  readonly #references: RefCounter;

  constructor(context: DriverContext, parent: { readonly pool: Pool; readonly dataset: Dataset }) {
    const { host, home } = context;
    this.#host = host;
    this.home = home;
    this.#zfs = new ZfsCommand(host);
    this.#fsname = parent.dataset.path;
    this.#rows = datasetRows(parent.pool, parent.dataset);
    for (const name of parent.dataset.directory.children.keys()) this.#known.add(`${this.#fsname}/${name}`);
    this.#references = new RefCounter((path) => host.mountedBelow(path).includes(path));
  }

  #dataset(id: string): string {
    return `${this.#fsname}/${id}`;
  }

  #mountPoint(id: string): string {
    return `${this.home}/graph/${id}`;
  }

  create(id: string, parent: string, options: CreateOptions = {}): DriverError | undefined {
    const failed = this.#create(id, parent, options);
    if (failed === undefined || isDriverError(failed)) return failed;
    if (!failed.stderr.endsWith("dataset already exists\n")) return failed.error;
    // A build that was broken off has left it.
    const kept = this.#zfs.destroy(this.#dataset(id), "-R");
    if (kept !== undefined) return kept.error;
    const again = this.#create(id, parent, options);
    return again === undefined || isDriverError(again) ? again : again.error;
  }

  createReadWrite(id: string, parent: string, options: CreateOptions = {}): DriverError | undefined {
    return this.create(id, parent, options);
  }

  #create(id: string, parent: string, options: CreateOptions): ZfsCommandError | DriverError | undefined {
    const quota = quotaOf(options.storage ?? {});
    if (isDriverError(quota)) return quota;
    const name = this.#dataset(id);
    const failed = parent === "" ? this.#zfs.create(name) : this.#clone(name, this.#dataset(parent));
    if (failed !== undefined) return failed;
    this.#known.add(name);
    return quota === "0" ? undefined : this.#zfs.setQuota(name, quota);
  }

  #clone(name: string, parent: string): ZfsCommandError | undefined {
    const snapshot = String(this.#host.random.below(NANOSECONDS));
    const taken = this.#zfs.snapshot(parent, snapshot);
    if (taken !== undefined) return taken;
    const whole = `${parent}@${snapshot}`;
    const failed = this.#zfs.clone(whole, name);
    const kept = this.#zfs.destroy(whole, "-d");
    return failed ?? kept;
  }

  get(id: string, mountLabel = ""): string | DriverError {
    const at = this.#mountPoint(id);
    if (this.#references.increment(at) > 1) return at;
    const failed = this.#mount(id, at, mountLabel);
    if (failed === undefined) return at;
    if (this.#references.decrement(at) <= 0) {
      this.#host.unmount(at, true);
      this.#host.task.rmdir(at);
    }
    return failed;
  }

  #mount(id: string, at: string, label: string): DriverError | undefined {
    const made = makeDirectories(this.#host.task, at, 0o755);
    if (made !== undefined) return made;
    const options = label === "" ? {} : { options: `context="${label}"` };
    const failed = this.#host.mount({ type: "zfs", source: this.#dataset(id), target: at, ...options });
    if (failed !== undefined) {
      return new DriverError(`error creating zfs mount: ${errnoText(failed.errno)}`, { errno: failed.errno });
    }
    // The mounted folder belongs to the daemon's root.
    this.#host.task.chown(at, 0, 0);
    return undefined;
  }

  put(id: string): DriverError | undefined {
    const at = this.#mountPoint(id);
    if (this.#references.decrement(at) > 0) return undefined;
    // What fails here Docker only logs.
    this.#host.unmount(at, true);
    this.#host.task.rmdir(at);
    return undefined;
  }

  remove(id: string): DriverError | undefined {
    const name = this.#dataset(id);
    const failed = this.#zfs.destroy(name, "-r");
    const isGone = failed?.stderr.endsWith("dataset does not exist\n") === true;
    if (failed !== undefined && !isGone) return failed.error;
    this.#known.delete(name);
    return undefined;
  }

  exists(id: string): boolean {
    return this.#known.has(this.#dataset(id));
  }

  changes(id: string, parent: string): Change[] | DriverError {
    return naiveChanges(this.#host.task, this, { id, parent });
  }

  diffSize(id: string, parent: string): number | DriverError {
    return naiveDiffSize(this.#host.task, this, { id, parent });
  }

  status(): readonly (readonly [string, string])[] {
    const health = this.#zfs.health(this.#fsname);
    const pool: readonly (readonly [string, string])[] = [
      ["Zpool", health === undefined ? "error while getting pool information" : (this.#fsname.split("/")[0] ?? "")],
      ["Zpool Health", health ?? "not available"],
    ];
    return [...pool, ...this.#rows];
  }

  metadata(id: string): Readonly<Record<string, string>> {
    return { Mountpoint: this.#mountPoint(id), Dataset: this.#dataset(id) };
  }

  cleanup(): undefined {
    unmountBelow(this.#host, `${this.home}/graph`);
  }
}

/** The option "size" of a container: a quota, as it was given. */
function quotaOf(storage: Readonly<Record<string, string>>): string | DriverError {
  let quota = "0";
  for (const [key, value] of Object.entries(storage)) {
    if (key.toLowerCase() !== "size") return new DriverError(`Unknown option ${key}`);
    quota = value;
  }
  return quota;
}

/** What docker info shows of the parent dataset. */
function datasetRows(pool: Pool, dataset: Dataset): readonly (readonly [string, string])[] {
  const column = (name: string): string => columnOf(pool, dataset, name);
  const quota = column("quota");
  return [
    ["Parent Dataset", dataset.path],
    ["Space Used By Parent", column("used")],
    ["Space Available", column("available")],
    ["Parent Quota", quota === "0" ? "no" : quota],
    ["Compression", column("compression")],
  ];
}

/** The dataset under which layers are made: the option zfs.fsname, else the one that Docker's folder lies on. */
function parentName(host: Host, home: string, options: readonly string[]): string | DriverError {
  let name = "";
  for (const option of options) {
    const parsed = parseKeyValue(option);
    if (isDriverError(parsed)) return parsed;
    if (parsed.key !== "zfs.fsname") return new DriverError(`Unknown option ${parsed.key}`);
    name = parsed.value;
  }
  if (name !== "") return name;
  const root = exists(host.task, home) ? home : parentPath(home);
  if (magicOf(host.task, root) !== ZFS_MAGIC) return PREREQUISITES;
  const place = host.task.resolve(root);
  if (isErrno(place)) return new DriverError(`Failed to find zfs dataset mounted on '${root}' in /proc/mounts`);
  return place.mount.fs.label;
}

function init(context: DriverContext): GraphDriver | DriverError {
  const { host, home } = context;
  // Without an imported pool the kernel module is not loaded, and there is no /dev/zfs.
  if (host.pools.size === 0) return PREREQUISITES;
  const name = parentName(host, home, context.options);
  if (isDriverError(name)) return name;
  const pool = new ZfsCommand(host).pool(name);
  const dataset = pool === undefined ? undefined : findDataset(pool, name);
  if (pool === undefined || dataset === undefined) {
    return new DriverError(`Cannot find root filesystem ${name}: cannot open '${name}': dataset does not exist`);
  }
  const { folderMode } = dockerOf(context.settings);
  const made = makeDirectories(host.task, home, folderMode) ?? makeDirectory(host.task, `${home}/graph`, folderMode);
  return made ?? new ZfsDriver(context, { pool, dataset });
}

/** The driver zfs. */
export const ZFS: DriverKind = { name: "zfs", deprecated: false, backings: ["zfs"], init };
