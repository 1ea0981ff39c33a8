/**
 * fs.watch, fs.promises.watch and fs.watchFile: the kernel's watches as libuv and Node tell of them (libuv 1.46 src/unix/linux.c, uv__inotify_read).
 *
 * Interface: events are those that the simulated kernel's inotify gives, so a watcher of a file in a lower layer hears nothing of what a union mount
 * did to its copy. They come when the event loop comes round. A watcher keeps no process alive: nothing but the program itself changes its files.
 */
import { EventEmitter } from "node:events";
import { posix } from "node:path";
import { isErrno } from "../../sim/core/errno.ts";
import { newAttributes } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import {
  IN_ATTRIB,
  IN_CREATE,
  IN_DELETE,
  IN_DELETE_SELF,
  IN_IGNORED,
  IN_MODIFY,
  IN_MOVE_SELF,
  IN_MOVED_FROM,
  IN_MOVED_TO,
} from "../../sim/vfs/watches.ts";
import { abortError, systemError, typeError } from "./errors.ts";
import type { Kernel } from "./kernel.ts";
import { encoded, flagOf, integer, type Options, options, path } from "./readers.ts";
import { BigIntStats, Stats } from "./stats.ts";
import { type TreeParts, watchTree } from "./watch-tree.ts";

/** What libuv asks inotify for. */
const MASK = IN_ATTRIB | IN_CREATE | IN_MODIFY | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_MOVED_FROM | IN_MOVED_TO;

type Told = (eventType: "change" | "rename", name: string) => void;

/** What inotify tells of one inode: the number of its watch, which no other gets again. */
interface Event {
  readonly watched: number;
  readonly mask: number;
  readonly child: string;
}

interface Watcher {
  /** The name of what is watched, for events that have none. */
  readonly own: string;
  readonly told: Told;
}

/** A process's one inotify instance, which libuv's watchers share: one watch an inode, however many of them there are. */
interface Inotify {
  /** What has not been read yet. */
  events: Event[];
  /** The watches by device and inode; one whose inode has gone is no longer here. */
  readonly numbers: Map<string, number>;
  last: number;
  readonly watchers: Map<number, Set<Watcher>>;
}

const instances = new WeakMap<Task, Inotify>();

function inotifyOf(task: Task): Inotify {
  const known = instances.get(task) ?? { events: [], numbers: new Map(), last: 0, watchers: new Map() };
  instances.set(task, known);
  return known;
}

/**
 * Queues an event until the event loop comes round. One that says what the last one says is not queued again (inotify_merge,
 * fs/notify/inotify/inotify_fsnotify.c, Linux 6.18), so that the watchers of an inode bring each of its events once.
 */
function queue(inotify: Inotify, event: Event): void {
  const last = inotify.events.at(-1);
  if (last?.watched === event.watched && last.mask === event.mask && last.child === event.child) return;
  inotify.events.push(event);
  setImmediate(() => {
    // Whoever reads reads all that there is.
    inotify.events = [];
    deliver(inotify, event);
  });
}

/**
 * Tells an event to those who watch its inode by now. libuv calls everything a rename but changes of content and attributes, also those of directories.
 * What a listener throws is no matter to the others.
 */
function deliver(inotify: Inotify, { watched, mask, child }: Event): void {
  const eventType = (mask & ~(IN_ATTRIB | IN_MODIFY)) === 0 ? "change" : "rename";
  for (const { own, told } of [...(inotify.watchers.get(watched) ?? [])]) {
    try {
      told(eventType, child === "" ? own : child);
    } catch (error) {
      setImmediate(() => {
        throw error;
      });
    }
  }
}

/** Begins a watch. */
function begin(kernel: Kernel, name: string, told: Told): () => void {
  const inotify = inotifyOf(kernel.task);
  const { numbers, watchers } = inotify;
  const of = kernel.task.stat(name, kernel.attributes);
  const inode = isErrno(of) ? "" : `${of.device}:${of.inodeNumber}`;
  const watched = numbers.get(inode) ?? inotify.last + 1;
  const end = kernel.task.watch(name, MASK, (mask, child) => {
    queue(inotify, { watched, mask, child });
    if ((mask & IN_IGNORED) !== 0) numbers.delete(inode);
  });
  if (isErrno(end)) throw Object.assign(systemError(end, "watch", { path: name }), { filename: name });
  inotify.last = Math.max(inotify.last, watched);
  numbers.set(inode, watched);
  const watcher: Watcher = { own: posix.basename(name), told };
  const all = watchers.get(watched) ?? new Set();
  watchers.set(watched, all.add(watcher));
  return () => {
    end();
    all.delete(watcher);
    if (all.size > 0) return;
    watchers.delete(watched);
    if (numbers.get(inode) === watched) numbers.delete(inode);
  };
}

/** Begins a watch of a file or folder, or of a whole tree. */
function beginAny(
  kernel: Kernel,
  name: string,
  given: Options,
  { told, failed }: Pick<TreeParts, "told" | "failed">,
): () => void {
  if (given["recursive"] !== true) return begin(kernel, name, told);
  return watchTree(kernel, name, { told, failed, begin: (at, heard) => begin(kernel, at, heard) });
}

function watchOptions(value: unknown): Options {
  const given = options(value);
  flagOf(given, "recursive");
  return given;
}

/** What watch gives. */
interface FSWatcher extends EventEmitter {
  close(): void;
  ref(): FSWatcher;
  unref(): FSWatcher;
}

/** fs.watch(path, options, listener). */
export function watch(kernel: Kernel, args: readonly unknown[]): EventEmitter {
  const [target, second, third] = args;
  const listener = typeof second === "function" ? second : third;
  const name = path(target);
  const given = watchOptions(typeof second === "function" ? undefined : second);
  let open = true;
  const told: Told = (eventType, child) => {
    if (open) emitter.emit("change", eventType, given["recursive"] === true ? child : encoded(child, given));
  };
  const failed = (error: unknown): void => {
    if (open) emitter.emit("error", error);
  };
  const end = beginAny(kernel, name, given, { told, failed });
  const emitter: FSWatcher = Object.assign(new EventEmitter(), {
    close: () => {
      if (!open) return;
      open = false;
      end();
      setImmediate(() => emitter.emit("close"));
    },
    ref: () => emitter,
    unref: () => emitter,
  });
  if (typeof listener === "function") emitter.on("change", listener as (...changed: unknown[]) => void);
  const { signal } = given as { signal?: AbortSignal };
  if (signal?.aborted === true) setImmediate(() => emitter.close());
  else signal?.addEventListener("abort", () => emitter.close(), { once: true });
  return emitter;
}

interface Change {
  readonly eventType: string;
  readonly filename: unknown;
}

/** fs.promises.watch: the same as an endless iteration, which the signal ends. */
export async function* watchAll(kernel: Kernel, args: readonly unknown[]): AsyncGenerator<Change, void> {
  const name = path(args[0]);
  const given = watchOptions(args[1]);
  flagOf(given, "persistent");
  const { signal } = given as { signal?: AbortSignal };
  const changes: Change[] = [];
  let wake: (() => void) | undefined;
  const isTree = given["recursive"] === true;
  const told: Told = (eventType, child) => {
    // Of a tree Node tells what comes while somebody waits for it.
    if (isTree && (wake === undefined || changes.length > 0)) return;
    changes.push({ eventType, filename: isTree ? child : encoded(child, given) });
    wake?.();
  };
  const end = beginAny(kernel, name, given, { told, failed: () => undefined });
  signal?.addEventListener("abort", () => wake?.(), { once: true });
  try {
    while (true) {
      if (signal?.aborted === true) throw abortError(signal);
      const next = changes.shift();
      if (next !== undefined) yield next;
      else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        wake = undefined;
      }
    }
  } finally {
    end();
  }
}

/** How often watchFile looks by default, in milliseconds. */
const INTERVAL = 5007;

interface StatWatcher extends EventEmitter {
  readonly timer: NodeJS.Timeout;
}

/** The files that watchFile looks at. */
export class StatWatchers {
  readonly #kernel: Kernel;
  readonly #watchers = new Map<string, StatWatcher>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** fs.watchFile(path, options, listener). */
  watch(args: readonly unknown[]): EventEmitter {
    const listener = typeof args[1] === "function" ? args[1] : args[2];
    if (typeof listener !== "function") throw typeError("listener", "of type function", listener);
    const name = path(args[0]);
    const given = options(typeof args[1] === "function" ? undefined : args[1]);
    const interval = given["interval"] === undefined ? INTERVAL : integer(given["interval"], "interval", 0);
    let known = this.#watchers.get(name);
    if (known === undefined) {
      const look = this.#lookAt(name, given["bigint"] === true);
      known = Object.assign(new EventEmitter(), { timer: setInterval(() => look(known as EventEmitter), interval) });
      if (given["persistent"] === false) known.timer.unref();
      this.#watchers.set(name, known);
      look(known);
    }
    known.on("change", listener as (...changed: unknown[]) => void);
    return known;
  }

  /** What compares a file with how it was, and tells when it changed. One that is not there is all zeros, which is told at once. */
  #lookAt(name: string, bigint: boolean): (emitter: EventEmitter) => void {
    const { task } = this.#kernel;
    let before = newAttributes();
    const shown = (of: typeof before): object => (bigint ? new BigIntStats(of) : new Stats(of));
    let first = true;
    return (emitter) => {
      const now = newAttributes();
      const missing = isErrno(task.stat(name, now));
      const differs = missing ? first || before.mode !== 0 : !first && isOther(before, now);
      const previous = first ? now : before;
      first = false;
      before = missing ? newAttributes() : now;
      if (differs)
        setImmediate(() => emitter.emit("change", shown(before), shown(missing && previous === now ? before : previous)));
    };
  }

  /** fs.unwatchFile(path, listener). */
  unwatch([target, listener]: readonly unknown[]): void {
    const name = path(target);
    const known = this.#watchers.get(name);
    if (known === undefined) return;
    if (typeof listener === "function") known.off("change", listener as (...changed: unknown[]) => void);
    else known.removeAllListeners("change");
    if (known.listenerCount("change") > 0) return;
    clearInterval(known.timer);
    this.#watchers.delete(name);
  }
}

function isOther(one: ReturnType<typeof newAttributes>, other: ReturnType<typeof newAttributes>): boolean {
  const times = ["mtime", "ctime"] as const;
  return (
    times.some((key) => one[key].seconds !== other[key].seconds || one[key].nanoseconds !== other[key].nanoseconds) ||
    one.size !== other.size ||
    one.inodeNumber !== other.inodeNumber ||
    one.mode !== other.mode
  );
}
