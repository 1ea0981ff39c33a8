/**
 * Images of archives in a scenario's own stores, and what a scenario shows of an image.
 */

import { timeFromNanoseconds } from "../../sim/core/clock.ts";
import { Content } from "../../sim/core/content.ts";
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG } from "../../sim/vfs/filesystem.ts";
import { ArchiveFault } from "../archive/fault.ts";
import * as tar from "../archive/tar-header.ts";
import { TarWriter, tarHeader } from "../archive/tar-write.ts";
import type { Json } from "../calls/json.ts";
import { DriverError, isDriverError } from "../drivers/driver.ts";
import { importRootfs } from "../images/commit.ts";
import type { Daemon } from "../images/daemon.ts";
import type { StoredImage } from "../images/image-store.ts";
import { chainOf, imageUsage } from "../images/views.ts";
import { chainSize, type Layer } from "../layers/layer-store.ts";
import type { ImageField } from "./action.ts";
import type { Archive, ArchivedImage, ArchiveEntry } from "./archive.ts";

/** Takes the image of an archive into the stores, or makes one of its root filesystem. */
export function importArchive(daemon: Daemon, archive: Archive): StoredImage | DriverError {
  try {
    if (archive.image !== undefined) return importImage(daemon, archive.image);
    return importRootfs(daemon, archive.tar ?? rootfsTar(archive.entries), { mode: "docker" });
  } catch (error) {
    if (error instanceof ArchiveFault) return new DriverError(`${error.code}: ${error.message}`);
    throw error;
  }
}

function importImage(daemon: Daemon, { config, layers }: ArchivedImage): StoredImage | DriverError {
  const held: Layer[] = [];
  let image: StoredImage | DriverError = new DriverError("the image has no layers");
  for (const content of layers) {
    const layer = daemon.layers.register({ content, mode: "strict" }, held.at(-1)?.chainId ?? "");
    if (isDriverError(layer)) image = layer;
    if (isDriverError(layer)) break;
    held.push(layer);
  }
  if (held.length === layers.length) image = daemon.images.create(config);
  for (const layer of held.reverse()) daemon.layers.release(layer);
  return image;
}

const TYPEFLAGS: Readonly<Record<ArchiveEntry["kind"], string>> = {
  directory: tar.DIRECTORY,
  file: tar.REGULAR,
  symlink: tar.SYMLINK,
  link: tar.LINK,
  char: tar.CHARACTER,
  block: tar.BLOCK_DEVICE,
  fifo: tar.FIFO,
};

/** File type bits; a link has those of what it links to, which is most often a file. */
const FILE_TYPES: Readonly<Record<ArchiveEntry["kind"], number>> = {
  directory: S_IFDIR,
  file: S_IFREG,
  symlink: S_IFLNK,
  link: S_IFREG,
  char: S_IFCHR,
  block: S_IFBLK,
  fifo: S_IFIFO,
};

/** The tar of a root filesystem that came as a folder. */
export function rootfsTar(entries: readonly ArchiveEntry[]): Content {
  return tarOf(entries, ({ mode, uid, gid, xattrs }) => ({ mode, uid, gid, xattrs }));
}

type Shown = Pick<tar.TarHeader, "mode" | "uid" | "gid" | "xattrs">;

function tarOf(entries: readonly ArchiveEntry[], shown: (entry: ArchiveEntry) => Shown): Content {
  const writer = new TarWriter();
  for (const entry of entries) {
    if (entry.path === "/") continue;
    const content = entry.kind === "file" ? entry.content : Content.empty;
    const linkname = entry.kind === "symlink" ? entry.target : entry.kind === "link" ? entry.target.slice(1) : "";
    const isDevice = entry.kind === "char" || entry.kind === "block";
    writer.add(
      tarHeader({
        name: `${entry.path.slice(1)}${entry.kind === "directory" ? "/" : ""}`,
        typeflag: TYPEFLAGS[entry.kind],
        linkname,
        ...shown(entry),
        size: content.length,
        mtime: timeFromNanoseconds(entry.mtime),
        major: isDevice ? entry.major : 0,
        minor: isDevice ? entry.minor : 0,
      }),
      content,
    );
  }
  return writer.end();
}

/** The tar of a build's context as the docker command sends it: everything is root's, and modes tell the type too. */
export function contextTar(entries: readonly ArchiveEntry[]): Content {
  return tarOf(entries, (entry) => ({ mode: entry.mode | FILE_TYPES[entry.kind], uid: 0, gid: 0, xattrs: [] }));
}

/** What a scenario asks of an image. */
export function shownField(daemon: Daemon, image: StoredImage, field: ImageField): Json {
  const layers = chainOf(image.top);
  switch (field) {
    case "id":
      return image.config.id;
    case "diff_ids":
      return [...image.config.diffIds];
    case "chain_ids":
      return layers.map(({ chainId }) => chainId);
    case "size":
      return chainSize(image.top);
    case "layer_sizes":
      return layers.map(({ size }) => size);
    case "created_by":
      return image.config.history.map(({ createdBy }) => createdBy);
    case "usage": {
      const usage = imageUsage(daemon).find(({ id }) => id === image.config.id);
      return usage === undefined ? null : { size: usage.size, shared: usage.shared, unique: usage.unique };
    }
    default:
      return daemon.images.images.length;
  }
}
