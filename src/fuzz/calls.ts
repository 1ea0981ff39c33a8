/**
 * Each call that the plain tree knows: how the tree makes it, how a driver makes it, and when both gave the same.
 *
 * Interface: answers are compared as they are, without making texts or digests of them; `told` gives one in the form of the traces. Inode
 * numbers are compared by what they mean: a file keeps its own, and no two files have the same at one time.
 */
import type { Content } from "../../sim/core/content.ts";
import { EACCES, EBADF, isErrno } from "../../sim/core/errno.ts";
import { majorOf, minorOf } from "../../sim/core/units.ts";
import { type Attributes, newAttributes } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { type Json, sameJson } from "../calls/json.ts";
import { CALLS } from "../calls/perform.ts";
import type { CallSession } from "../calls/session.ts";
import { compareTexts, modeText, typeName } from "../calls/show.ts";
import { type CallResult, type Step, textOf, wholeOf } from "../calls/step.ts";
import * as attributes from "./model/attributes.ts";
import * as files from "./model/files.ts";
import * as names from "./model/names.ts";
import type { ModelNode } from "./model/node.ts";
import type { ModelTree } from "./model/tree.ts";
import { shownBytes } from "./shown-bytes.ts";

/** How a call is made on both sides. What it gives is `same`'s and `told`'s affair. */
export interface FuzzCall {
  readonly model: (tree: ModelTree, step: Step) => unknown;
  readonly driver: (session: CallSession, task: Task, step: Step) => unknown;
  /** Whether a step is better not made, for the tree cannot foretell what it leaves. */
  readonly leavesOut?: ((tree: ModelTree, step: Step) => boolean) | undefined;
  /** Whether the driver gave what the tree gave. */
  readonly same: (expected: unknown, got: unknown) => boolean;
  /** The tree's answer in the form of the traces; undefined where it does not say what must come. */
  readonly told: (expected: unknown, tree: ModelTree) => CallResult | undefined;
}

/** A call whose value is plain data. */
function plain(name: string, model: FuzzCall["model"]): FuzzCall {
  const made = CALLS[name]?.make;
  if (made === undefined) throw new Error(`there is no call ${name}`);
  return { model, driver: made, same: samePlain, told: (expected) => toldPlain(expected) };
}

/** A call whose answer the tree does not always know: it gives nothing then, and anything may come. */
function perhaps(name: string, model: FuzzCall["model"]): FuzzCall {
  return {
    ...plain(name, model),
    same: (expected, got) => expected === undefined || samePlain(expected, got),
    told: (expected) => (expected === undefined ? undefined : toldPlain(expected)),
  };
}

function samePlain(expected: unknown, got: unknown): boolean {
  return expected === got || (typeof expected === "object" && sameJson(expected as Json, got as Json));
}

function toldPlain(expected: unknown): CallResult {
  if (isErrno(expected)) return { errno: expected.code };
  return expected === undefined ? { ok: true } : { value: expected as Json };
}

/** Whether a read gave these bytes. */
export function sameBytes(expected: unknown, got: unknown): boolean {
  if (isErrno(expected) || isErrno(got)) return expected === got;
  const wanted = expected as Uint8Array;
  const content = got as Content;
  if (content.length !== wanted.length) return false;
  if (wanted.length === 0) return true;
  let at = 0;
  for (const run of content.runs) {
    const { bytes, from } = run.held ?? { bytes: run.toBytes(), from: 0 };
    if (!sameWords(wanted.subarray(at, at + run.length), bytes.subarray(from, from + run.length))) return false;
    at += run.length;
  }
  return true;
}

/** Whether two arrays of one length hold the same. By words: what is read is thousands of bytes long. */
function sameWords(one: Uint8Array, other: Uint8Array): boolean {
  const inWords = one.length & ~3;
  const words = new DataView(one.buffer, one.byteOffset, inWords);
  const others = new DataView(other.buffer, other.byteOffset, inWords);
  for (let at = 0; at < inWords; at += 4) if (words.getInt32(at) !== others.getInt32(at)) return false;
  for (let at = inWords; at < one.length; at++) if (one[at] !== other[at]) return false;
  return true;
}

const readCall: FuzzCall = {
  model: files.read,
  driver: (session, task, step) => {
    const fd = session.descriptors.get(textOf(step, "fd"));
    return fd === undefined ? EBADF : task.read(fd, wholeOf(step, "len"));
  },
  same: (expected, got) => expected === undefined || sameBytes(expected, got),
  told: (expected) => {
    if (expected === undefined) return undefined;
    return isErrno(expected) ? toldPlain(expected) : { value: shownBytes(expected as Uint8Array) };
  },
};

const preadCall: FuzzCall = {
  ...readCall,
  model: files.pread,
  driver: (session, task, step) => {
    const fd = session.descriptors.get(textOf(step, "fd"));
    return fd === undefined ? EBADF : task.pread(fd, wholeOf(step, "len"), wholeOf(step, "offset"));
  },
};

/** Whether what stat showed is what the tree holds; notes which file has which number. */
export function sameStat(expected: unknown, got: unknown): boolean {
  if (isErrno(expected) || isErrno(got)) return expected === got;
  const node = expected as ModelNode;
  const shown = got as Attributes;
  if (typeName(shown.mode) !== node.type || (shown.mode & 0o7777) !== node.mode) return false;
  if (shown.uid !== node.uid || shown.gid !== node.gid) return false;
  if (node.type !== "dir" && !node.countless && shown.nlink !== node.links) return false;
  if (node.type === "file" && shown.size !== node.size) return false;
  if (node.type === "symlink" && shown.size !== node.target.length) return false;
  if (node.type === "char" || node.type === "block") {
    if (majorOf(shown.rdev) !== node.rdev[0] || minorOf(shown.rdev) !== node.rdev[1]) return false;
  }
  const { identity } = node;
  if (identity === undefined) return true;
  if (identity.inode < 0) {
    identity.inode = shown.inodeNumber;
    identity.device = shown.device;
    return true;
  }
  return identity.inode === shown.inodeNumber && identity.device === shown.device;
}

/** Fields of a stat; inode and device are not told, for a trace's reader counts them for itself. */
function toldStat(expected: unknown): CallResult | undefined {
  return isErrno(expected) ? toldPlain(expected) : undefined;
}

function statCall(model: FuzzCall["model"], driver: FuzzCall["driver"]): FuzzCall {
  return { model, driver, same: sameStat, told: toldStat };
}

const readdirCall: FuzzCall = {
  model: attributes.readdir,
  driver: (_, task, step) => task.readdir(textOf(step, "path")),
  same: (expected, got) => {
    if (isErrno(expected) || isErrno(got)) return expected === got;
    const { entries } = expected as ModelNode;
    const rows = got as ReturnType<Task["readdir"]>;
    if (isErrno(rows) || entries === undefined || rows.length !== entries.size) return false;
    for (const { name, type } of rows) if (entries.get(name)?.type !== typeName(type)) return false;
    return true;
  },
  told: (expected, tree) => {
    if (isErrno(expected)) return toldPlain(expected);
    const node = expected as ModelNode;
    const rows = [...(node.entries ?? [])].map(([name, child]) => [name, child.type] as const);
    // The recorder tells what is neither folder nor link by lstat(2).
    const looks = rows.some(([, type]) => type !== "dir" && type !== "symlink");
    if (looks && !tree.may(node, 1)) return toldPlain(EACCES);
    return { value: rows.sort(([one], [other]) => compareTexts(one, other)) };
  },
};

const scratch = newAttributes();

const TABLE: Readonly<Record<string, FuzzCall>> = {
  mkdir: plain("mkdir", names.mkdir),
  rmdir: { ...plain("rmdir", names.rmdir), leavesOut: names.leavesOutRemoval },
  unlink: { ...plain("unlink", names.unlink), leavesOut: names.leavesOutRemoval },
  mknod: plain("mknod", names.mknod),
  symlink: plain("symlink", names.symlink),
  link: plain("link", names.link),
  rename: { ...plain("rename", names.rename), leavesOut: names.leavesOutRename },
  open: plain("open", files.open),
  close: plain("close", files.close),
  fsync: plain("fsync", files.fsync),
  fdatasync: plain("fdatasync", files.fsync),
  sync: plain("sync", () => undefined),
  read: readCall,
  pread: preadCall,
  write: plain("write", files.write),
  pwrite: plain("pwrite", files.pwrite),
  lseek: perhaps("lseek", files.lseek),
  truncate: plain("truncate", files.truncate),
  ftruncate: plain("ftruncate", files.ftruncate),
  fallocate: plain("fallocate", files.fallocate),
  drop: { ...plain("drop", files.drop), leavesOut: files.isNoFile },
  access: plain("access", attributes.access),
  chmod: plain("chmod", attributes.chmod),
  fchmod: { ...plain("fchmod", attributes.fchmod), leavesOut: attributes.changesRemovedDirectory },
  chown: plain("chown", attributes.chown),
  lchown: plain("lchown", attributes.lchown),
  utimens: plain("utimens", attributes.utimens),
  mtime: perhaps("mtime", attributes.mtime),
  setxattr: plain("setxattr", attributes.setxattr),
  getxattr: plain("getxattr", attributes.getxattr),
  listxattr: plain("listxattr", attributes.listxattr),
  removexattr: plain("removexattr", attributes.removexattr),
  readlink: plain("readlink", attributes.readlink),
  readdir: readdirCall,
  stat: statCall(attributes.stat, (_, task, step) => task.stat(textOf(step, "path"), scratch)),
  lstat: statCall(attributes.lstat, (_, task, step) => task.lstat(textOf(step, "path"), scratch)),
  fstat: {
    ...statCall(attributes.fstat, (session, task, step) => {
      const fd = session.descriptors.get(textOf(step, "fd"));
      return fd === undefined ? EBADF : task.fstat(fd, scratch);
    }),
    leavesOut: (tree, step) => tree.rules.forgetsReplaced && tree.files.get(textOf(step, "fd"))?.node.covered === true,
  },
};

/**
 * By the names of the calls. All are objects of one kind, for every step asks one of them for each of its parts, and those that are put
 * together in different ways above would be of many.
 */
export const FUZZ_CALLS: Readonly<Record<string, FuzzCall>> = Object.fromEntries(
  Object.entries(TABLE).map(([name, { model, driver, leavesOut, same, told }]) => [
    name,
    { model, driver, leavesOut, same, told },
  ]),
);

/** Whether two plain trees foretell the same. */
export function sameForetold(one: unknown, other: unknown): boolean {
  if (isErrno(one) || isErrno(other) || typeof one !== "object" || typeof other !== "object" || one === null || other === null)
    return one === other;
  if (!("links" in one) || !("links" in other)) return samePlain(one, other);
  const [left, right] = [one as ModelNode, other as ModelNode];
  const sameCount = left.type === "dir" || left.countless || right.countless || left.links === right.links;
  return sameCount && left.type === right.type && left.mode === right.mode && left.uid === right.uid && left.size === right.size;
}

/** A driver's answer in words, for a message. */
export function toldAnswer(got: unknown): string {
  if (isErrno(got)) return got.code;
  if (got === undefined) return "ok";
  if (typeof got === "object" && got !== null && "inodeNumber" in got) return JSON.stringify(toldAttributes(got as Attributes));
  if (typeof got === "object" && got !== null && "toBytes" in got) return JSON.stringify(shownBytes((got as Content).toBytes()));
  return JSON.stringify(got, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value));
}

function toldAttributes(of: Attributes): Json {
  const { uid, gid, nlink, size, inodeNumber, device } = of;
  return { type: typeName(of.mode), mode: modeText(of.mode), uid, gid, nlink, size, ino: inodeNumber, dev: device };
}

/** The tree's answer in words. */
export function toldExpected(expected: unknown): string {
  if (expected instanceof Uint8Array) return JSON.stringify(shownBytes(expected));
  if (typeof expected !== "object" || expected === null || !("links" in expected)) return toldAnswer(expected);
  const { type, mode, uid, gid, links, size, target, identity, entries } = expected as ModelNode;
  if (entries !== undefined) return JSON.stringify({ type, mode: modeText(mode), uid, gid, entries: [...entries.keys()] });
  const ids = identity === undefined ? {} : { ino: identity.inode, dev: identity.device };
  return JSON.stringify({
    type,
    mode: modeText(mode),
    uid,
    gid,
    nlink: links,
    size: type === "symlink" ? target.length : size,
    ...ids,
  });
}
