/**
 * What COPY and ADD take files from (moby v20.10.27 builder/remotecontext): the context of a build, which the daemon unpacks into a folder of
 * its own until the build ends, or another image, on which it puts a writable layer for the time of one step.
 */

import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { newAttributes, S_IFMT, S_IFREG } from "../../sim/vfs/filesystem.ts";
import { hexOf } from "../archive/digest.ts";
import { contentOf, headerOf } from "../archive/export.ts";
import { layerPath } from "../archive/names.ts";
import { readTar, type TarEntry } from "../archive/tar-read.ts";
import { DOCKER_ROOT } from "../drivers/docker-root.ts";
import { type DriverError, isDriverError } from "../drivers/driver.ts";
import { makeDirectories, makeDirectory, removeAll } from "../drivers/files.ts";
import { unpackInto } from "../drivers/layer-diff.ts";
import type { Daemon } from "./daemon.ts";
import { accountNames } from "./host-accounts.ts";
import type { StoredImage } from "./image-store.ts";
import { tarSum } from "./tar-sum.ts";

/** A tree that files are copied from. */
export interface CopySource {
  /** Its folder on the host. */
  readonly root: string;
  readonly isContext: boolean;
  /** What a file is called, by its path below the root without symbolic links; undefined where there is none. */
  sum(path: string): string | undefined;
  close(): DriverError | undefined;
}

const TEMPORARY = `${DOCKER_ROOT}/tmp`;

/** Unpacks a build's context. @throws ArchiveFault */
export function openContext(daemon: Daemon, tar: Content): CopySource | DriverError {
  const { host, layers } = daemon;
  const { newHasher } = layers.parts;
  const root = `${TEMPORARY}/docker-builder${host.random.uint32()}`;
  const failed = makeDirectories(host.task, TEMPORARY, 0o700) ?? makeDirectory(host.task, root, 0o700);
  if (failed !== undefined) return failed;
  const sums = new Map<string, string>();
  function* summed(): Generator<TarEntry> {
    for (const entry of readTar(tar, { mode: "docker" })) {
      sums.set(layerPath(entry.header.name), tarSum(entry.header, entry.content, newHasher));
      yield entry;
    }
  }
  const close = (): DriverError | undefined => removeAll(host.task, root);
  const unpacked = unpackInto(host, root, { entries: summed(), mode: "docker" }, "aufs");
  if (isDriverError(unpacked)) return close() ?? unpacked;
  return { root, isContext: true, sum: (path) => sums.get(path), close };
}

/** Bytes of the name of a layer that nobody names. */
const NAME_BYTES = 32;

/** Mounts another image. */
export function openImage(daemon: Daemon, image: StoredImage): CopySource | DriverError {
  const { host, driver, layers } = daemon;
  const { newHasher } = layers.parts;
  const name = hexOf(host.random.bytes(NAME_BYTES));
  const layer = layers.createWritable(name, image.top?.chainId ?? "", { init: false });
  if (isDriverError(layer)) return layer;
  const root = driver.get(layer.mountId);
  const close = (): DriverError | undefined => {
    const put = isDriverError(root) ? undefined : driver.put(layer.mountId);
    const released = layers.releaseWritable(layer);
    return put ?? (isDriverError(released) ? released : undefined);
  };
  if (isDriverError(root)) return close() ?? root;
  const sum = (path: string): string | undefined => {
    const of = newAttributes();
    if (isErrno(host.task.lstat(root + path, of))) return undefined;
    const header = headerOf({ task: host.task, top: root }, path, of);
    const isFile = (of.mode & S_IFMT) === S_IFREG;
    const content = isFile ? contentOf(host.task, root + path, of.size) : undefined;
    if (header === undefined) return undefined;
    return tarSum({ ...header, ...accountNames(of.uid, of.gid) }, content ?? Content.empty, newHasher);
  };
  return { root, isContext: false, sum, close };
}
