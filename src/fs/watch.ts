/**
 * fs.watch, fs.promises.watch and fs.watchFile: the kernel's watches as libuv and Node tell of them (libuv 1.46 src/unix/linux.c, uv__inotify_read).
 *
 * Interface: events are those that the simulated kernel's inotify gives, so a watcher of a file in a lower layer hears nothing of what a union mount
 * did to its copy. They come when the event loop comes round. A watcher keeps no process alive: nothing but the program itself changes its files.
 * Folders are watched without what is below them: `recursive` is refused.
 */
import { EventEmitter } from "node:events";
import { posix } from "node:path";
import { isErrno } from "../../sim/core/errno.ts";
import { newAttributes } from "../../sim/vfs/filesystem.ts";
import {
  IN_ATTRIB,
  IN_CREATE,
  IN_DELETE,
  IN_DELETE_SELF,
  IN_MODIFY,
  IN_MOVE_SELF,
  IN_MOVED_FROM,
  IN_MOVED_TO,
} from "../../sim/vfs/watches.ts";
import { abortError, codedError, systemError, typeError } from "./errors.ts";
import type { Kernel } from "./kernel.ts";
import { encoded, flagOf, integer, type Options, options, path } from "./readers.ts";
import { BigIntStats, Stats } from "./stats.ts";

/** What libuv asks inotify for. */
const MASK = IN_ATTRIB | IN_CREATE | IN_MODIFY | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_MOVED_FROM | IN_MOVED_TO;

type Told = (eventType: "change" | "rename", name: string) => void;

/** An event that has not been read yet, and which watchers of that inode it is for. */
interface Waiting {
  readonly watched: string;
  readonly mask: number;
  readonly child: string;
  readonly readers: Told[];
}

/** What a process has not read yet of its one inotify instance, which libuv's watchers share. */
const waiting = new WeakMap<Kernel, Waiting[]>();

/**
 * Queues an event until the event loop comes round. One that says what the last one says, of the same inode, is not queued again
 * (inotify_merge, fs/notify/inotify/inotify_fsnotify.c, Linux 6.18). libuv calls everything a rename but changes of content and attributes, also those
 * of directories.
 */
function queue(kernel: Kernel, event: Omit<Waiting, "readers">, own: string, told: Told): void {
  let events = waiting.get(kernel);
  if (events === undefined) {
    events = [];
    waiting.set(kernel, events);
    setImmediate(() => {
      const read = waiting.get(kernel) ?? [];
      waiting.delete(kernel);
      for (const { mask, child, readers } of read) {
        const eventType = (mask & ~(IN_ATTRIB | IN_MODIFY)) === 0 ? "change" : "rename";
        for (const reader of readers) reader(eventType, child);
      }
    });
  }
  const child = event.child === "" ? own : event.child;
  const last = events.at(-1);
  const isSame = last !== undefined && last.watched === event.watched && last.mask === event.mask && last.child === child;
  if (!isSame) events.push({ ...event, child, readers: [told] });
  else if (!last.readers.includes(told)) last.readers.push(told);
}

/** Begins a watch. */
function begin(kernel: Kernel, name: string, told: Told): () => void {
  const own = posix.basename(name);
  const of = kernel.task.stat(name, kernel.attributes);
  const watched = isErrno(of) ? "" : `${of.device}:${of.inodeNumber}`;
  const end = kernel.task.watch(name, MASK, (mask, child) => queue(kernel, { watched, mask, child }, own, told));
  if (!isErrno(end)) return end;
  throw Object.assign(systemError(end, "watch", { path: name }), { filename: name });
}

function watchOptions(value: unknown): Options {
  const given = options(value);
  if (flagOf(given, "recursive"))
    throw codedError("ERR_FEATURE_UNAVAILABLE_ON_PLATFORM", "watch recursively is not simulated: watch each directory");
  return given;
}

/** fs.FSWatcher: what watch gives. */
interface Watcher extends EventEmitter {
  close(): void;
  ref(): Watcher;
  unref(): Watcher;
}

/** fs.watch(path, options, listener). */
export function watch(kernel: Kernel, args: readonly unknown[]): EventEmitter {
  const [target, second, third] = args;
  const listener = typeof second === "function" ? second : third;
  const name = path(target);
  const given = watchOptions(typeof second === "function" ? undefined : second);
  let open = true;
  const end = begin(kernel, name, (eventType, child) => {
    if (open) emitter.emit("change", eventType, encoded(child, given));
  });
  const emitter: Watcher = Object.assign(new EventEmitter(), {
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
  let wake = (): void => undefined;
  const end = begin(kernel, name, (eventType, child) => {
    changes.push({ eventType, filename: encoded(child, given) });
    wake();
  });
  signal?.addEventListener("abort", () => wake(), { once: true });
  try {
    while (true) {
      if (signal?.aborted === true) throw abortError(signal);
      const next = changes.shift();
      if (next !== undefined) yield next;
      else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
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
