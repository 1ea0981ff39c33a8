/**
 * layerdb: what Docker keeps of layers and mounts beside the driver, as small files on the host (moby v20.10.27 layer/filestore.go;
 * spec/drivers.md §7.2).
 *
 * On disk, below `<root>/layerdb`: `sha256/<chain>/{cache-id,diff,parent,size,tar-split.json.gz}`, `mounts/<name>/{mount-id,init-id,parent}`,
 * and `tmp/` for what is not finished. A new layer's folder gets its name by one rename.
 */
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import type { Host } from "../../sim/host.ts";
import { O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY } from "../../sim/vfs/filesystem.ts";
import { writeAll } from "../calls/write-all.ts";
import { type DriverError, isDriverError, pathError } from "../drivers/driver.ts";
import { makeDirectories, makeDirectory, readFile, removeAll, rename, sortedNames, stat, writeFile } from "../drivers/files.ts";

/** What the folder of a layer says. */
export interface LayerRecord {
  readonly chainId: string;
  readonly diffId: string;
  readonly cacheId: string;
  /** The chain below; absent of a base layer. */
  readonly parent: string | undefined;
  /** Bytes as the driver's ApplyDiff told them. */
  readonly size: number;
}

export interface MountRecord {
  readonly name: string;
  readonly mountId: string;
  readonly initId: string | undefined;
  readonly parent: string | undefined;
}

/** Of the folder and those above it: nobody but the daemon looks in. */
const ROOT_MODE = 0o700;
const TAR_SPLIT = "tar-split.json.gz";
const CHAIN = /^[0-9a-f]{64}$/;
const MOUNT_ID = /^[a-f0-9]{64}(-init)?$/;

export class LayerDb {
  readonly root: string;
  readonly #host: Host;

  constructor(host: Host, root: string) {
    this.#host = host;
    this.root = `${root}/layerdb`;
  }

  chainFolder(chainId: string): string {
    return `${this.root}/sha256/${chainId.slice(7)}`;
  }

  #mountFolder(name: string): string {
    return `${this.root}/mounts/${name}`;
  }

  /** Writes a layer's folder, all of it or nothing. */
  commit(record: LayerRecord, tarSplit: Uint8Array): DriverError | undefined {
    const { task, random } = this.#host;
    const staging = `${this.root}/tmp/write-set-${random.uint32()}`;
    const files: [string, string][] = [
      ["size", String(record.size)],
      ["cache-id", record.cacheId],
      ["diff", record.diffId],
    ];
    if (record.parent !== undefined) files.push(["parent", record.parent]);
    let failed =
      makeDirectories(task, this.root, ROOT_MODE) ??
      makeDirectories(task, `${this.root}/tmp`, 0o755) ??
      makeDirectory(task, staging, 0o700) ??
      this.#writeBytes(`${staging}/${TAR_SPLIT}`, tarSplit);
    for (const [name, text] of files) failed ??= writeFile(task, `${staging}/${name}`, { text, mode: 0o644 });
    failed ??= makeDirectories(task, `${this.root}/sha256`, 0o755);
    failed ??= rename(task, staging, this.chainFolder(record.chainId));
    if (failed !== undefined) removeAll(task, staging);
    return failed;
  }

  #writeBytes(path: string, raw: Uint8Array): DriverError | undefined {
    const { task } = this.#host;
    const fd = task.open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644);
    if (isErrno(fd)) return pathError("open", path, fd);
    const failed = writeAll(task, fd, Content.literal(raw));
    task.close(fd);
    return failed === undefined ? undefined : pathError("write", path, failed);
  }

  /** The compressed list of what a layer's tar holds beside its files. */
  tarSplit(chainId: string): Uint8Array | DriverError {
    const { task } = this.#host;
    const path = `${this.chainFolder(chainId)}/${TAR_SPLIT}`;
    const of = stat(task, path);
    if (isDriverError(of)) return of;
    const fd = task.open(path, O_RDONLY);
    if (isErrno(fd)) return pathError("open", path, fd);
    const content = task.read(fd, Math.max(1, of.size));
    task.close(fd);
    return isErrno(content) ? pathError("read", path, content) : content.toBytes();
  }

  /** The layers whose folders can be read; others are left alone, as Docker does. */
  layers(): LayerRecord[] {
    const names = sortedNames(this.#host.task, `${this.root}/sha256`);
    if (isDriverError(names)) return [];
    return names.filter((name) => CHAIN.test(name)).flatMap((name) => this.#layer(`sha256:${name}`) ?? []);
  }

  #layer(chainId: string): LayerRecord | undefined {
    const folder = this.chainFolder(chainId);
    const read = (name: string): string | undefined => this.#read(`${folder}/${name}`);
    const diffId = read("diff");
    const cacheId = read("cache-id");
    const size = read("size");
    if (diffId === undefined || cacheId === undefined || size === undefined || !/^\d+$/.test(size)) return undefined;
    return { chainId, diffId, cacheId, parent: read("parent"), size: Number(size) };
  }

  #read(path: string): string | undefined {
    const text = readFile(this.#host.task, path);
    return isDriverError(text) ? undefined : text.trim();
  }

  /** Marks a layer's folder as one that is being removed. @returns the folder's new name */
  beginRemoval(chainId: string, mark: string): string | DriverError {
    const folder = this.chainFolder(chainId);
    const marked = `${folder}-${mark}-removing`;
    return rename(this.#host.task, folder, marked) ?? marked;
  }

  /** Folders of layers whose removal was not finished, with the driver's id of each. */
  orphans(): { readonly folder: string; readonly cacheId: string }[] {
    const names = sortedNames(this.#host.task, `${this.root}/sha256`);
    if (isDriverError(names)) return [];
    return names
      .filter((name) => /^[0-9a-f]{64}-[0-9a-f]{64}-removing$/.test(name))
      .flatMap((name) => {
        const folder = `${this.root}/sha256/${name}`;
        const cacheId = this.#read(`${folder}/cache-id`);
        return cacheId === undefined ? [] : [{ folder, cacheId }];
      });
  }

  remove(folder: string): DriverError | undefined {
    return removeAll(this.#host.task, folder);
  }

  writeMount(record: MountRecord): DriverError | undefined {
    const { task } = this.#host;
    const folder = this.#mountFolder(record.name);
    const files = [
      ["mount-id", record.mountId],
      ["init-id", record.initId],
      ["parent", record.parent],
    ] as const;
    let failed = makeDirectories(task, this.root, ROOT_MODE) ?? makeDirectories(task, folder, 0o755);
    for (const [name, text] of files)
      if (text !== undefined) failed ??= writeFile(task, `${folder}/${name}`, { text, mode: 0o644 });
    return failed;
  }

  mounts(): MountRecord[] {
    const names = sortedNames(this.#host.task, `${this.root}/mounts`);
    if (isDriverError(names)) return [];
    return names.flatMap((name) => {
      const folder = this.#mountFolder(name);
      const mountId = this.#read(`${folder}/mount-id`);
      const initId = this.#read(`${folder}/init-id`);
      if (mountId === undefined || !MOUNT_ID.test(mountId) || (initId !== undefined && !MOUNT_ID.test(initId))) return [];
      return [{ name, mountId, initId, parent: this.#read(`${folder}/parent`) }];
    });
  }

  removeMount(name: string): DriverError | undefined {
    return removeAll(this.#host.task, this.#mountFolder(name));
  }
}
