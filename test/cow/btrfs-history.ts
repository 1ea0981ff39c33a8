/** Histories of a btrfs: changes as data, made on a lab, and what calls and the whole filesystem tell of them. A real kernel's: test/kernel/btrfs-history.py. */
import { Content } from "../../sim/core/content.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { MIB } from "../../sim/core/units.ts";
import { setReadOnly } from "../../sim/cow/btrfs/ioctl.ts";
import { assignQgroup, createQgroup, destroyQgroup, limitQgroup, unassignQgroup } from "../../sim/cow/btrfs/quota-ioctl.ts";
import { qgroupId, qgroupName } from "../../sim/cow/btrfs/quotas.ts";
import { type Inode, O_CREAT, O_RDONLY, O_RDWR, S_IFIFO, S_IFREG } from "../../sim/vfs/filesystem.ts";
import { removeAll } from "../../src/drivers/files.ts";
import { BtrfsLab, must } from "./btrfs-lab.ts";

/** One change. What is not said is empty, or 0. */
export interface Change {
  readonly do: string;
  readonly path?: string;
  readonly other?: string;
  readonly offset?: number;
  readonly length?: number;
  /** Of what shares extents: where in the other file. */
  readonly to?: number;
  /** What is written: r as if by chance, z zeros, t a short text over and over. */
  readonly kind?: "r" | "z" | "t";
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
  /** After how many changes everything is written and figures are taken; by default after each. */
  readonly every?: number;
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

/** What is told after a change. */
export interface Answer {
  readonly r: unknown;
  /** The path and the other one before everything is written. */
  readonly st: readonly Seen[];
  readonly fig: Figures | null;
}

function contentOf({ kind = "r", seed = 0, length = 0 }: Change, more = 0): Content {
  if (kind === "z") return Content.zeros(length);
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
    const links = Array.from({ length: offset }, (_, n) => `${to}${"l".repeat(length)}${n}`);
    const each = (act: (path: string) => Errno | undefined) => () => links.map(act).find(isErrno);
    const flags = RENAME[one.do];
    if (flags !== undefined) return () => task.rename(at, to, flags);
    const calls: Readonly<Record<string, () => unknown>> = {
      unlink: () => task.unlink(at),
      rmdir: () => task.rmdir(at),
      mkdir: () => task.mkdir(at, 0o755),
      link: () => task.link(at, to),
      symlink: () => task.symlink(one.other ?? "", at),
      mknod: () => task.mknod(at, S_IFIFO | 0o644),
      setxattr: () => task.setxattr(at, name, new TextEncoder().encode(value.repeat(times))),
      getxattr: () => told(task.getxattr(at, name), (raw) => new TextDecoder().decode(raw)),
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
    const numbers = Array.from({ length: offset }, (_, n) => n);
    const calls: Readonly<Record<string, () => unknown>> = {
      write: () => this.#onFile(at, O_RDWR | O_CREAT, (fd) => task.pwrite(fd, contentOf(one), offset)),
      truncate: () => task.truncate(at, length),
      clone: () => this.#onBoth(at, to, (a, b) => task.clone(a, b)),
      clonerange: () => this.#onBoth(at, to, (a, b) => this.#cloneRange(a, b, one)),
      copyrange: () =>
        this.#onBoth(at, to, (a, b) => {
          task.lseek(a, offset, 0);
          task.lseek(b, one.to ?? 0, 0);
          return task.copyFileRange(a, b, length);
        }),
      fsync: () => this.#onFile(at, O_RDONLY, (fd) => task.fsync(fd)),
      many: () => numbers.map((n) => this.lab.write(`${at}/n${n}`, contentOf(one, n))).find(isErrno),
      "unlink-many": () => numbers.map((n) => task.unlink(`${at}/n${n}`)).find(isErrno),
      hold: () => told(task.open(at, O_RDWR), (fd) => this.#hold(name, fd)),
      letgo: () => this.#hold(name, undefined),
      fwrite: () => told(this.#held.get(name) ?? null, (fd) => (fd === null ? null : task.pwrite(fd, contentOf(one), offset))),
    };
    return calls[one.do];
  }

  #cloneRange(from: number, to: number, { offset = 0, length = 0, to: at = 0 }: Change): unknown {
    const { task } = this.lab.host;
    const [source, target] = [must(task.files.file(from)), must(task.files.file(to))];
    if (source.type !== S_IFREG || target.type !== S_IFREG) return "EISDIR";
    return this.lab.fs.clone(source.handle, offset, target.handle, at, length);
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
    const made = (id: number | Errno): Errno | undefined => (isErrno(id) ? id : undefined);
    const limit = { [one.flags === 1 ? "exclusiveMax" : "referencedMax"]: one.length === 0 ? undefined : one.length };
    const calls: Readonly<Record<string, () => unknown>> = {
      subvolume: behind([above(at)], () => made(lab.subvolume(at))),
      snapshot: behind([at, above(to)], () => made(lab.snapshot(at, to))),
      rosnap: behind([at, above(to)], () => made(lab.snapshot(at, to, true))),
      delete: behind([at], () => lab.remove(at)),
      setro: behind([at], () => setReadOnly(lab.fs, this.#inode(at), one.flags === 2)),
      limit: () => (isErrno(lab.host.task.stat(at)) ? 1 : exited(limitQgroup(lab.fs, lab.id(at), limit, lab.id(at)))),
      qcreate: () => exited(createQgroup(lab.fs, groupOf(one.name))),
      qdestroy: () => exited(destroyQgroup(lab.fs, groupOf(one.name))),
      qassign: () => exited(assignQgroup(lab.fs, groupOf(one.name), groupOf(one.value))),
      qremove: () => exited(unassignQgroup(lab.fs, groupOf(one.name), groupOf(one.value))),
    };
    return calls[one.do];
  }

  #rest(one: Change): (() => unknown) | undefined {
    const { lab } = this;
    if (one.do === "sync") return () => lab.fs.sync();
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
    const { space, quotas } = lab.fs.state;
    const of = (type: "data" | "metadata" | "system"): [number, number] => {
      const { total, used } = space.totals(type);
      return [total, used];
    };
    const { blocksFree: free, blocksAvailable: avail } = lab.fs.statfs();
    const groups = [...(quotas?.groups.values() ?? [])].map(({ id, referenced, exclusive }) => [
      qgroupName(id),
      [referenced, exclusive],
    ]);
    return { data: of("data"), metadata: of("metadata"), system: of("system"), free, avail, groups: Object.fromEntries(groups) };
  }

  /** Makes all changes. @returns what is told at first, and after each. */
  run(): Answer[] {
    const { steps, every = 1 } = this.#history;
    const answers: Answer[] = [{ r: null, st: [], fig: this.figures() }];
    for (const [index, one] of steps.entries()) {
      const r = this.make(one);
      const st = this.seen(one);
      const isDue = (index + 1) % every === 0 || index === steps.length - 1;
      answers.push({ r, st, fig: isDue ? this.figures() : null });
    }
    return answers;
  }
}

function told<T, U>(result: T | Errno, as: (value: T) => U): U | Errno {
  return isErrno(result) ? result : as(result);
}
