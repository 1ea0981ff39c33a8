/** Histories of a btrfs: changes as data, made on a lab, and what calls and the whole filesystem tell of them. A real kernel's: test/kernel/btrfs-history.py. */
import type { DiskCommand } from "../../sim/block/disk.ts";
import { Content } from "../../sim/core/content.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { deviceNumber, MIB, seconds } from "../../sim/core/units.ts";
import { Btrfs } from "../../sim/cow/btrfs/btrfs.ts";
import { dumpStream } from "../../sim/cow/btrfs/dump.ts";
import { setReadOnly, syncAll } from "../../sim/cow/btrfs/ioctl.ts";
import { assignQgroup, createQgroup, destroyQgroup, limitQgroup, unassignQgroup } from "../../sim/cow/btrfs/quota-ioctl.ts";
import { qgroupId, qgroupName } from "../../sim/cow/btrfs/quotas.ts";
import { readSuperblock } from "../../sim/cow/btrfs/records.ts";
import { send } from "../../sim/cow/btrfs/send.ts";
import { createHost } from "../../sim/host.ts";
import {
  type Inode,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
  O_SYNC,
  O_TMPFILE,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { removeAll } from "../../src/drivers/files.ts";
import { neutral } from "./btrfs-changes.ts";
import { BtrfsLab, must } from "./btrfs-lab.ts";

/** One change. What is not said is empty, or 0. */
export interface Change {
  readonly do: string;
  readonly path?: string;
  readonly other?: string;
  readonly offset?: number;
  /** Of a wait: seconds. */
  readonly length?: number;
  /** Of what shares extents: where in the other file. */
  readonly to?: number;
  /** What is written: r as if by chance, z zeros, t a short text over and over, n the seed as a text over and over. */
  readonly kind?: "r" | "z" | "t" | "n";
  readonly seed?: number;
  readonly name?: string;
  readonly value?: string;
  readonly flags?: number;
  readonly times?: number;
}

export interface History {
  readonly name?: string;
  readonly options?: string;
  /** MiB. */
  readonly size: number;
  readonly quota?: boolean;
  /** After how many changes everything is written and figures are taken; by default after each; 0: never. */
  readonly every?: number;
  /** Whether is told what each change has made the filesystem write to its disk. */
  readonly bios?: boolean;
  readonly steps: readonly Change[];
}

/** st_ino, st_nlink, st_size, st_blocks; or why there are none. */
type Seen = readonly [number, number, number, number] | string | null;

export interface Figures {
  /** Chunks' bytes and used ones. */
  readonly data: readonly [number, number];
  readonly metadata: readonly [number, number];
  readonly system: readonly [number, number];
  readonly free: number;
  readonly avail: number;
  readonly groups: Readonly<Record<string, readonly [number, number]>>;
}

/** What the disk was told: a write of some sectors, or to keep what it has. */
export type Bio = readonly [sector: number, sectors: number] | "flush";

/** What a power cut leaves, as the next mount finds it: whether there is a log, the tree behind its replay, and chunks' and used bytes. */
export interface Left {
  readonly log: boolean;
  readonly tree: readonly Row[];
  readonly data: readonly [number, number];
  readonly metadata: readonly [number, number];
  readonly system: readonly [number, number];
}

/** Path, st_ino, st_mode in octal, st_nlink, st_size, st_blocks, a link's target or the beginning of the hash of what is in a file, xattrs' hashes. */
type Row = readonly [string, number, string, number, number | null, number, string, Readonly<Record<string, string>>];

/** What is told after a change. */
export interface Answer {
  /** What it came to; of a power cut what it left. */
  readonly r: unknown;
  /** The path and the other one before everything is written. */
  readonly st: readonly Seen[];
  readonly fig: Figures | null;
  readonly w?: readonly Bio[];
}

function contentOf({ kind = "r", seed = 0, length = 0 }: Change, more = 0): Content {
  if (kind === "z") return Content.zeros(length);
  if (kind === "n") return Content.repeat(new TextEncoder().encode(`${seed + more}.`), length);
  return kind === "t" ? Content.repeat(new TextEncoder().encode("abcdefgh"), length) : Content.pattern(seed + more, length);
}

function groupOf(word = ""): number {
  const [level = "", id = ""] = word.split("/");
  return qgroupId(Number(level), Number(id));
}

/** 0 or 1, as the tool exits. */
const exited = (refused: Errno | undefined): number => (refused === undefined ? 0 : 1);

const FALLOCATE: Readonly<Record<string, number>> = { punch: 3, fallocate: 0, keep: 1, zero: 0x10, zerokeep: 0x11 };
const RENAME: Readonly<Record<string, number>> = { rename: 0, noreplace: 1, exchange: 2, whiteout: 4 };

/** Bytes of chunks, and those that are used of them. */
function spaceOf(fs: Btrfs): Pick<Left, "data" | "metadata" | "system"> {
  const of = (type: "data" | "metadata" | "system"): [number, number] => {
    const { total, used } = fs.state.space.totals(type);
    return [total, used];
  };
  return { data: of("data"), metadata: of("metadata"), system: of("system") };
}

const sha256 = (raw: Uint8Array): string => Content.literal(raw).sha256();

/** Lists a tree. */
function listed(task: Task, folder: string, base = ""): Row[] {
  const rows: Row[] = [];
  const names = must(task.readdir(folder)).filter(({ name }) => name !== "." && name !== "..");
  for (const { name } of names.sort((one, other) => (one.name < other.name ? -1 : 1))) {
    const path = `${folder}/${name}`;
    const { inodeNumber, mode, nlink, size, blocks } = must(task.lstat(path));
    const type = mode & S_IFMT;
    let content = type === S_IFLNK ? must(task.readlink(path)) : "";
    if (type === S_IFREG) {
      const fd = must(task.open(path, O_RDONLY));
      content = must(task.pread(fd, size, 0)).sha256();
      task.close(fd);
    }
    const xattrs = type === S_IFLNK ? [] : must(task.listxattr(path));
    const values = xattrs.map((key) => [key, sha256(must(task.getxattr(path, key)))] as const);
    const shown = type === S_IFDIR ? null : size;
    rows.push([
      base + name,
      inodeNumber,
      mode.toString(8),
      nlink,
      shown,
      blocks,
      content.slice(0, 16),
      Object.fromEntries(values),
    ]);
    if (type === S_IFDIR) rows.push(...listed(task, path, `${base}${name}/`));
  }
  return rows;
}

export class Historian {
  readonly lab: BtrfsLab;
  readonly #history: History;
  readonly #held = new Map<string, number>();

  constructor(history: History) {
    this.#history = history;
    this.lab = new BtrfsLab({ size: MIB(history.size), options: history.options ?? "" });
    if (history.quota === true) this.lab.quota();
  }

  #onFile<T>(path: string, flags: number, work: (fd: number) => T): T | Errno {
    const { task } = this.lab.host;
    const fd = task.open(path, flags, 0o644);
    if (isErrno(fd)) return fd;
    const done = work(fd);
    task.close(fd);
    return done;
  }

  #onBoth<T>(from: string, to: string, work: (from: number, to: number) => T): T | Errno {
    return this.#onFile(from, O_RDONLY, (a) => this.#onFile(to, O_RDWR | O_CREAT, (b) => work(a, b)));
  }

  #inode(path: string): Inode {
    return must(this.lab.host.task.resolve(path)).inode;
  }

  /** Makes a change. */
  make(one: Change): unknown {
    const told = this.#names(one) ?? this.#data(one) ?? this.#volumes(one) ?? this.#rest(one);
    if (told === undefined) throw new Error(`what is ${one.do}?`);
    const result = told();
    return isErrno(result) ? result.code : (result ?? null);
  }

  #names(one: Change): (() => unknown) | undefined {
    const { task } = this.lab.host;
    const [at, to] = [`/m/${one.path}`, `/m/${one.other}`];
    const { name = "", value = "", times = 1, offset = 0, length = 0 } = one;
    const each = (act: (path: string) => Errno | undefined) => () =>
      firstFailure(offset, (n) => act(`${to}${"l".repeat(length)}${n}`));
    const flags = RENAME[one.do];
    if (flags !== undefined) return () => task.rename(at, to, flags);
    const calls: Readonly<Record<string, () => unknown>> = {
      unlink: () => task.unlink(at),
      rmdir: () => task.rmdir(at),
      mkdir: () => task.mkdir(at, 0o755),
      chmod: () => task.chmod(at, one.flags ?? 0),
      link: () => task.link(at, to),
      symlink: () => task.symlink(one.other ?? "", at),
      mknod: () => task.mknod(at, one.flags ?? S_IFIFO | 0o644, deviceNumber((one.to ?? 0) >> 8, (one.to ?? 0) & 0xff)),
      chown: () => task.chown(at, one.flags ?? 0, one.flags ?? 0),
      setxattr: () => task.setxattr(at, name, new TextEncoder().encode(value.repeat(times))),
      getxattr: () => told(task.getxattr(at, name), (raw) => new TextDecoder().decode(raw)),
      "fill-xattrs": () => this.#until(offset, (n) => task.setxattr(at, `user.${n}`, new Uint8Array(length).fill(0x76))),
      listxattr: () => told(task.listxattr(at), (names) => [...names].sort().join(",")),
      rmxattr: () => task.removexattr(at, name),
      chflags: () => this.#onFile(at, O_RDONLY, (fd) => task.setFlags(fd, one.flags ?? 0)),
      flags: () => this.#onFile(at, O_RDONLY, (fd) => task.getFlags(fd)),
      links: each((path) => task.link(at, path)),
      unlinks: each((path) => task.unlink(path)),
      rmrf: () => exited(removeAll(task, at)?.errno),
    };
    return calls[one.do];
  }

  #data(one: Change): (() => unknown) | undefined {
    const { task } = this.lab.host;
    const [at, to] = [`/m/${one.path}`, `/m/${one.other}`];
    const { offset = 0, length = 0, name = "" } = one;
    const mode = FALLOCATE[one.do];
    if (mode !== undefined) return () => this.#onFile(at, O_RDWR, (fd) => task.fallocate(fd, mode, offset, length));
    const calls: Readonly<Record<string, () => unknown>> = {
      write: () => this.#onFile(at, O_RDWR | O_CREAT, (fd) => task.pwrite(fd, contentOf(one), offset)),
      truncate: () => task.truncate(at, length),
      clone: () => this.#onBoth(at, to, (a, b) => task.clone(a, b)),
      clonerange: () => this.#onBoth(at, to, (a, b) => this.#cloneRange(a, b, one)),
      dedupe: () => this.#onBoth(at, to, (a, b) => this.#dedupe(a, b, one)),
      copyrange: () =>
        this.#onBoth(at, to, (a, b) => {
          task.lseek(a, offset, 0);
          task.lseek(b, one.to ?? 0, 0);
          return task.copyFileRange(a, b, length);
        }),
      fsync: () => this.#onFile(at, O_RDONLY, (fd) => task.fsync(fd)),
      fdatasync: () => this.#onFile(at, O_RDONLY, (fd) => task.fdatasync(fd)),
      syncwrite: () => this.#onFile(at, O_RDWR | O_CREAT | O_SYNC, (fd) => task.pwrite(fd, contentOf(one), offset)),
      many: () => firstFailure(offset, (n) => this.lab.write(`${at}/n${n}`, contentOf(one, n))),
      fill: () => this.#onFile(at, O_RDWR | O_CREAT, (fd) => this.#fill(fd, one)),
      "fill-many": () => this.#fillMany(at, one),
      statfs: () => told(task.statfs(at), ({ blocksFree, blocksAvailable }) => [blocksFree, blocksAvailable]),
      "unlink-many": () => firstFailure(offset, (n) => task.unlink(`${at}/n${n}`)),
      hold: () => told(task.open(at, O_RDWR), (fd) => this.#hold(name, fd)),
      nameless: () => told(task.open(at, O_RDWR | O_TMPFILE, 0o644), (fd) => this.#hold(name, fd)),
      name: () => told(this.#held.get(name) ?? null, (fd) => (fd === null ? null : task.linkFile(fd, at))),
      letgo: () => this.#hold(name, undefined),
      ffsync: () => told(this.#held.get(name) ?? null, (fd) => (fd === null ? null : task.fsync(fd))),
      fwrite: () => told(this.#held.get(name) ?? null, (fd) => (fd === null ? null : task.pwrite(fd, contentOf(one), offset))),
    };
    return calls[one.do];
  }

  /** Writes one piece behind the other until no more goes in. @returns how far, and why no further. */
  #fill(fd: number, one: Change): [number, string | null] {
    let at = one.offset ?? 0;
    for (let n = 0; n < (one.times ?? 1); n++) {
      const done = this.lab.host.task.pwrite(fd, contentOf(one, n), at);
      if (isErrno(done)) return [at, done.code];
      at += done;
    }
    return [at, null];
  }

  /** Makes files until one has no room. @returns how many, and why no more. */
  #fillMany(at: string, one: Change): [number, string | null] {
    const { offset: most = 0, length = 0 } = one;
    return this.#until(most, (n) => {
      const done = this.lab.write(`${at}/n${n}`, contentOf(one, n));
      return isErrno(done) || done === length ? done : "short";
    });
  }

  /** Does something up to `most` times. @returns how often, and why no more. */
  #until(most: number, act: (n: number) => unknown): [number, string | null] {
    for (let n = 0; n < most; n++) {
      const done = act(n);
      if (isErrno(done)) return [n, done.code];
      if (done === "short") return [n, done];
    }
    return [most, null];
  }

  #cloneRange(from: number, to: number, { offset = 0, length = 0, to: at = 0 }: Change): unknown {
    const { task } = this.lab.host;
    const [source, target] = [must(task.files.file(from)), must(task.files.file(to))];
    if (source.type !== S_IFREG || target.type !== S_IFREG) return "EISDIR";
    return this.lab.fs.clone(source.handle, offset, target.handle, at, length);
  }

  #dedupe(from: number, to: number, { offset = 0, length = 0, to: at = 0 }: Change): unknown {
    const done = this.lab.host.task.dedupe({ fd: from, offset }, { fd: to, offset: at }, length);
    return done === undefined ? "differs" : done;
  }

  #hold(name: string, fd: number | undefined): undefined {
    const before = this.#held.get(name);
    if (before !== undefined) this.lab.host.task.close(before);
    if (fd === undefined) this.#held.delete(name);
    else this.#held.set(name, fd);
  }

  #volumes(one: Change): (() => unknown) | undefined {
    const { lab } = this;
    const [at, to] = [`/m/${one.path}`, `/m/${one.other}`];
    const above = (path: string): string => path.slice(0, path.lastIndexOf("/"));
    /** Opens what the tool would open first. */
    const behind =
      (paths: readonly string[], act: () => unknown): (() => unknown) =>
      () =>
        paths.map((path) => lab.host.task.stat(path)).find(isErrno) ?? act();
    /** The folder of a new name: no other file takes one. */
    const within =
      (path: string, act: () => unknown): (() => unknown) =>
      () =>
        told(lab.host.task.stat(above(path)), ({ mode }) => ((mode & S_IFMT) === S_IFDIR ? act() : "ENOTDIR"));
    const made = (id: number | Errno): Errno | undefined => (isErrno(id) ? id : undefined);
    const limit = { [one.flags === 1 ? "exclusiveMax" : "referencedMax"]: one.length === 0 ? undefined : one.length };
    const calls: Readonly<Record<string, () => unknown>> = {
      subvolume: within(at, () => made(lab.subvolume(at))),
      snapshot: behind([at, above(to)], () => made(lab.snapshot(at, to))),
      send: () => this.#sent(one),
      rosnap: behind([at, above(to)], () => made(lab.snapshot(at, to, true))),
      // By its name in its folder: a link is not followed.
      delete: () => told(lab.host.task.lstat(at), () => lab.remove(at)),
      setro: behind([at], () => setReadOnly(lab.fs, this.#inode(at), one.flags === 2)),
      limit: () => (isErrno(lab.host.task.stat(at)) ? 1 : exited(limitQgroup(lab.fs, lab.id(at), limit, lab.id(at)))),
      qcreate: () => exited(createQgroup(lab.fs, groupOf(one.name))),
      qdestroy: () => exited(destroyQgroup(lab.fs, groupOf(one.name))),
      qassign: () => exited(assignQgroup(lab.fs, groupOf(one.name), groupOf(one.value))),
      qremove: () => exited(unassignQgroup(lab.fs, groupOf(one.name), groupOf(one.value))),
    };
    return calls[one.do];
  }

  /** The commands of a subvolume's stream, as the receiver prints them, without what depends on the sender. */
  #sent({ path, other, value = "" }: Change): unknown {
    const { lab } = this;
    const sources = value.split(",").filter((word) => word !== "");
    const [id, ...parents] = [path, ...(other === undefined ? [] : [other])].map((name) => lab.id(`/m/${name}`));
    const clones = sources.map((name) => lab.id(`/m/${name}`));
    const commands = send(lab.fs, id as number, `${path}`, parents[0], clones);
    return told(commands, (list) => neutral(dumpStream(list)).map((line) => line.replace(/ [am]time=\S+/g, "").trim()));
  }

  /** Mounts what the disk has now elsewhere. */
  #cut(): Left {
    const disk = this.lab.host.disks.get("vda")?.clone({ silent: true });
    if (disk === undefined) throw new Error("there is no disk");
    const superblock = must(readSuperblock(disk));
    const host = createHost({ seed: 4 });
    host.addDevice("copy", disk, deviceNumber(253, 2));
    must(host.task.mkdir("/m", 0o755));
    const failed = host.mount({ type: "btrfs", source: "copy", target: "/m" });
    if (failed !== undefined) throw new Error(failed.message);
    const place = must(host.task.resolve("/m"));
    if (!(place.mount.fs instanceof Btrfs)) throw new Error("/m is no btrfs");
    place.mount.fs.check();
    const tree = listed(host.task, "/m");
    must(syncAll(place.mount.fs));
    place.mount.fs.check();
    return { log: superblock.logRoot !== 0, tree, ...spaceOf(place.mount.fs) };
  }

  #rest(one: Change): (() => unknown) | undefined {
    const { lab } = this;
    if (one.do === "cut") return () => this.#cut();
    if (one.do === "sync") return () => lab.fs.sync();
    if (one.do === "wait") return () => lab.host.clock.advance(seconds(one.length ?? 0));
    if (one.do !== "remount") return undefined;
    return () => {
      for (const name of [...this.#held.keys()]) this.#hold(name, undefined);
      lab.host.unmount("/m");
      lab.mount();
    };
  }

  /** What stat tells of a change's paths. */
  seen(one: Change): Seen[] {
    const { task } = this.lab.host;
    return [one.path, one.do === "symlink" ? undefined : one.other].map((path) => {
      if (path === undefined || path === "") return null;
      const there = task.lstat(`/m/${path}`);
      if (isErrno(there)) return there.code;
      // The block count of what is no file is the kernel's own.
      return [there.inodeNumber, there.nlink, there.size, there.blocks];
    });
  }

  /** What the whole filesystem tells when everything is written and the cleaner has worked. */
  figures(): Figures {
    const { lab } = this;
    lab.settle();
    lab.fs.check();
    const { quotas } = lab.fs.state;
    const { blocksFree: free, blocksAvailable: avail } = lab.fs.statfs();
    const groups = [...(quotas?.groups.values() ?? [])].map(({ id, referenced, exclusive }) => [
      qgroupName(id),
      [referenced, exclusive],
    ]);
    return { ...spaceOf(lab.fs), free, avail, groups: Object.fromEntries(groups) };
  }

  /** Watches the disk, if that is asked for. @returns what it was told since. */
  #watch(): () => Pick<Answer, "w"> {
    const disk = this.lab.host.disks.get("vda");
    if (this.#history.bios !== true || disk === undefined) return () => ({});
    const bios: Bio[] = [];
    disk.watcher = (command) => bios.push(...bioOf(command));
    return () => {
      disk.watcher = undefined;
      if (bios.at(-1) === "flush") bios.pop();
      return { w: bios };
    };
  }

  /** Makes all changes. @returns what is told at first, and after each. */
  run(): Answer[] {
    const { steps, every = 1 } = this.#history;
    const answers: Answer[] = [{ r: null, st: [], fig: this.figures() }];
    for (const [index, one] of steps.entries()) {
      const bios = this.#watch();
      const r = this.make(one);
      const st = this.seen(one);
      const isDue = every > 0 && ((index + 1) % every === 0 || index === steps.length - 1);
      answers.push({ r, st, fig: isDue ? this.figures() : null, ...bios() });
      if (every === 0) this.lab.fs.check();
    }
    return answers;
  }
}

/** What a command of the disk is as the kernel queues it: a superblock is flushed with its write. */
function bioOf(command: DiskCommand): Bio[] {
  if (command.kind === "flush") return ["flush"];
  return command.kind === "write" ? [[command.offset / 512, command.content.length / 512]] : [];
}

/** Does something `count` times, but nothing behind what fails. */
function firstFailure(count: number, act: (n: number) => unknown): Errno | undefined {
  for (let n = 0; n < count; n++) {
    const failed = act(n);
    if (isErrno(failed)) return failed;
  }
  return undefined;
}

function told<T, U>(result: T | Errno, as: (value: T) => U): U | Errno {
  return isErrno(result) ? result : as(result);
}
