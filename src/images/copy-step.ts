/**
 * COPY and ADD of Docker's classic builder (moby v20.10.27 builder/dockerfile/copy.go, internals.go).
 *
 * Rules: no container runs: a writable layer without an init layer is put over the image, filled and committed. A folder's content is copied,
 * merged into a folder that is there; a file takes the place of whatever has its name. Times are whole seconds. What is copied belongs to
 * root, or to `chown`; from another image, without `chown`, to whom it belongs there. ADD unpacks a local tar, compressed or not, whose
 * owners stay. The history names the sources by a digest, so that the cache is missed when they change.
 */
import { Content } from "../../sim/core/content.ts";
import { ENOTDIR, isErrno } from "../../sim/core/errno.ts";
import { newAttributes, S_IFMT, S_IFREG } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { contentOf, exportTree, headerOf } from "../archive/export.ts";
import { baseOf, folderOf } from "../archive/names.ts";
import { readTar } from "../archive/tar-read.ts";
import { DriverError, isDriverError, pathError } from "../drivers/driver.ts";
import { exists, isDirectory, stat } from "../drivers/files.ts";
import { unpackInto } from "../drivers/layer-diff.ts";
import { scopedPath } from "../layers/scoped-path.ts";
import { tarWithin } from "./added-tar.ts";
import { type CopySource, openImage } from "./build-context.ts";
import { type BuiltStep, cachedStep, configBefore, workdirOf } from "./builder.ts";
import { commitContainer } from "./commit.ts";
import { chooseSources, sourcePath, walkTree } from "./copy-sources.ts";
import type { Daemon } from "./daemon.ts";
import type { StoredImage } from "./image-store.ts";
import { chownIds, type Ids } from "./user.ts";

/** A line of a Dockerfile that copies. */
export interface CopyOrder {
  readonly verb: "COPY" | "ADD";
  readonly sources: readonly string[];
  readonly to: string;
  /** `--from`: another image. */
  readonly from?: StoredImage | undefined;
  /** `--chown`: a user, or USER:GROUP. */
  readonly chown?: string | undefined;
  /** `--chmod`, which this builder refuses. */
  readonly chmod?: string | undefined;
}

/** A copy at work. */
interface Copying {
  readonly daemon: Daemon;
  readonly order: CopyOrder;
  readonly source: CopySource;
  /** A process whose root is the source's. */
  readonly inside: Task;
}

/** Where it goes. */
interface Target {
  /** The new layer on the host. */
  readonly root: string;
  /** A process whose root is the layer's. */
  readonly inside: Task;
  /** Absolute, with "/" at the end where the instruction has one. */
  readonly path: string;
  /** Who the copies belong to; undefined: to whom they belonged. */
  readonly owner: Ids | undefined;
}

const ROOT: Ids = { uid: 0, gid: 0 };
const CHMOD_REFUSED =
  "the --chmod option requires BuildKit. Refer to https://docs.docker.com/go/buildkit/ to learn how to build images with BuildKit enabled";

/** Does one such step over an image (undefined: scratch). @param context - of the build, if it has one */
export function copyStep(
  daemon: Daemon,
  parent: StoredImage | undefined,
  order: CopyOrder,
  context: CopySource | undefined,
): BuiltStep | DriverError {
  if (order.chmod !== undefined) return new DriverError(CHMOD_REFUSED);
  const source = order.from === undefined ? context : openImage(daemon, order.from);
  if (source === undefined) return new DriverError(`${order.verb} failed: missing build context`);
  if (isDriverError(source)) return source;
  const inside = daemon.host.task.chroot(source.root);
  const done = isErrno(inside) ? pathError("chroot", source.root, inside) : copyFrom({ daemon, order, source, inside }, parent);
  if (!isErrno(inside)) inside.exit();
  const closed = order.from === undefined ? undefined : source.close();
  return isDriverError(done) ? done : (closed ?? done);
}

function copyFrom(copying: Copying, parent: StoredImage | undefined): BuiltStep | DriverError {
  const { daemon, order } = copying;
  const { verb, chown, to } = order;
  const { newHasher } = daemon.layers.parts;
  const chosen = chooseSources({ ...copying, verb, newHasher }, order.sources);
  if (isDriverError(chosen)) return new DriverError(`${verb} failed: ${chosen.message}`);
  if (chosen.paths.length > 1 && !to.endsWith("/"))
    return new DriverError(
      `When using ${verb} with more than one source file, the destination must be a directory and end with a /`,
    );
  const flags = chown === undefined ? "" : `--chown=${chown}`;
  const command = ["/bin/sh", "-c", `#(nop) ${verb} ${flags}${chosen.sum} in ${to} `];
  const cached = cachedStep(daemon, parent, command);
  if (cached !== undefined) return { image: cached, cached: true };
  const layer = daemon.layers.createWritable(`copy-${daemon.host.random.uint32()}`, parent?.top?.chainId ?? "", { init: false });
  if (isDriverError(layer)) return layer;
  const config = configBefore(parent);
  const failed = fill(copying, layer.mountId, { paths: chosen.paths, workdir: workdirOf(config) });
  const image = failed ?? commitContainer(daemon, layer, { parent, config, containerConfig: { ...config, Cmd: command } });
  const released = daemon.layers.releaseWritable(layer);
  if (isDriverError(image)) return image;
  return isDriverError(released) ? released : { image, cached: false };
}

/** Copies everything into the new layer. */
function fill(
  copying: Copying,
  layer: string,
  { paths, workdir }: { readonly paths: readonly string[]; readonly workdir: string },
): DriverError | undefined {
  const { daemon, order } = copying;
  const { host, driver } = daemon;
  const root = driver.get(layer);
  if (isDriverError(root)) return root;
  const inside = host.task.chroot(root);
  if (isErrno(inside)) return pathError("chroot", root, inside);
  const path = order.to.startsWith("/") ? order.to : `${workdir}/${order.to}`;
  const owner = ownerOf(order, inside, root);
  let failed = isDriverError(owner) ? owner : undefined;
  for (const one of paths) {
    if (failed !== undefined || isDriverError(owner)) break;
    const copied = copyOne(copying, one, { root, inside, path, owner });
    failed = copied === undefined ? undefined : new DriverError(`failed to copy files: ${copied.message}`);
  }
  inside.exit();
  return failed ?? driver.put(layer);
}

function ownerOf({ from, chown }: CopyOrder, inside: Task, root: string): Ids | undefined | DriverError {
  if (chown === undefined) return from === undefined ? ROOT : undefined;
  const ids = chownIds(inside, root, chown);
  return isDriverError(ids) ? new DriverError(`unable to convert uid/gid chown string to host mapping: ${ids.message}`) : ids;
}

/** performCopyForInfo. */
function copyOne(copying: Copying, path: string, target: Target): DriverError | undefined {
  const { order, source } = copying;
  const from = sourcePath(copying.inside, path);
  const to = scopedPath(target.inside, target.path);
  if (isDriverError(from)) return from;
  if (isDriverError(to)) return new DriverError(to.message.replace("lstat /", `lstat ${target.root}/`));
  const file = join(source.root, from);
  if (isFolder(copying, file)) return copyFolder(copying, { file, from, to }, target);
  const tar = order.verb === "ADD" ? tarWithin(copying.daemon.host.task, file) : undefined;
  if (tar !== undefined) {
    const made = makeOwned(copying, target.root, to, ROOT);
    return made ?? unpacked(copying, join(target.root, to), tar);
  }
  const into = target.path.endsWith("/") || isFolder(copying, join(target.root, to));
  return copyFile(copying, file, into ? `${to === "/" ? "" : to}/${baseOf(path)}` : to, target);
}

function join(root: string, path: string): string {
  return path === "/" ? root : root + path;
}

/** Whether a folder stands at a path of the host. */
function isFolder({ daemon }: Copying, path: string): boolean {
  const of = stat(daemon.host.task, path);
  return !isDriverError(of) && isDirectory(of);
}

/** MkdirAllAndChownNew: missing folders with mode 0755, the new ones owned. */
function makeOwned({ daemon }: Copying, root: string, path: string, owner: Ids | undefined): DriverError | undefined {
  const { task } = daemon.host;
  const missing: string[] = [];
  for (let at = path; at !== "/" && !exists(task, root + at); at = folderOf(at)) missing.push(root + at);
  if (missing.length === 0) {
    const stands = join(root, path);
    const of = stat(task, stands);
    return isDriverError(of) || isDirectory(of) ? undefined : pathError("mkdir", stands, ENOTDIR);
  }
  for (const folder of missing.reverse()) {
    const errno = task.mkdir(folder, 0o755);
    if (errno !== undefined) return pathError("mkdir", folder, errno);
    const owned = owner === undefined || owner.uid + owner.gid === 0 ? undefined : task.lchown(folder, owner.uid, owner.gid);
    if (owned !== undefined) return pathError("chown", folder, owned);
  }
  return undefined;
}

function unpacked({ daemon }: Copying, folder: string, tar: Parameters<typeof readTar>[0]): DriverError | undefined {
  const size = unpackInto(daemon.host, folder, { entries: readTar(tar, { mode: "docker" }), mode: "docker" }, "aufs");
  return isDriverError(size) ? size : undefined;
}

/** copyDirectory: the content of a folder. */
function copyFolder(
  copying: Copying,
  { file, from, to }: { readonly file: string; readonly from: string; readonly to: string },
  target: Target,
): DriverError | undefined {
  const folder = join(target.root, to);
  const wasThere = isFolder(copying, folder);
  const failed =
    makeOwned(copying, target.root, to, ROOT) ?? unpacked(copying, folder, exportTree(copying.daemon.host.task, file, "plain"));
  if (failed !== undefined) return new DriverError(`failed to copy directory: ${failed.message}`);
  return own(copying, { from, folder, skipsTop: wasThere }, target);
}

/** copyFile: one file, in the place of what has its name. */
function copyFile(copying: Copying, file: string, to: string, target: Target): DriverError | undefined {
  const { host } = copying.daemon;
  const made = makeOwned(copying, target.root, folderOf(to), target.owner);
  if (made !== undefined) return new DriverError(`failed to create new directory: ${made.message}`);
  const of = newAttributes();
  const looked = host.task.stat(file, of);
  const plain = isErrno(looked) ? undefined : headerOf({ task: host.task, top: "" }, file, of);
  if (plain === undefined) return new DriverError(`source path not found: ${file}`);
  const content = (of.mode & S_IFMT) === S_IFREG ? contentOf(host.task, file, of.size) : undefined;
  // Of a single file no extended attribute is taken along.
  const header = { ...plain, name: baseOf(to), xattrs: [] };
  const entry = { header, content: content ?? Content.empty, before: Content.empty, checksum: undefined };
  const size = unpackInto(host, join(target.root, folderOf(to)), { entries: [entry], mode: "docker" }, "aufs");
  if (isDriverError(size)) return new DriverError(`failed to copy file: ${size.message}`);
  const owner = target.owner;
  const errno = owner === undefined ? undefined : host.task.lchown(target.root + to, owner.uid, owner.gid);
  return errno === undefined ? undefined : pathError("lchown", target.root + to, errno);
}

/** fixPermissions: everything that was copied out of a folder gets its owner; a folder that was there keeps its own. */
function own(
  { daemon, inside }: Copying,
  { from, folder, skipsTop }: { readonly from: string; readonly folder: string; readonly skipsTop: boolean },
  { owner }: Target,
): DriverError | undefined {
  if (owner === undefined) return undefined;
  const prefix = from === "/" ? 0 : from.length;
  let failed: DriverError | undefined;
  walkTree(inside, from, (path) => {
    if (failed !== undefined || (path === from && skipsTop)) return;
    const copy = path === from ? folder : join(folder, path.slice(prefix));
    const errno = daemon.host.task.lchown(copy, owner.uid, owner.gid);
    if (errno !== undefined) failed = pathError("lchown", copy, errno);
  });
  return failed;
}
