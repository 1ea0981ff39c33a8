/** Histories of a zfs pool: commands of zfs(8) and calls on its mounted filesystems as data, made on a host, and what they and `zfs list -Hp` tell. */
import { Disk } from "../../sim/block/disk.ts";
import { Content } from "../../sim/core/content.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { GIB, MIB, seconds } from "../../sim/core/units.ts";
import { checkPool, createPool } from "../../sim/cow/zfs/assemble.ts";
import { findDataset } from "../../sim/cow/zfs/commands.ts";
import { columnOf, zfsList } from "../../sim/cow/zfs/listing.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import { createHost } from "../../sim/host.ts";
import { O_CREAT, O_RDONLY, O_RDWR } from "../../sim/vfs/filesystem.ts";
import type { ToolAnswer } from "../../src/drivers/tool-words.ts";
import { runZfs } from "../../src/drivers/zfs-tool.ts";
import { busyOne, must, sentences } from "./zfs-lab.ts";

/** A step: a command, or a call by name. What is not said is empty, or 0. */
export interface ZfsStep {
  readonly cmd?: string;
  readonly do?: string;
  readonly path?: string;
  readonly off?: number;
  readonly len?: number;
  /** What is written: r as if by chance, z zeros, t a sentence over and over. */
  readonly kind?: "r" | "z" | "t";
  readonly seed?: number;
  /** Of an open file that is kept, or of an extended attribute. */
  readonly name?: string;
  readonly hole?: boolean;
  /** XATTR_CREATE, XATTR_REPLACE. */
  readonly flags?: number;
  /** Of a rename and a link: the new name. */
  readonly to?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** A write is followed by fsync. */
  readonly sync?: number;
  /** Of many files, `path` is their folder: the beginning of their names, the first number behind it, and how many they are. */
  readonly stem?: string;
  readonly first?: number;
  readonly count?: number;
}

export const COLUMNS = [
  "used",
  "referenced",
  "usedbysnapshots",
  "usedbydataset",
  "usedbychildren",
  "usedbyrefreservation",
  "written",
  "logicalused",
  "logicalreferenced",
  "origin",
  "userrefs",
  "defer_destroy",
] as const;

const FALLOCATE: Readonly<Record<string, number>> = { punch: 3, fallocate: 0, keep: 1, zero: 0x10 };
/** The dataset that an answer says is busy: zfs unmounts what goes. */
function busyIn(told: ToolAnswer): string | undefined {
  return "err" in told ? busyOne(told.err) : undefined;
}

/** A machine with a pool "zp" on one disk of that many bytes, mounted on /m. */
export class ZfsHistorian {
  readonly #host = createHost({ seed: 3, memory: GIB(2) });
  readonly #pool: Pool;
  readonly #held = new Map<string, number>();
  #mounted: string[] = [];

  constructor(size: number = MIB(4087)) {
    const { clock } = this.#host;
    this.#pool = must(createPool({ clock, memory: GIB(1) }, { name: "zp", tops: [[new Disk({ size })]] }));
    this.#host.pools.set("zp", this.#pool);
    this.#pool.root.setProperty("mountpoint", "/m");
    must(this.#host.task.mkdir("/m"));
    this.#mount("zp");
  }

  #mount(name: string): void {
    const target = targetOf(name);
    const { task } = this.#host;
    if (isErrno(task.stat(target))) must(task.mkdir(target, 0o755));
    // Whether it is empty.
    task.readdir(target);
    const failed = this.#host.mount({ type: "zfs", source: name, target });
    if (failed !== undefined) throw new Error(failed.message);
    this.#mounted.push(name);
  }

  #unmount(name: string): void {
    this.#host.unmount(targetOf(name));
    this.#mounted = this.#mounted.filter((one) => one !== name);
  }

  /** Runs a command. @returns its exit code, what it wrote to standard error, and to standard output. */
  command(line: string): readonly [number, string, string] {
    const [, verb = "", ...words] = line.split(" ");
    const unmounted: string[] = [];
    const run = (): ToolAnswer => runZfs(this.#host, [verb, ...words]);
    let told = run();
    // What has another name is mounted anew; what the pool refuses, too.
    if (verb === "rename" && (!("err" in told) || told.err.startsWith("cannot rename '")))
      unmounted.push(...this.#unmountBelow(words.at(-2) ?? ""));
    for (let busy = busyIn(told); busy !== undefined && this.#mounted.includes(busy); busy = busyIn(told)) {
      this.#unmount(busy);
      unmounted.push(busy);
      told = run();
    }
    for (const name of unmounted.reverse()) {
      if (findDataset(this.#pool, name) !== undefined) this.#mount(name);
      else this.#host.task.rmdir(targetOf(name));
    }
    for (const directory of this.#pool.root.below()) if (!this.#mounted.includes(directory.path)) this.#mount(directory.path);
    return "err" in told ? [1, told.err ?? "", told.out ?? ""] : [0, "", told.out];
  }

  /** Unmounts a filesystem and what is mounted below it, as a change of its name does. @returns which. */
  #unmountBelow(name: string): string[] {
    const below = this.#mounted.filter((one) => one === name || one.startsWith(`${name}/`)).reverse();
    for (const one of below) this.#unmount(one);
    return below;
  }

  #onFile<T>(path: string, flags: number, work: (fd: number) => T): T | Errno {
    const { task } = this.#host;
    const fd = task.open(path, flags, 0o644);
    if (isErrno(fd)) return fd;
    const done = work(fd);
    task.close(fd);
    return done;
  }

  #write(path: string, one: ZfsStep): number | Errno {
    const { task } = this.#host;
    return this.#onFile(path, O_RDWR | O_CREAT, (file) => {
      const written = task.pwrite(file, contentOf(one), one.off ?? 0);
      return isErrno(written) || one.sync === undefined ? written : (task.fsync(file) ?? written);
    }) as number | Errno;
  }

  /** Does the same to files of many names, up to the first that fails. */
  #each(
    { path, stem, first = 0, count = 0, seed = 0, len = 0 }: ZfsStep,
    work: (path: string, seed: number) => unknown,
  ): number | Errno {
    for (let number = first; number < first + count; number++) {
      // The recorded machine is slow: few files have the same times.
      this.#host.clock.spend(seconds(0.0015 + len / 1e6));
      const done = work(`${path}/${stem}${number}`, seed + number);
      if (isErrno(done)) return done;
    }
    return count;
  }

  /** Makes a call. @returns what it came to: a value, an error's name, or null. */
  call(one: ZfsStep): unknown {
    const { task } = this.#host;
    const { path = "", off = 0, len = 0, name = "" } = one;
    const fd = this.#held.get(name) ?? -1;
    const mode = FALLOCATE[one.do ?? ""];
    const calls: Readonly<Record<string, () => unknown>> = {
      write: () => this.#write(path, one),
      rename: () => task.rename(path, one.to ?? ""),
      link: () => task.link(path, one.to ?? ""),
      chmod: () => task.chmod(path, one.mode ?? 0),
      chown: () => task.lchown(path, one.uid ?? 0, one.gid ?? 0),
      read: () =>
        told(
          this.#onFile(path, O_RDONLY, (file) => task.pread(file, len, off)),
          () => "read",
        ),
      many: () => this.#each(one, (file, seed) => this.#write(file, { len, seed })),
      fewer: () => this.#each(one, (file) => task.unlink(file)),
      truncate: () => task.truncate(path, len),
      unlink: () => task.unlink(path),
      mkdir: () => task.mkdir(path, 0o755),
      rmdir: () => task.rmdir(path),
      symlink: () => task.symlink("t".repeat(len), path),
      objects: () => told(task.statfs(path), ({ files, filesFree }) => files - filesFree),
      setxattr: () => task.setxattr(path, name, contentOf(one).toBytes(), one.flags ?? 0),
      getxattr: () => told(task.getxattr(path, name), (value) => value.length),
      removexattr: () => task.removexattr(path, name),
      listxattr: () => told(task.listxattr(path), (found) => [...found].sort()),
      sync: () => task.syncfs(),
      seek: () => this.#onFile(path, O_RDONLY, (file) => task.lseek(file, off, one.hole === true ? 4 : 3)),
      listdir: () => names(task.readdir(path)),
      hold: () => void this.#held.set(name, must(task.open(path, O_RDWR))),
      letgo: () => task.close(fd),
      // What is read is by chance there and a pattern here.
      fread: () => told(task.pread(fd, len, off), () => "read"),
      fwrite: () => task.pwrite(fd, contentOf(one), off),
      fstat: () => told(task.fstat(fd), ({ inodeNumber, nlink, size, blocks }) => [inodeNumber, nlink, size, blocks]),
    };
    const call =
      mode === undefined ? calls[one.do ?? ""] : () => this.#onFile(path, O_RDWR, (file) => task.fallocate(file, mode, off, len));
    if (call === undefined) throw new Error(`what is ${one.do}?`);
    const result = call();
    return isErrno(result) ? result.code : (result ?? null);
  }

  /** st_ino, st_nlink, st_size, st_blocks; or why there are none. */
  seen(path: string): readonly number[] | string {
    const there = this.#host.task.lstat(path);
    return isErrno(there) ? there.code : [there.inodeNumber, there.nlink, there.size, there.blocks];
  }

  /** Has everything written. */
  settle(): void {
    this.#host.clock.spend(seconds(1));
    for (let groups = 0; groups < 3; groups++) this.#pool.syncGroup();
  }

  /** The columns of all datasets when everything is written. */
  figures(): Record<string, string[]> {
    this.settle();
    checkPool(this.#pool);
    const rows = zfsList(this.#pool, { columns: ["name"], type: "all" });
    return Object.fromEntries(
      rows.map(([name = ""]) => {
        const dataset = findDataset(this.#pool, name);
        return [name, dataset === undefined ? [] : COLUMNS.map((column) => columnOf(this.#pool, dataset, column))];
      }),
    );
  }
}

function targetOf(name: string): string {
  return `/m${name.slice("zp".length)}`;
}

function contentOf({ kind = "r", seed = 0, len = 0 }: ZfsStep): Content {
  if (kind === "z") return Content.zeros(len);
  return kind === "t" ? sentences(len) : Content.pattern(seed, len);
}

function told<T, U>(result: T | Errno, as: (value: T) => U): U | Errno {
  return isErrno(result) ? result : as(result);
}

function names(entries: readonly { readonly name: string }[] | Errno): string[] | Errno {
  return told(entries, (all) => all.map(({ name }) => name).sort());
}
