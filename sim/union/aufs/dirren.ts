/**
 * Directories that were renamed away from what lies below them: the mount option dirren (fs/aufs/dirren.c, aufs 5.x [S];
 * Documentation/filesystems/aufs/design/06dirren.txt; spec/union.md sections 11 and 15). Docker never used it.
 *
 * A directory on a writable branch keeps, for each branch below that takes part in it, a file `.wh..wh..dr.<branch>`: under which name that branch
 * has the directory, and its inode number there. Which directories have such files is kept while the branch is mounted, and in the branch's
 * `.wh..wh.hino` in between.
 *
 * Interface: the name is looked for in the instance of the directory's *present* parent, as in the kernel: a rename into another folder loses what
 * lies below, and a directory without anything below is not made opaque where something lies at its new name. Branch indices here go on over the
 * lower branches.
 */
import { Content } from "../../core/content.ts";
import { EIO, ENOENT, type Errno, isErrno } from "../../core/errno.ts";
import type { Name, NameTable } from "../../core/names.ts";
import { type InodeNumber, inodeNumber, majorOf, minorOf } from "../../core/units.ts";
import {
  type Attributes,
  type FileSystem,
  type Inode,
  newAttributes,
  O_RDONLY,
  O_WRONLY,
  S_IFDIR,
  S_IFMT,
  S_IFREG,
} from "../../vfs/filesystem.ts";
import { ABSENT, WHITEOUT } from "../layer.ts";
import type { Node } from "../nodes.ts";
import type { ViewNode } from "../view-nodes.ts";
import type { Aufs, Branch, MountedBranch, Place } from "./state.ts";

/** What begins the names of the files that tell of one directory and one branch (AUFS_WH_DR_INFO_PFX). */
const INFO_PREFIX = ".wh..wh..dr.";
/** In a branch's root: the inode numbers of its directories that have such files (AUFS_WH_DR_BRHINO). */
const RENAMED_LIST = ".wh..wh.hino";
/** "adr" and the version (AUFS_DRINFO_MAGIC_V1), in front of number, length and name. */
const MAGIC = 0x61647201;
const HEADER_BYTES = 20;
const NUMBER_BYTES = 8;
/** A branch is told by the number of its device (AuBrid_DEV), for no filesystem here has an fsid. */
const BY_DEVICE = 3;
const FILE_MODE = S_IFREG | 0o600;
const MAX_BYTES = 0xffff;

interface FormerName {
  readonly name: Name;
  readonly number: InodeNumber;
}

/** Under which names the branches below have a directory, by branch. */
export class FormerNames {
  readonly #names: ReadonlyMap<number, FormerName>;
  readonly #aufs: Aufs;

  constructor(aufs: Aufs, names: ReadonlyMap<number, FormerName>) {
    this.#aufs = aufs;
    this.#names = names;
  }

  get all(): ReadonlyMap<number, FormerName> {
    return this.#names;
  }

  nameOn(branch: number): Name | undefined {
    return this.#names.get(branch)?.name;
  }

  /** Whether what a branch has at that name is another object than the one that was renamed. */
  isOther(branch: number, inode: Inode): boolean {
    const former = this.#names.get(branch);
    return former !== undefined && numberOf(fsOfBranch(this.#aufs, branch), inode, this.#aufs.otherAttributes) !== former.number;
  }
}

function fsOfBranch(aufs: Aufs, branch: number): FileSystem {
  return (aufs.branches[branch] as Branch).fs;
}

function numberOf(fs: FileSystem, inode: Inode, attributes: Attributes): InodeNumber {
  fs.getattr(inode, attributes);
  return attributes.inodeNumber;
}

/** The name of the file that tells of a branch (au_drinfo_name). */
function infoName(names: NameTable, { fs, inode }: Branch): Name {
  const [major, minor] = [majorOf(fs.device), minorOf(fs.device)];
  const short = major <= 0xff && minor <= 0xff;
  const hex = (value: number, width: number): string => value.toString(16).padStart(width, "0");
  const device = short ? hex(major, 2) + hex(minor, 2) : `${hex(major, 3)}:${hex(minor, 5)}`;
  return names.intern(`${INFO_PREFIX}${BY_DEVICE}_${device}_${numberOf(fs, inode, newAttributes())}`);
}

function readFile(fs: FileSystem, inode: Inode): Uint8Array | Errno {
  const file = fs.open(inode, O_RDONLY);
  if (isErrno(file)) return file;
  const content = fs.read(file, 0, MAX_BYTES);
  fs.close(file, O_RDONLY);
  return isErrno(content) ? content : content.toBytes();
}

function writeFile(fs: FileSystem, directory: Inode, name: Name, bytes: Uint8Array): Errno | undefined {
  const there = fs.lookup(directory, name);
  const inode = there === ENOENT ? fs.create(directory, name, { mode: FILE_MODE, uid: 0, gid: 0, rdev: 0, target: "" }) : there;
  if (isErrno(inode)) return inode;
  const file = fs.open(inode, O_WRONLY);
  if (isErrno(file)) return file;
  const written = fs.write(file, 0, Content.literal(bytes));
  fs.close(file, O_WRONLY);
  return isErrno(written) ? written : fs.setattr(inode, { size: bytes.length });
}

/** Reads what one directory tells of one branch; undefined where it tells nothing. @returns EIO for a file that is none of these. */
function readInfo(aufs: Aufs, fs: FileSystem, directory: Inode, branch: Branch): FormerName | undefined | Errno {
  const inode = fs.lookup(directory, infoName(aufs.names, branch));
  if (inode === ENOENT) return undefined;
  if (isErrno(inode)) return inode;
  const bytes = readFile(fs, inode);
  if (isErrno(bytes)) return bytes;
  if (bytes.length < HEADER_BYTES) return EIO;
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = bytes[12] ?? 0;
  if (data.getUint32(0) !== MAGIC || length === 0 || bytes.length < HEADER_BYTES + length) return EIO;
  const text = new TextDecoder().decode(bytes.subarray(HEADER_BYTES, HEADER_BYTES + length));
  return { name: aufs.names.intern(text), number: inodeNumber(Number(data.getBigUint64(4))) };
}

function infoBytes(text: string, number: InodeNumber): Uint8Array {
  const name = new TextEncoder().encode(text);
  const bytes = new Uint8Array(HEADER_BYTES + name.length);
  const data = new DataView(bytes.buffer);
  data.setUint32(0, MAGIC);
  data.setBigUint64(4, BigInt(number));
  bytes[12] = name.length;
  bytes.set(name, HEADER_BYTES);
  return bytes;
}

/** Which directories of a branch have been renamed; none where nothing is written there. */
export function loadRenamed(names: NameTable, { fs, inode: root }: Branch): Set<InodeNumber> {
  const renamed = new Set<InodeNumber>();
  const inode = fs.lookup(root, names.intern(RENAMED_LIST));
  const bytes = isErrno(inode) ? inode : readFile(fs, inode);
  if (isErrno(bytes)) return renamed;
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + NUMBER_BYTES <= bytes.length; at += NUMBER_BYTES) renamed.add(inodeNumber(Number(data.getBigUint64(at))));
  return renamed;
}

/** Writes that down when a writable branch leaves its mount, or takes the list away where there is nothing to list. */
export function storeRenamed(
  names: NameTable,
  { fs, inode: root }: Branch,
  renamed: ReadonlySet<InodeNumber>,
): Errno | undefined {
  const name = names.intern(RENAMED_LIST);
  if (renamed.size === 0) return isErrno(fs.lookup(root, name)) ? undefined : fs.unlink(root, name);
  const bytes = new Uint8Array(renamed.size * NUMBER_BYTES);
  const data = new DataView(bytes.buffer);
  for (const [index, number] of [...renamed].entries()) data.setBigUint64(index * NUMBER_BYTES, BigInt(number));
  return writeFile(fs, root, name, bytes);
}

/** Whether a directory that a branch has may tell of others below it. */
function isRenamed(aufs: Aufs, branch: number, inode: Inode): boolean {
  const { renamed } = aufs.branches[branch] as MountedBranch;
  if (renamed.size === 0) return false;
  return renamed.has(numberOf(fsOfBranch(aufs, branch), inode, aufs.otherAttributes));
}

/** What a directory adds to the names under which the branches below it are asked (au_dr_lkup). @param before - from directories above it. */
export function formerNames(aufs: Aufs, branch: number, inode: Inode, before?: FormerNames): FormerNames | undefined {
  if (!isRenamed(aufs, branch, inode)) return before;
  const names = new Map(before?.all);
  const { branches } = aufs;
  for (let below = branch + 1; below < branches.length; below++) {
    const info = readInfo(aufs, fsOfBranch(aufs, branch), inode, branches[below] as Branch);
    if (info !== undefined && !isErrno(info)) names.set(below, info);
  }
  return new FormerNames(aufs, names);
}

/** A name that the lower branches are asked for, each under the name that it has there. */
interface RenamedRequest {
  readonly name: Name;
  readonly former: FormerNames | undefined;
  /** Something above the lower branches is a directory. */
  readonly isDirectory: boolean;
}

/** What the lower branches have at a name, where some of them have it under another. */
export function lowerOfRenamed(aufs: Aufs, below: ViewNode, request: RenamedRequest): ViewNode | Errno {
  const { view, rules } = aufs;
  let { name, former } = request;
  const stack: { layer: number; inode: Inode }[] = [];
  for (const { fs, inode, layer } of view.stackOf(below)) {
    const branch = aufs.uppers.length + layer;
    name = former?.nameOn(branch) ?? name;
    const found = rules.probe(fs, inode, name, layer);
    aufs.counters.layerLookups += 1;
    if (isErrno(found)) return found;
    if (found === WHITEOUT) break;
    if (found === ABSENT || former?.isOther(branch, found as Inode) === true) continue;
    if ((fs.mode(found as Inode) & S_IFMT) !== S_IFDIR) {
      if (stack.length === 0 && !request.isDirectory) return view.stray(layer, found as Inode);
      continue;
    }
    stack.push({ layer, inode: found as Inode });
    const marks = rules.marksOf(fs, found as Inode, layer);
    if (isErrno(marks)) return marks;
    if (marks !== 0) break;
    former = formerNames(aufs, branch, found as Inode, former);
  }
  return view.assemble(stack);
}

/**
 * Writes into a directory of an upper branch under which name each branch below has it, before it is renamed; where that is the new name, the file
 * goes (au_dr_rename, au_drinfo_store).
 */
export function noteRename(aufs: Aufs, node: Node, from: Place, to: Name): Errno | undefined {
  const branch = aufs.branchOf(node);
  const upper = aufs.upperAt(branch);
  const inode = aufs.inodeOf(node);
  upper.renamed.add(numberOf(upper.fs, inode, aufs.otherAttributes));
  for (const below of instancesBelow(aufs, node, branch)) {
    const other = aufs.branches[below.branch] as Branch;
    const before = readInfo(aufs, upper.fs, inode, other);
    if (isErrno(before)) return before;
    const name = before?.name ?? from.name;
    const file = infoName(aufs.names, other);
    const number = numberOf(other.fs, below.inode, aufs.otherAttributes);
    const bytes = infoBytes(aufs.names.text(name), number);
    const isBack = name === to;
    if (isBack && before === undefined) continue;
    const failed = isBack ? upper.fs.unlink(inode, file) : writeFile(upper.fs, inode, file, bytes);
    if (failed !== undefined) return failed;
  }
  return undefined;
}

/** Where a directory lies below one of its branches. */
function instancesBelow(aufs: Aufs, node: Node, branch: number): { branch: number; inode: Inode }[] {
  const found: { branch: number; inode: Inode }[] = [];
  for (let below = branch + 1; below < aufs.uppers.length; below++) {
    const inode = aufs.inodeOn(node, below);
    if (inode !== undefined) found.push({ branch: below, inode });
  }
  const lower = aufs.nodes.lowerOf(node);
  if (lower === 0) return found;
  for (const { inode, layer } of aufs.view.stackOf(lower)) found.push({ branch: aufs.uppers.length + layer, inode });
  return found;
}
