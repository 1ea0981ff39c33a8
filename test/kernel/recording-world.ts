/**
 * A world that notes every system call that a scenario makes in its layers and containers, in the form of the traces, with the answer it got here:
 * what its layers hold, the calls of its scripts of the small shell, of its folders of many files. The oracle then makes the same calls.
 *
 * Interface: `recordingWorld` wraps a MakeWorld; `noted` fills while the scenario runs. Content is told by its length: no filesystem that can be
 * asked here looks at it.
 */
import { type Time, timeToNanoseconds } from "../../sim/core/clock.ts";
import type { Content } from "../../sim/core/content.ts";
import { Errno, isErrno } from "../../sim/core/errno.ts";
import type { DirectoryEntry } from "../../sim/vfs/directory.ts";
import type { Attributes } from "../../sim/vfs/filesystem.ts";
import { S_IFMT } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { hexOf } from "../../src/archive/digest.ts";
import { FALLOCATE_FLAGS, WHENCE } from "../../src/calls/data.ts";
import type { Json } from "../../src/calls/json.ts";
import { RENAME_FLAGS } from "../../src/calls/names.ts";
import type { CallSession } from "../../src/calls/session.ts";
import { compareTexts, modeText, shown, typeName } from "../../src/calls/show.ts";
import type { Step } from "../../src/calls/step.ts";
import { type MakeWorld, Missing, type World, WorldFailure } from "../../src/scenario/world.ts";
import { flagsText } from "../../src/shell/call-text.ts";

/** One step for the oracle. */
export interface NotedStep {
  readonly step: Step;
  /** What the call answered here; undefined for what answers nothing. */
  readonly answer?: Json;
}

/** What a scenario did. */
export interface Noted {
  readonly steps: NotedStep[];
  /** Where in `steps` building ended, and where the last container stood. */
  created: number;
  started: number;
  /** Whether an image came to be in a way that the oracle does not know: its layers stand there as their calls left them. */
  built: boolean;
  /** A call that no step can say. */
  unsaid: string | undefined;
}

export function newNoted(): Noted {
  return { steps: [], created: 0, started: 0, built: false, unsaid: undefined };
}

/** What a call means as a step; `undefined`: the oracle need not make it, since it changes nothing. */
type Say = (task: Task, ...words: never[]) => Step | undefined;

const fdName = (fd: number): string => `fd${fd}`;
const dataOf = (content: Content): Json => {
  const short = shown(content) as { readonly data?: string };
  return short.data ?? { fill: "cowlab", len: content.length };
};
const timeOf = (time: Time | string): Json => (typeof time === "string" ? time : Number(timeToNanoseconds(time)));
const named = (bits: number, table: Readonly<Record<string, number>>): Json =>
  Object.keys(table).filter((name) => (bits & (table[name] as number)) !== 0);

/** The calls of a task by the step that says them. */
const SAID: Readonly<Record<string, Say>> = {
  open: (_, path: string, flags: number, mode = 0o644) => ({
    call: "open",
    path,
    flags: flagsText(flags).split("|"),
    mode: modeText(mode),
    fd: "",
  }),
  close: (_, fd: number) => ({ call: "close", fd: fdName(fd) }),
  read: (_, fd: number, len: number) => ({ call: "read", fd: fdName(fd), len }),
  pread: (_, fd: number, len: number, offset: number) => ({ call: "pread", fd: fdName(fd), len, offset }),
  write: (_, fd: number, content: Content) => ({ call: "write", fd: fdName(fd), data: dataOf(content) }),
  pwrite: (_, fd: number, content: Content, offset: number) => ({
    call: "pwrite",
    fd: fdName(fd),
    data: dataOf(content),
    offset,
  }),
  lseek: (_, fd: number, offset: number, whence: number) => ({
    call: "lseek",
    fd: fdName(fd),
    offset,
    whence: Object.keys(WHENCE).find((name) => WHENCE[name] === whence) ?? "",
  }),
  truncate: (_, path: string, len: number) => ({ call: "truncate", path, len }),
  ftruncate: (_, fd: number, len: number) => ({ call: "ftruncate", fd: fdName(fd), len }),
  fsync: (_, fd: number) => ({ call: "fsync", fd: fdName(fd) }),
  fdatasync: (_, fd: number) => ({ call: "fdatasync", fd: fdName(fd) }),
  syncfs: () => ({ call: "sync" }),
  fallocate: (_, fd: number, mode: number, offset: number, len: number) => ({
    call: "fallocate",
    fd: fdName(fd),
    flags: named(mode, FALLOCATE_FLAGS),
    offset,
    len,
  }),
  copyFileRange: (_, from: number, to: number, len: number) => ({
    call: "copy_file_range",
    fd: fdName(from),
    to: fdName(to),
    len,
  }),
  clone: (_, from: number, to: number) => ({ call: "clone", fd: fdName(from), to: fdName(to) }),
  stat: (_, path: string) => ({ call: "stat", path }),
  lstat: (_, path: string) => ({ call: "lstat", path }),
  fstat: (_, fd: number) => ({ call: "fstat", fd: fdName(fd) }),
  chmod: (_, path: string, mode: number) => ({ call: "chmod", path, mode: modeText(mode) }),
  fchmod: (_, fd: number, mode: number) => ({ call: "fchmod", fd: fdName(fd), mode: modeText(mode) }),
  chown: (_, path: string, uid: number, gid: number) => ({ call: "chown", path, uid, gid }),
  lchown: (_, path: string, uid: number, gid: number) => ({ call: "lchown", path, uid, gid }),
  fchown: (_, fd: number, uid: number, gid: number) => ({ call: "fchown", fd: fdName(fd), uid, gid }),
  utimens: (_, path: string, atime: Time | string, mtime: Time | string, nofollow = false) => ({
    call: "utimens",
    path,
    atime: timeOf(atime),
    mtime: timeOf(mtime),
    ...(nofollow ? { nofollow } : {}),
  }),
  mkdir: (_, path: string, mode = 0o777) => ({ call: "mkdir", path, mode: modeText(mode) }),
  mknod: (_, path: string, mode: number, rdev = 0) => ({
    call: "mknod",
    path,
    type: typeName(mode),
    mode: modeText(mode),
    rdev: [rdev >>> 8, rdev & 0xff],
  }),
  symlink: (_, target: string, path: string) => ({ call: "symlink", target, path }),
  link: (_, path: string, to: string) => ({ call: "link", path, to }),
  unlink: (_, path: string) => ({ call: "unlink", path }),
  rmdir: (_, path: string) => ({ call: "rmdir", path }),
  rename: (_, path: string, to: string, flags = 0) => ({ call: "rename", path, to, flags: named(flags, RENAME_FLAGS) }),
  readlink: (_, path: string) => ({ call: "readlink", path }),
  readdir: (_, path: string) => ({ call: "readdir", path }),
  setxattr: (_, path: string, name: string, value: Uint8Array) => ({ call: "setxattr", path, name, hex: hexOf(value) }),
  lsetxattr: (_, path: string, name: string, value: Uint8Array) => ({
    call: "setxattr",
    path,
    name,
    hex: hexOf(value),
    nofollow: true,
  }),
  fsetxattr: (_, fd: number, name: string, value: Uint8Array) => ({
    call: "setxattr",
    fd: fdName(fd),
    name,
    hex: hexOf(value),
  }),
  getxattr: (_, path: string, name: string) => ({ call: "getxattr", path, name }),
  listxattr: (_, path: string) => ({ call: "listxattr", path }),
  removexattr: (_, path: string, name: string) => ({ call: "removexattr", path, name }),
  mmap: (_, fd: number, prot: string, share: string) => ({ call: "mmap", fd: fdName(fd), prot, share }),
  cachedPages: (_, path: string) => ({ call: "cached", path }),
  dropPages: (_, path: string) => ({ call: "drop", path }),
};

/** Calls that change nothing on disk, and whose answer other calls tell. */
const SILENT: ReadonlySet<string> = new Set([
  ..."llistxattr flistxattr lgetxattr fgetxattr statfs access getFlags fadvise resolve exit watch chdirTo".split(" "),
]);

function attributesOf({ mode, uid, gid, nlink, size }: Attributes): Json {
  const type = typeName(mode);
  const sized = type === "file" || type === "symlink";
  return {
    type,
    mode: modeText(mode),
    uid,
    gid,
    ...((mode & S_IFMT) === 0o040000 ? {} : { nlink }),
    ...(sized ? { size: Number(size) } : {}),
  };
}

function answerOf(call: string, result: unknown): Json | undefined {
  if (result instanceof Errno) return { errno: result.code };
  if (result === undefined || call === "open") return { ok: true };
  if (typeof result === "number" || typeof result === "string") return { value: result };
  if (call === "readdir") {
    const entries = (result as DirectoryEntry[]).map(({ name, type }): [string, string] => [name, typeName(type)]);
    return { value: entries.sort(([one], [other]) => compareTexts(one, other)) };
  }
  if (call === "read" || call === "pread") return { value: { len: (result as Content).length } };
  if (call.endsWith("stat")) return { value: attributesOf(result as Attributes) };
  return undefined;
}

/** A task whose calls are noted under the name of its tree. */
function listenTo(task: Task, name: string, noted: Noted, as?: Json): Task {
  const say = (call: string, words: readonly unknown[], result: unknown): void => {
    if (SILENT.has(call)) return;
    const said = SAID[call];
    if (task.cwd.inode !== task.root.inode) noted.unsaid ??= `${call} in another working directory`;
    if (said === undefined) {
      noted.unsaid ??= call;
      return;
    }
    const step = (said as (task: Task, ...words: readonly unknown[]) => Step | undefined)(task, ...words);
    if (step === undefined) return;
    const fd = call === "open" ? { fd: isErrno(result) ? "none" : fdName(result as number) } : {};
    const whole: Step = { on: name, ...step, ...fd, umask: modeText(task.umask), ...(as === undefined ? {} : { as }) };
    const answer = answerOf(call, result);
    noted.steps.push(answer === undefined ? { step: whole } : { step: whole, answer });
  };
  return new Proxy(task, {
    get(target, key) {
      const found = Reflect.get(target, key, target) as unknown;
      if (typeof found !== "function") return found;
      if (key === "withCredentials")
        return (...words: Parameters<Task["withCredentials"]>) => {
          const { uid, gid, groups } = words[0] as { uid: number; gid: number; groups: Iterable<number> };
          return listenTo(target.withCredentials(...words), name, noted, { uid, gid, groups: [...groups] });
        };
      return (...words: unknown[]) => {
        const result = (found as (...words: unknown[]) => unknown).apply(target, words);
        say(String(key), words, result);
        return result;
      };
    },
    set: (target, key, value) => Reflect.set(target, key, value, target),
  });
}

/** Wraps the makers of worlds so that what happens in their layers and containers is noted. */
export function recordingWorld(make: MakeWorld, noted: Noted): MakeWorld {
  return (choice, host, seed) => {
    const world = make(choice, host, seed);
    if (world instanceof Missing || world instanceof WorldFailure) return world;
    return listenToWorld(world, noted);
  };
}

/** A name without the colon that separates lower layers in a mount's options. */
const plain = (name: string): string => name.replace(":", "-");

function listenToWorld(world: World, noted: Noted): World {
  const heard = new Set<CallSession>();
  /** The oracle's layer of an image that is built, and of the layer that the world made of it. */
  const states = new Map<string, string>();
  const layers = new Map<string, string>();
  const listen = (session: CallSession, name: string): CallSession => {
    if (!heard.has(session)) {
      heard.add(session);
      (session as { task: Task }).task = listenTo(session.task, plain(name), noted);
    }
    return session;
  };
  const lab = (kind: string, name: string, parent: string | undefined): void =>
    void noted.steps.push({ step: { lab: kind, name: plain(name), ...(parent === undefined ? {} : { parent: plain(parent) }) } });
  return {
    ...world,
    addLayer: (name, parent) => {
      lab("layer", name, parent);
      return world.addLayer(name, parent);
    },
    addContainer: (name, parent, options) => {
      if (noted.started === 0) noted.created = noted.steps.length;
      lab("container", name, layers.get(parent) ?? parent);
      noted.started = noted.steps.length;
      return world.addContainer(name, parent, options);
    },
    session: (name) => {
      const session = world.session(name);
      return session instanceof WorldFailure ? session : listen(session, name);
    },
    buildStep: (name, from, instruction, act) => {
      const layer = `${name}-${noted.steps.length}`;
      lab("layer", layer, from === undefined ? undefined : states.get(from));
      states.set(name, layer);
      noted.built = true;
      return world.buildStep(name, from, instruction, (session, user) => act(listen(session, layer), user));
    },
    copyStep: (name, from, order, context) => {
      noted.unsaid ??= "files that are copied into an image";
      return world.copyStep(name, from, order, context);
    },
    imageLayer: (name) => {
      const layer = world.imageLayer(name);
      const state = states.get(name);
      if (typeof layer === "string" && state !== undefined) layers.set(layer, state);
      return layer;
    },
    importImage: (name, archive) => {
      noted.unsaid ??= "an image from an archive";
      return world.importImage(name, archive);
    },
    remove: (name) => {
      noted.unsaid ??= "the removal of a container";
      return world.remove(name);
    },
    dropCaches: () => {
      noted.steps.push({ step: { lab: "drop" } });
      return world.dropCaches();
    },
  };
}
