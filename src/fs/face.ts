/**
 * A node:fs-shaped object over one simulated process: every function of Node's in its three forms, made from tables of operations.
 *
 * Interface: synchronous forms work at once. The others check their arguments at once, do their work in the order of the calls when the event
 * loop comes round, and answer then; so a program sees what it would see of a thread pool with one thread.
 */
import { promisify } from "node:util";
import { isErrno } from "../../sim/core/errno.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { CONSTANTS } from "./constants.ts";
import { CONTENT_CALLS } from "./content-calls.ts";
import { copyRequest, copyTree, runNow, runWaiting } from "./copy-tree.ts";
import { Dir } from "./dir.ts";
import { typeError } from "./errors.ts";
import { FILE_CALLS } from "./file-calls.ts";
import { FileHandle, isPieces } from "./handle.ts";
import { Kernel, type ProcessOptions } from "./kernel.ts";
import { NAME_CALLS, NATIVE_REALPATH } from "./name-calls.ts";
import type { Operation, OperationTable } from "./operation.ts";
import { options, path } from "./readers.ts";
import { Dirent, Stats } from "./stats.ts";
import { type StreamCalls, streamClass, streamMakers } from "./streams.ts";
import { TREE_CALLS } from "./tree-calls.ts";
import { StatWatchers, watch, watchAll } from "./watch.ts";

/** Every operation, by the name of its callback form. */
const OPERATIONS: OperationTable = { ...FILE_CALLS, ...CONTENT_CALLS, ...NAME_CALLS, ...TREE_CALLS };

type AnyFunction = (...args: unknown[]) => unknown;
type Callback = (error: unknown, ...results: unknown[]) => void;

/** What an operation gives its synchronous form. */
function now(kernel: Kernel, of: Operation): AnyFunction {
  const part = of.parts?.[0];
  return (...args) => {
    const values = of.read(args, "sync");
    kernel.enter();
    const result = of.make(kernel, values, "sync");
    return part === undefined ? result : (result as Record<string, unknown>)[part];
  };
}

/** Does the work when the event loop comes round. */
function later<T>(work: () => T, callback: (error: unknown, result?: T) => void): void {
  setImmediate(() => {
    let result: T;
    try {
      result = work();
    } catch (error) {
      callback(error);
      return;
    }
    callback(null, result);
  });
}

function promised<T>(work: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    later(work, (error, result) => (error === null ? resolve(result as T) : reject(error)));
  });
}

/** Calls whose last argument before the callback cannot be left out. */
const WHOLE_CALLS: ReadonlySet<string> = new Set(
  "chmod chown close fchmod fchown fdatasync fsync futimes lchown link lutimes rename unlink utimes".split(" "),
);

/** Calls that look for their callback when their other arguments are known to be right. */
const LATE_CALLBACK: ReadonlySet<string> = new Set(
  "access chmod copyFile fchmod fchown futimes open read readv rm write writev".split(" "),
);

/**
 * What stands where the callback should: behind all arguments, or in the place of the last one, which may be left out.
 * @param arity - how many arguments there are before it; none: it is the last one of all, or of those before some that are undefined
 */
function callbackOf(args: readonly unknown[], arity: number | undefined, isWhole: boolean): unknown {
  const early = arity === undefined ? args.findLast((arg) => arg !== undefined) : args[arity - 1];
  if (!isWhole && typeof early === "function") return early;
  // Where there is no place for it, most often it was forgotten: what stands last is another argument.
  return arity === undefined ? undefined : args[arity];
}

/** @throws ERR_INVALID_ARG_TYPE. */
function mustCall(callback: unknown): asserts callback is Callback {
  if (typeof callback !== "function") throw typeError("cb", "of type function", callback);
}

/** The arguments without the callback and what comes behind it. */
function besides(args: readonly unknown[], callback: unknown): unknown[] {
  return typeof callback === "function" ? args.slice(0, args.indexOf(callback)) : [...args];
}

function withCallback(kernel: Kernel, of: Operation, name: string): AnyFunction {
  const make = inPromise(kernel, of);
  const isWhole = WHOLE_CALLS.has(name);
  const call: AnyFunction = (...args) => {
    if (name === "close" && args.length === 1) args.push(throwFailure);
    const callback = name === "open" ? openCallback(args) : callbackOf(args, of.arity, isWhole);
    if (!LATE_CALLBACK.has(name)) mustCall(callback);
    const values = of.read(besides(args, callback), "callback");
    mustCall(callback);
    later(
      () => {
        kernel.enter();
        return of.make(kernel, values, "callback");
      },
      (error, result) => {
        if (error !== null) callback(error);
        else if (of.parts === undefined) result === undefined ? callback(null) : callback(null, result);
        else callback(null, ...of.parts.map((part) => (result as Record<string, unknown>)[part]));
      },
    );
  };
  if (of.parts !== undefined) Object.defineProperty(call, promisify.custom, { value: make, enumerable: false });
  return call;
}

/** The callback of open, of whose three arguments two may be left out. */
function openCallback(args: readonly unknown[]): unknown {
  return args.length < 3 ? callbackOf(args, 1, true) : callbackOf(args, 3, false);
}

/** What close does without a callback. */
const throwFailure: Callback = (error) => {
  if (error !== null) throw error;
};

function inPromise(kernel: Kernel, of: Operation): (...args: unknown[]) => Promise<unknown> {
  return async (...args) => {
    const values = of.read(args, "promise");
    return promised(() => {
      kernel.enter();
      return of.make(kernel, values, "promise");
    });
  };
}

/** Operations of callback and synchronous form alone: they take descriptors, which a FileHandle stands for. */
const DESCRIPTOR_CALLS: ReadonlySet<string> = new Set(Object.keys(FILE_CALLS));

type Bag = Record<string, unknown>;

function isPath(name: unknown): boolean {
  try {
    path(name);
    return true;
  } catch {
    return false;
  }
}

function addExists(kernel: Kernel, face: Bag): void {
  const exists = (name: unknown): boolean => {
    if (!isPath(name)) return false;
    kernel.enter();
    return !isErrno(kernel.task.access(path(name), 0));
  };
  face["existsSync"] = exists;
  const call: AnyFunction = (name, callback) => {
    if (typeof callback !== "function") throw typeError("cb", "of type function", callback);
    if (isPath(name)) setImmediate(() => callback(exists(name)));
    else callback(false);
  };
  const asked = (name: unknown): Promise<boolean> => promised(() => exists(name));
  Object.defineProperty(call, promisify.custom, { value: asked, enumerable: false });
  face["exists"] = call;
}

function addCopy(kernel: Kernel, face: Bag, promises: Bag): void {
  face["cpSync"] = (...args: unknown[]): void => {
    const request = copyRequest(args);
    kernel.enter();
    runNow(copyTree(kernel, request));
  };
  promises["cp"] = async (...args: unknown[]): Promise<void> => {
    const request = copyRequest(args);
    await promised(() => kernel.enter());
    await runWaiting(copyTree(kernel, request));
  };
  face["cp"] = (...args: unknown[]): void => {
    const callback = callbackOf(args, 3, false);
    mustCall(callback);
    const request = copyRequest(besides(args, callback));
    promised(() => kernel.enter())
      .then(() => runWaiting(copyTree(kernel, request)))
      .then(
        () => setImmediate(callback, null, undefined),
        (error) => setImmediate(callback, error),
      );
  };
}

function addStreams(kernel: Kernel, face: Bag, promises: Bag): void {
  const calls = face as unknown as StreamCalls;
  const streams = streamMakers(calls);
  face["createReadStream"] = streams.read;
  face["createWriteStream"] = streams.write;
  face["ReadStream"] = streamClass(calls, "read");
  face["WriteStream"] = streamClass(calls, "write");
  face["FileReadStream"] = face["ReadStream"];
  face["FileWriteStream"] = face["WriteStream"];
  const perform = (name: string, args: readonly unknown[]): Promise<unknown> =>
    inPromise(kernel, OPERATIONS[name] as Operation)(...args);
  const parts = { perform, readStream: streams.readHandle, writeStream: streams.writeHandle };
  promises["open"] = async (...args: unknown[]): Promise<FileHandle> =>
    new FileHandle((await perform("open", args)) as number, parts);
}

function addWatches(kernel: Kernel, face: Bag, promises: Bag): void {
  face["watch"] = (...args: unknown[]) => watch(kernel, args);
  promises["watch"] = (...args: unknown[]) => watchAll(kernel, args);
  const watchers = new StatWatchers(kernel);
  face["watchFile"] = (...args: unknown[]) => watchers.watch(args);
  face["unwatchFile"] = (...args: unknown[]) => watchers.unwatch(args);
}

/** promises.writeFile takes streams and other iterations, too: each piece is written behind the last one. */
function addPieces(promises: Bag): void {
  const whole = promises["writeFile"] as (...args: unknown[]) => Promise<unknown>;
  const open = promises["open"] as (...args: unknown[]) => Promise<FileHandle>;
  promises["writeFile"] = async (...args: unknown[]): Promise<unknown> => {
    const [target, data, given] = args;
    if (!isPieces(data)) return whole(...args);
    const read = options(given);
    const handle = target instanceof FileHandle ? target : await open(target, read["flag"] ?? "w", read["mode"]);
    try {
      await handle.writeFile(data, given);
      if (read["flush"] === true) await handle.sync();
    } finally {
      if (handle !== target) await handle.close();
    }
    return undefined;
  };
}

/** Functions are called by what the object calls them, in stacks too; a class keeps its name under another. */
function nameFunctions(bag: Bag): void {
  for (const [name, value] of Object.entries(bag))
    if (typeof value === "function" && !name.startsWith("File"))
      Object.defineProperty(value, "name", { value: name, configurable: true });
}

/** Operations on a path or on a descriptor, which their promise forms do not take. */
const OPEN_TOO: ReadonlySet<string> = new Set(["readFile", "writeFile", "appendFile", "truncate"]);

/** An operation on paths and handles alone. */
function onPath(make: (...args: unknown[]) => Promise<unknown>): (...args: unknown[]) => Promise<unknown> {
  return async (...args) => {
    if (typeof args[0] === "number") path(args[0]);
    return make(...args);
  };
}

/** What node:fs looks like to whoever uses it, but for what a simulated process cannot do. */
export type NodeFs = Omit<typeof import("node:fs"), "openAsBlob" | "lchmod" | "lchmodSync" | "glob" | "globSync">;

/**
 * The files of a simulated process in the form of node:fs.
 * @param task - such as `Lab.task` of a container gives
 * @throws an error of node:fs where `process.cwd` is no directory
 */
export function nodeFs(task: Task, process: ProcessOptions = {}): NodeFs {
  return faceOf(new Kernel(task, process));
}

/** The same over a process that may be exchanged. */
export function faceOf(kernel: Kernel): NodeFs {
  const promises: Bag = { constants: CONSTANTS };
  const face: Bag = { promises, constants: CONSTANTS, Stats, Dirent, Dir };
  for (const [name, of] of Object.entries(OPERATIONS)) {
    face[`${name}Sync`] = now(kernel, of);
    face[name] = withCallback(kernel, of, name);
    if (!DESCRIPTOR_CALLS.has(name)) promises[name] = OPEN_TOO.has(name) ? onPath(inPromise(kernel, of)) : inPromise(kernel, of);
  }
  promises["realpath"] = inPromise(kernel, NATIVE_REALPATH);
  Object.assign(face["realpath"] as object, { native: withCallback(kernel, NATIVE_REALPATH, "realpath") });
  Object.assign(face["realpathSync"] as object, { native: now(kernel, NATIVE_REALPATH) });
  for (const name of ["F_OK", "R_OK", "W_OK", "X_OK"]) face[name] = CONSTANTS[name];
  addExists(kernel, face);
  addCopy(kernel, face, promises);
  addStreams(kernel, face, promises);
  addWatches(kernel, face, promises);
  addPieces(promises);
  nameFunctions(face);
  nameFunctions(promises);
  return face as unknown as NodeFs;
}
