/**
 * Calls of the plain tree on open files and their content.
 */
import {
  EACCES,
  EBADF,
  EEXIST,
  EINVAL,
  EISDIR,
  ELOOP,
  ENODEV,
  ENOENT,
  ENOTDIR,
  ENXIO,
  type Errno,
} from "../../../sim/core/errno.ts";
import { isList, isRecord, type Json } from "../../calls/json.ts";
import { type Step, textOf, wholeOf } from "../../calls/step.ts";
import { makeNode, modeOfStep } from "./names.ts";
import { clearData, dataOf, type ModelNode, moveData, setSize, writeData } from "./node.ts";
import type { ModelFile, ModelTree } from "./tree.ts";

/** What a step's flags ask for. */
interface OpenFlags {
  readonly readable: boolean;
  readonly writable: boolean;
  readonly create: boolean;
  readonly exclusive: boolean;
  readonly truncate: boolean;
  readonly append: boolean;
  readonly noFollow: boolean;
  readonly directory: boolean;
}

/** Of every filesystem that moves data by fallocate(2), in bytes. */
const BLOCK_SIZE = 4096;

const KNOWN_FLAGS = new WeakMap<object, OpenFlags>();

function flagsOf(step: Step): OpenFlags {
  const names = step["flags"];
  if (!isList(names)) return readFlags([]);
  let known = KNOWN_FLAGS.get(names);
  if (known === undefined) {
    known = readFlags(names);
    KNOWN_FLAGS.set(names, known);
  }
  return known;
}

function readFlags(names: readonly Json[]): OpenFlags {
  const has = (name: string): boolean => names.includes(name);
  return {
    readable: !has("O_WRONLY"),
    writable: has("O_WRONLY") || has("O_RDWR"),
    create: has("O_CREAT"),
    exclusive: has("O_EXCL"),
    truncate: has("O_TRUNC"),
    append: has("O_APPEND"),
    noFollow: has("O_NOFOLLOW"),
    directory: has("O_DIRECTORY"),
  };
}

export function open(tree: ModelTree, step: Step): Errno | undefined {
  const flags = flagsOf(step);
  const follow = !flags.noFollow && !(flags.create && flags.exclusive);
  const lost = tree.walk(textOf(step, "path"), follow);
  if (lost !== undefined) return lost;
  const found = tree.node;
  const node = found === undefined ? createFor(tree, step, flags) : openExisting(tree, found, flags);
  if ("code" in node) return node;
  const { readable, writable, append } = flags;
  tree.files.set(textOf(step, "fd"), { node, readable, writable, append, position: 0 });
  return undefined;
}

function createFor(tree: ModelTree, step: Step, flags: OpenFlags): ModelNode | Errno {
  if (!flags.create) return ENOENT;
  return makeNode(tree, "file", modeOfStep(step) & 0o7777);
}

function openExisting(tree: ModelTree, node: ModelNode, flags: OpenFlags): ModelNode | Errno {
  if (flags.create && flags.exclusive) return EEXIST;
  if (flags.create && node.type === "dir") return EISDIR;
  if (flags.create && tree.isOthersInSticky(node)) return EACCES;
  if (flags.directory && node.type !== "dir") return ENOTDIR;
  if (node.type === "symlink") return ELOOP;
  if (node.type === "dir" && (flags.writable || flags.truncate)) return EISDIR;
  const mask = (flags.readable ? 4 : 0) | (flags.writable || flags.truncate ? 2 : 0);
  if (!tree.may(node, mask)) return EACCES;
  if (node.type === "dir") return node;
  if (node.type !== "file") return ENXIO;
  if (flags.writable || flags.truncate) tree.change(node);
  if (!flags.truncate) return node;
  setSize(node, 0);
  dropSetId(tree, node);
  node.mtime = undefined;
  return node;
}

/** What writing takes away from a file that belongs to nobody privileged: set-id bits. */
function dropSetId(tree: ModelTree, node: ModelNode): void {
  if (tree.actor.uid === 0 || (node.mode & 0o6000) === 0) return;
  const group = (node.mode & 0o2000) !== 0 && ((node.mode & 0o010) !== 0 || !tree.keepsGroupBit(node.gid));
  node.mode &= group ? ~0o6000 : ~0o4000;
}

function fileOf(tree: ModelTree, step: Step): ModelFile | Errno {
  return tree.files.get(textOf(step, "fd")) ?? EBADF;
}

export function close(tree: ModelTree, step: Step): Errno | undefined {
  return tree.files.delete(textOf(step, "fd")) ? undefined : EBADF;
}

/** fsync and fdatasync of what is open. */
export function fsync(tree: ModelTree, step: Step): Errno | undefined {
  const file = fileOf(tree, step);
  return "code" in file ? file : undefined;
}

/** The bytes that a read gives; they share the file's memory, to be looked at at once. */
function readAt(file: ModelFile, offset: number, length: number): Uint8Array | Errno {
  if (!file.readable) return EBADF;
  if (file.node.type === "dir") return EISDIR;
  return dataOf(file.node, offset, length);
}

/** Where a directory stands after lseek: each filesystem counts in its own way. */
const UNKNOWN = Number.NaN;

/** @returns undefined where it depends on a position that nobody knows. */
export function read(tree: ModelTree, step: Step): Uint8Array | Errno | undefined {
  const file = fileOf(tree, step);
  if ("code" in file) return file;
  if (Number.isNaN(file.position)) return undefined;
  const found = readAt(file, file.position, wholeOf(step, "len"));
  if (!("code" in found)) file.position += found.length;
  return found;
}

export function pread(tree: ModelTree, step: Step): Uint8Array | Errno {
  const file = fileOf(tree, step);
  return "code" in file ? file : readAt(file, wholeOf(step, "offset"), wholeOf(step, "len"));
}

const KNOWN_DATA = new WeakMap<object, Uint8Array>();
const KNOWN_TEXT = new Map<string, Uint8Array>();

/** A step's bytes; each is made once. */
function bytesOf(data: Json | undefined): Uint8Array {
  if (typeof data === "string") {
    const known = KNOWN_TEXT.get(data) ?? new TextEncoder().encode(data);
    if (KNOWN_TEXT.size < 1000) KNOWN_TEXT.set(data, known);
    return known;
  }
  if (!isRecord(data)) return new Uint8Array(0);
  let known = KNOWN_DATA.get(data);
  if (known === undefined) {
    const unit = new TextEncoder().encode(String(data["fill"]));
    known = new Uint8Array(Number(data["len"]));
    for (let at = 0; at < known.length; at++) known[at] = unit[at % unit.length] as number;
    KNOWN_DATA.set(data, known);
  }
  return known;
}

function writeAt(tree: ModelTree, file: ModelFile, offset: number, data: Uint8Array): number {
  dropSetId(tree, file.node);
  writeData(file.node, offset, data);
  return data.length;
}

export function write(tree: ModelTree, step: Step): number | Errno {
  const file = fileOf(tree, step);
  if ("code" in file) return file;
  if (!file.writable) return EBADF;
  const data = bytesOf(step["data"]);
  const offset = file.append ? file.node.size : file.position;
  if (data.length > 0) file.position = offset + data.length;
  return data.length === 0 ? 0 : writeAt(tree, file, offset, data);
}

export function pwrite(tree: ModelTree, step: Step): number | Errno {
  const file = fileOf(tree, step);
  if ("code" in file) return file;
  if (!file.writable) return EBADF;
  const data = bytesOf(step["data"]);
  return data.length === 0 ? 0 : writeAt(tree, file, file.append ? file.node.size : wholeOf(step, "offset"), data);
}

export function lseek(tree: ModelTree, step: Step): number | Errno | undefined {
  const file = fileOf(tree, step);
  if ("code" in file) return file;
  if (file.node.type === "dir") {
    file.position = UNKNOWN;
    return undefined;
  }
  const offset = wholeOf(step, "offset");
  const whence = textOf(step, "whence");
  const from = whence === "SEEK_CUR" ? file.position : whence === "SEEK_END" ? file.node.size : 0;
  if (from + offset < 0) return EINVAL;
  file.position = from + offset;
  return file.position;
}

export function ftruncate(tree: ModelTree, step: Step): Errno | undefined {
  const file = fileOf(tree, step);
  if ("code" in file) return file;
  if (!file.writable) return EINVAL;
  dropSetId(tree, file.node);
  setSize(file.node, wholeOf(step, "len"));
  file.node.mtime = undefined;
  return undefined;
}

export function truncate(tree: ModelTree, step: Step): Errno | undefined {
  const node = tree.find(textOf(step, "path"), true);
  if ("code" in node) return node;
  if (node.type === "dir") return EISDIR;
  if (node.type !== "file") return EINVAL;
  if (!tree.may(node, 2)) return EACCES;
  tree.change(node);
  dropSetId(tree, node);
  setSize(node, wholeOf(step, "len"));
  node.mtime = undefined;
  return undefined;
}

/** Writes a file back and forgets its cached pages: what it shows next comes from the disk. */
export function drop(tree: ModelTree, step: Step): Errno | undefined {
  const node = tree.find(textOf(step, "path"), true);
  if ("code" in node) return node;
  return tree.may(node, 4) ? undefined : EACCES;
}

/** Whether what lies at a path is no file: opening it is another affair. */
export function isNoFile(tree: ModelTree, step: Step): boolean {
  const node = tree.find(textOf(step, "path"), true);
  return !("code" in node) && node.type !== "file";
}

export function fallocate(tree: ModelTree, step: Step): Errno | undefined {
  const file = fileOf(tree, step);
  if ("code" in file) return file;
  if (!file.writable) return EBADF;
  if (file.node.type !== "file") return ENODEV;
  const { flags } = step;
  const has = (name: string): boolean => isList(flags) && flags.includes(name);
  const offset = wholeOf(step, "offset");
  const end = offset + wholeOf(step, "len");
  dropSetId(tree, file.node);
  const { node } = file;
  if (has("COLLAPSE_RANGE") || has("INSERT_RANGE")) return shiftData(node, offset, end, has("INSERT_RANGE"));
  if (!has("KEEP_SIZE") && end > node.size) setSize(node, end);
  if (has("PUNCH_HOLE") || has("ZERO_RANGE")) clearData(node, offset, end);
  node.mtime = undefined;
  return undefined;
}

/** Takes whole blocks out of a file, or puts blocks of zeros in: what follows moves. @returns EINVAL for parts of blocks, or at or behind the end. */
function shiftData(node: ModelNode, start: number, end: number, inserts: boolean): Errno | undefined {
  node.mtime = undefined;
  const { size } = node;
  if (start % BLOCK_SIZE !== 0 || end % BLOCK_SIZE !== 0 || (inserts ? start : end) >= size) return EINVAL;
  if (inserts) {
    setSize(node, size + end - start);
    moveData(node, end, { start, end: size });
    clearData(node, start, end);
  } else {
    moveData(node, start, { start: end, end: size });
    setSize(node, size - (end - start));
  }
  return undefined;
}
