/**
 * vfs: every layer a full copy of its parent (moby daemon/graphdriver/vfs, v20.10.27). Works on every filesystem.
 *
 * On disk: `dir/<id>/`, the layer's whole tree. `dir` is 0710, a base layer's folder 0755; that of a copy is as its parent's.
 * Where the backing filesystem keeps limits of projects, a container's folder can have a size, its copy of the image included.
 * Interface: Get is the folder itself; Put does nothing; there is no status and no metadata. Create of an id that exists goes on in
 * its folder. A failed Create leaves what it has made.
 */
import type { Task } from "../../sim/vfs/task.ts";
import { copyTree, type TreeCopyCounters } from "./dir-copy.ts";
import { type DockerProfile, dockerOf } from "./docker-profile.ts";
import {
  type Change,
  type CreateOptions,
  type DriverContext,
  DriverError,
  type DriverKind,
  type GraphDriver,
  isDriverError,
} from "./driver.ts";
import { exists, isDirectory, makeDirectories, makeDirectory, stat } from "./files.ts";
import { naiveChanges, naiveDiffSize } from "./naive-diff.ts";
import { parseExactly, parseSize, QUOTA_NOT_SUPPORTED } from "./options.ts";
import { QuotaControl } from "./quota-control.ts";
import { ensureRemoveAll } from "./removal.ts";

class VfsDriver implements GraphDriver {
  readonly name = "vfs";
  readonly home: string;
  readonly counters: TreeCopyCounters & Record<string, number> = { treeCopyFiles: 0, treeCopyBytes: 0 };
  readonly #context: DriverContext;
  readonly #task: Task;
  readonly #docker: DockerProfile;
  /** Undefined: the backing filesystem keeps no limits. */
  readonly #quota: QuotaControl | undefined;
  /** Of containers that ask for none, in bytes; 0: no limit. */
  readonly #defaultSize: number;

  constructor(context: DriverContext, limits: { quota: QuotaControl | undefined; size: number }) {
    this.#quota = limits.quota;
    this.#defaultSize = limits.size;
    this.#context = context;
    this.#docker = dockerOf(context.settings);
    this.#task = context.host.task;
    this.home = context.home;
  }

  #folder(id: string): string {
    return `${this.home}/dir/${id}`;
  }

  create(id: string, parent: string, options: CreateOptions = {}): DriverError | undefined {
    if (Object.keys(options.storage ?? {}).length > 0) {
      const where = this.#docker.vfsQuota ? " on read-only layers" : "";
      return new DriverError(`--storage-opt is not supported for vfs${where}`);
    }
    return this.#create(id, parent, 0);
  }

  createReadWrite(id: string, parent: string, options: CreateOptions = {}): DriverError | undefined {
    if (!this.#docker.vfsQuota) return this.create(id, parent, options);
    let size = this.#defaultSize;
    for (const [key, value] of Object.entries(options.storage ?? {})) {
      if (key !== "size") return new DriverError(`Storage opt ${key} not supported`);
      if (this.#quota === undefined) return QUOTA_NOT_SUPPORTED;
      const parsed = parseSize(value);
      if (isDriverError(parsed)) return parsed;
      size = parsed;
    }
    return this.#create(id, parent, size);
  }

  #create(id: string, parent: string, size: number): DriverError | undefined {
    const folder = this.#folder(id);
    const failed =
      makeDirectories(this.#task, `${this.home}/dir`, this.#docker.folderMode) ??
      makeDirectory(this.#task, folder, 0o755) ??
      (size > 0 ? this.#quota?.setQuota(folder, size) : undefined);
    if (failed !== undefined || parent === "") return failed;
    const source = this.get(parent);
    if (isDriverError(source)) return new DriverError(`${parent}: ${source.message}`);
    const engine = this.#context.settings.treeCopy ?? "docker";
    const how = { task: this.#task, engine, counters: this.counters };
    return copyTree(this.#context.host, { source, target: folder }, how);
  }

  get(id: string): string | DriverError {
    const folder = this.#folder(id);
    const of = stat(this.#task, folder);
    if (isDriverError(of)) return of;
    return isDirectory(of) ? folder : new DriverError(`${folder}: not a directory`);
  }

  put(): undefined {}

  remove(id: string): DriverError | undefined {
    return ensureRemoveAll(this.#context.host, this.#task, this.#folder(id));
  }

  exists(id: string): boolean {
    return exists(this.#task, this.#folder(id));
  }

  changes(id: string, parent: string): Change[] | DriverError {
    return naiveChanges(this.#task, this, { id, parent });
  }

  diffSize(id: string, parent: string): number | DriverError {
    return naiveDiffSize(this.#task, this, { id, parent });
  }

  status(): readonly (readonly [string, string])[] {
    return [];
  }

  metadata(): null {
    return null;
  }

  cleanup(): undefined {}
}

function init(context: DriverContext): GraphDriver | DriverError {
  const { host, home, settings } = context;
  const docker = dockerOf(settings);
  let size = 0;
  for (const option of context.options) {
    const parsed = parseExactly(option);
    if (isDriverError(parsed)) return parsed;
    if (parsed.key !== "size") return new DriverError(`unknown option ${parsed.key} for vfs`);
    const given = parseSize(parsed.value);
    if (isDriverError(given)) return given;
    size = given;
  }
  const failed = makeDirectories(host.task, home, docker.folderMode);
  if (failed !== undefined) return failed;
  // What else goes wrong here Docker only logs.
  const control = docker.vfsQuota ? QuotaControl.start(host.task, home) : undefined;
  const quota = isDriverError(control) ? undefined : control;
  return size > 0 && quota === undefined ? QUOTA_NOT_SUPPORTED : new VfsDriver(context, { quota, size });
}

/** The driver vfs. */
export const VFS: DriverKind = { name: "vfs", deprecated: false, init };
