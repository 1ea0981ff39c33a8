/**
 * Pools of zfs and the recorded vectors' commands on them, for tests.
 */
import { Disk, keepNone } from "../../sim/block/disk.ts";
import { Clock } from "../../sim/core/clock.ts";
import { Content } from "../../sim/core/content.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { EventStream } from "../../sim/core/events.ts";
import { NameTable } from "../../sim/core/names.ts";
import { deviceNumber, GIB, MIB } from "../../sim/core/units.ts";
import { type CreatePoolOptions, checkPool, createPool, importPool } from "../../sim/cow/zfs/assemble.ts";
import { findDataset } from "../../sim/cow/zfs/commands.ts";
import { mountDataset } from "../../sim/cow/zfs/mount.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import type { ZfsFileSystem } from "../../sim/cow/zfs/zpl/filesystem.ts";
import { type Inode, O_RDONLY, S_IFDIR, S_IFREG } from "../../sim/vfs/filesystem.ts";
import { PageCache } from "../../sim/vfs/page-cache.ts";

/** Throws an error that should not be. */
export function must<T>(value: T | Errno): T {
  if (isErrno(value)) throw new Error(value.code);
  return value;
}

const MEMORY: number = GIB(1);

/** A machine with pools: clock, page cache, mounts. */
export class ZfsLab {
  readonly clock: Clock = new Clock();
  readonly names: NameTable = new NameTable();
  readonly cache: PageCache = new PageCache(this.clock, new EventStream(() => this.clock.now));
  #minor = 40;

  create(options: Partial<CreatePoolOptions> & { size?: number } = {}): Pool {
    const { size = MIB(256), name = "tank", ...rest } = options;
    const tops = options.tops ?? [[new Disk({ size })]];
    return must(createPool({ clock: this.clock, memory: MEMORY }, { name, ...rest, tops }));
  }

  import(disks: readonly Disk[]): Pool | Errno {
    return importPool({ clock: this.clock, memory: MEMORY }, disks);
  }

  mount(pool: Pool, name: string): ZfsFileSystem {
    const dataset = findDataset(pool, name);
    if (dataset === undefined) throw new Error(`there is no ${name}`);
    const { clock, names, cache } = this;
    return must(mountDataset(pool, dataset, { clock, names, cache, device: deviceNumber(0, this.#minor++) }));
  }
}

/** Calls on one filesystem by paths of one component or more. */
export class Files {
  readonly fs: ZfsFileSystem;
  readonly #names: NameTable;

  constructor(lab: ZfsLab, fs: ZfsFileSystem) {
    this.fs = fs;
    this.#names = lab.names;
  }

  at(path: string): { directory: Inode; name: ReturnType<NameTable["intern"]> } {
    const parts = path.split("/").filter((part) => part !== "");
    let directory = this.fs.root;
    for (const part of parts.slice(0, -1)) directory = must(this.fs.lookup(directory, this.#names.intern(part)));
    return { directory, name: this.#names.intern(parts.at(-1) ?? "") };
  }

  find(path: string): Inode | Errno {
    const { directory, name } = this.at(path);
    return this.fs.lookup(directory, name);
  }

  mkdir(path: string): Inode {
    const { directory, name } = this.at(path);
    return must(this.fs.create(directory, name, { mode: S_IFDIR | 0o755, uid: 0, gid: 0, rdev: 0, target: "" }));
  }

  make(path: string): Inode {
    const { directory, name } = this.at(path);
    return must(this.fs.create(directory, name, { mode: S_IFREG | 0o644, uid: 0, gid: 0, rdev: 0, target: "" }));
  }

  write(path: string, content: Content, offset = 0): number | Errno {
    const known = this.find(path);
    const inode = isErrno(known) ? this.make(path) : known;
    const handle = must(this.fs.open(inode, O_RDONLY));
    const written = this.fs.write(handle, offset, content);
    this.fs.close(handle, O_RDONLY);
    return written;
  }

  read(path: string): Content {
    const inode = must(this.find(path));
    const handle = must(this.fs.open(inode, O_RDONLY));
    const content = must(this.fs.read(handle, 0, this.fs.size(inode)));
    this.fs.close(handle, O_RDONLY);
    return content;
  }

  fsync(path: string): Errno | undefined {
    const handle = must(this.fs.open(must(this.find(path)), O_RDONLY));
    const failed = this.fs.fsync(handle, false);
    this.fs.close(handle, O_RDONLY);
    return failed;
  }

  unlink(path: string): Errno | undefined {
    const { directory, name } = this.at(path);
    return this.fs.unlink(directory, name);
  }
}

/** Another machine finds a disk as a power cut leaves it now, with nothing that was not flushed. */
export function afterCut(disk: Disk): { lab: ZfsLab; pool: Pool; disk: Disk } {
  const cut = disk.clone({ silent: true });
  cut.powerCut(keepNone);
  const lab = new ZfsLab();
  return { lab, pool: must(lab.import([cut])), disk: cut };
}

/** tank/a as a power cut leaves it, replayed and checked. */
export function againAfterCut(disk: Disk): Files {
  const { lab, pool } = afterCut(disk);
  const files = new Files(lab, lab.mount(pool, "tank/a"));
  files.fs.check();
  checkPool(pool);
  pool.stop();
  return files;
}

/** Text of a sentence over and over. */
export function sentences(length: number): Content {
  return Content.repeat(new TextEncoder().encode("the quick brown fox jumps over the lazy dog\n"), length);
}
