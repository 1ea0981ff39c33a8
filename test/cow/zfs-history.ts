/** Histories of a zfs pool: commands of zfs(8) and calls on its mounted filesystems as data, made on a host, and what they and `zfs list -Hp` tell. */
import { Disk } from "../../sim/block/disk.ts";
import { Content } from "../../sim/core/content.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { deviceNumber, GIB, MIB, seconds } from "../../sim/core/units.ts";
import { checkPool, createPool } from "../../sim/cow/zfs/assemble.ts";
import { findDataset } from "../../sim/cow/zfs/commands.ts";
import { columnOf, zfsList } from "../../sim/cow/zfs/listing.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import { createHost } from "../../sim/host.ts";
import { credentialsOf } from "../../sim/vfs/credentials.ts";
import { O_APPEND, O_CREAT, O_DIRECT, O_EXCL, O_RDONLY, O_RDWR, O_SYNC } from "../../sim/vfs/filesystem.ts";
import type { Mount } from "../../sim/vfs/mount.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { writeMapped } from "../../sim/vfs/write-mapped.ts";
import { runZfs } from "../../src/drivers/zfs-tool.ts";
import { runZpool } from "../../src/drivers/zpool-tool.ts";
import { must, sentences } from "./zfs-lab.ts";

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
  /** XATTR_CREATE, XATTR_REPLACE; of open, O_*. */
  readonly flags?: number;
  /** Of a rename and a link: the new name. */
  readonly to?: string;
  readonly mode?: number;
  /** Of a device. */
  readonly major?: number;
  readonly minor?: number;
  /** The user who makes the call: by default root. */
  readonly as?: number;
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

/** Bytes of the recorded machine's /bin/true. */
const PROGRAM_BYTES = 35_664;
/** The first seconds of 1970. */
const EARLY = { seconds: 1, nanoseconds: 0 };
const FALLOCATE: Readonly<Record<string, number>> = { punch: 3, fallocate: 0, keep: 1, zero: 0x10 };
/** A machine with a pool "zp" on one disk of that many bytes, mounted on /m. */
export class ZfsHistorian {
  readonly #host = createHost({ seed: 3, memory: GIB(2) });
  readonly #pool: Pool;
  readonly #held = new Map<string, number>();

  constructor(size: number = MIB(4087)) {
    const { clock } = this.#host;
    this.#pool = must(createPool({ clock, memory: GIB(1) }, { name: "zp", tops: [[new Disk({ size })]] }));
    this.#host.pools.set("zp", this.#pool);
    this.#pool.root.setProperty("mountpoint", "/m");
    this.command("zfs mount zp");
  }

  /** cp /bin/true PATH: a program of so many bytes. */
  #copyProgram(path: string): readonly [number, string, string] {
    const { task } = this.#host;
    const content = Content.concat([Content.text("\x7fELF"), Content.pattern(1, PROGRAM_BYTES - 4)]);
    this.#onFile(task, path, O_RDWR | O_CREAT, (file) => task.write(file, content));
    return [task.chmod(path, 0o755) === undefined ? 0 : 1, "", ""];
  }

  /** mount -t zfs [-o OPTIONS] DATASET PLACE, and mount -o remount,OPTIONS PLACE. */
  #mountLegacy(words: readonly string[]): readonly [number, string, string] {
    const [target = "", source = ""] = [...words].reverse();
    const options = words[words.indexOf("-o") + 1] ?? "";
    const isAgain = options.startsWith("remount,");
    const failed = isAgain
      ? this.#host.remount(target, options.slice("remount,".length))
      : // mount.zfs says "rw" where nothing else was said.
        this.#host.mount({ type: "zfs", source, target, options: words.includes("-o") ? options : "rw" });
    return [failed === undefined ? 0 : 1, failed?.message ?? "", ""];
  }

  /** Runs a command. @returns its exit code, what it wrote to standard error, and to standard output. */
  command(line: string): readonly [number, string, string] {
    const [tool, ...words] = line.split(" ");
    if (tool === "cp") return this.#copyProgram(words.at(-1) ?? "");
    if (tool === "mkdir") {
      this.#host.task.mkdir(words.at(-1) ?? "", 0o755);
      return [0, "", ""];
    }
    if (tool === "umount") return [this.#host.unmount(words[0] ?? "") === undefined ? 0 : 32, "", ""];
    if (tool === "mount") return this.#mountLegacy(words);
    const told = tool === "zpool" ? runZpool(this.#host, words) : runZfs(this.#host, words);
    return "err" in told ? [told.status ?? 1, told.err, told.out ?? ""] : [0, told.said ?? "", told.out];
  }

  /** The process of whoever makes a call. */
  #taskOf({ as }: ZfsStep): Task {
    const { task } = this.#host;
    return as === undefined ? task : task.withCredentials(credentialsOf(as, as));
  }

  /** What /proc/mounts tells of filesystems of zfs: dataset, place, flags. */
  #mounts(): string[] {
    const { vfs } = this.#host;
    const words = (mount: Mount): string => {
      const { noatime, strictatime, nosuid, nodev, noexec } = mount.options;
      const flags = [nosuid && "nosuid", nodev && "nodev", noexec && "noexec", noatime ? "noatime" : !strictatime && "relatime"];
      return [mount.readOnly ? "ro" : "rw", ...flags.filter((flag) => typeof flag === "string")].join();
    };
    const shown = vfs.mounts.filter(({ fs }) => fs.type === "zfs");
    return shown.map((mount) => `${mount.fs.label} ${this.#host.placeOf(mount)} ${words(mount)}`);
  }

  #onFile<T>(task: Task, path: string, flags: number, work: (fd: number) => T): T | Errno {
    const fd = task.open(path, flags, 0o644);
    if (isErrno(fd)) return fd;
    const done = work(fd);
    task.close(fd);
    return done;
  }

  #write(path: string, one: ZfsStep, flags = 0): number | Errno {
    const task = this.#taskOf(one);
    return this.#onFile(task, path, O_RDWR | O_CREAT | flags, (file) => {
      const written = task.pwrite(file, contentOf(one), one.off ?? 0);
      return isErrno(written) || one.sync === undefined ? written : (task.fsync(file) ?? written);
    }) as number | Errno;
  }

  /** sync(2). */
  #sync(): undefined {
    for (const fs of new Set(this.#host.vfs.mounts.map((mount) => mount.fs))) fs.sync();
  }

  /** Stores into a shared mapping. */
  #store(task: Task, fd: number, one: ZfsStep): number | Errno {
    const open = task.files.get(fd);
    if (open === undefined) throw new Error("nothing is open");
    return writeMapped(open.mount.fs, open.handle, one.off ?? 0, contentOf(one));
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
    const task = this.#taskOf(one);
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
          this.#onFile(task, path, O_RDONLY, (file) => task.pread(file, len, off)),
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
      sync: () => this.#sync(),
      open: () => this.#onFile(task, path, one.flags ?? 0, () => undefined),
      create: () => this.#onFile(task, path, O_RDWR | O_CREAT | O_EXCL, () => undefined),
      mknod: () => task.mknod(path, one.mode ?? 0, deviceNumber(one.major ?? 0, one.minor ?? 0)),
      exec: () => task.exec(path),
      access: () => task.access(path, one.mode ?? 0),
      utimes: () => task.utimens(path, EARLY, EARLY),
      swrite: () => this.#write(path, one, O_SYNC),
      dwrite: () => this.#write(path, one, O_DIRECT),
      append: () => this.#onFile(task, path, O_RDWR | O_CREAT | O_APPEND, (file) => task.write(file, contentOf(one))),
      mwrite: () => this.#onFile(task, path, O_RDWR, (file) => this.#store(task, file, one)),
      manymode: () => this.#each(one, (file) => task.chmod(file, one.mode ?? 0)),
      mounts: () => this.#mounts(),
      seek: () => this.#onFile(task, path, O_RDONLY, (file) => task.lseek(file, off, one.hole === true ? 4 : 3)),
      listdir: () => names(task.readdir(path)),
      hold: () => void this.#held.set(name, must(task.open(path, O_RDWR))),
      letgo: () => task.close(fd),
      // What is read is by chance there and a pattern here.
      fread: () => told(task.pread(fd, len, off), () => "read"),
      fwrite: () => task.pwrite(fd, contentOf(one), off),
      fstat: () => told(task.fstat(fd), ({ inodeNumber, nlink, size, blocks }) => [inodeNumber, nlink, size, blocks]),
    };
    const call =
      mode === undefined
        ? calls[one.do ?? ""]
        : () => this.#onFile(task, path, O_RDWR, (file) => task.fallocate(file, mode, off, len));
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
