/**
 * `cowlab image import, inspect, history, df, info, ps, tree`: an archive's images on a storage driver.
 */
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { GIB } from "../../sim/core/units.ts";
import { O_APPEND, O_CREAT, O_WRONLY } from "../../sim/vfs/filesystem.ts";
import { ArchiveFault } from "../archive/fault.ts";
import { driverInfo, driverInfoText } from "../drivers/docker-info.ts";
import { type DriverError, isDriverError, pathError } from "../drivers/driver.ts";
import { humanSize } from "../drivers/human-size.ts";
import { importRootfs } from "../images/commit.ts";
import { type Container, containerUsage, createContainer } from "../images/containers.ts";
import { type Daemon, hostTime, startDaemon } from "../images/daemon.ts";
import { psText, systemDfText } from "../images/docker-text.ts";
import { parseReference, type StoredImage } from "../images/image-store.ts";
import { loadImages } from "../images/load.ts";
import { readImages } from "../images/read-images.ts";
import { isTag } from "../images/source-image.ts";
import { chainOf, historyOf, imageUsage, inspectImage } from "../images/views.ts";
import type { Layer } from "../layers/layer-store.ts";
import { nodeHasher } from "../node/digest.ts";
import { nodeGzip } from "../node/gzip.ts";
import { openSource } from "../node/image-source.ts";
import { tableLines } from "../report/table.ts";
import { counted } from "../scenario/figures.ts";
import { UsageError } from "./exit.ts";
import { type ImageOptions, withFiles } from "./image.ts";
import { treeLines } from "./tree-lines.ts";

export interface DriverImageOptions extends ImageOptions {
  /** Default "overlay2". */
  readonly driver?: string;
  /** Which image, by ID, the beginning of one, or reference; default: the archive's first with a name. */
  readonly image?: string;
  /** A name for the one image of an archive that gives it none. */
  readonly tag?: string;
  /** The comment of an image that is made of a root filesystem. */
  readonly message?: string;
}

const DISK_SIZE = GIB(64);

export function must<T>(value: T | DriverError): T {
  if (isDriverError(value)) throw new ArchiveFault("E_DRIVER", value.message);
  return value;
}

export interface OnDriver {
  readonly daemon: Daemon;
  readonly images: readonly StoredImage[];
  /** What Docker prints. */
  readonly lines: readonly string[];
  /** The zone of the daemon that saved the archive. */
  readonly zone: string;
}

/** @throws UsageError for a name that Docker would refuse */
function checkGiven({ tag }: DriverImageOptions): void {
  if (tag === undefined) return;
  const reference = parseReference(tag);
  if (!isTag(`${reference.name}:${reference.tag}`)) throw new UsageError(`--tag takes a name such as app:1, not "${tag}"`);
}

function namesIn(images: readonly { readonly tags: readonly string[] }[]): string {
  const names = images.flatMap(({ tags }) => tags);
  return names.length === 0 ? counted(images.length, "image") : names.join(", ");
}

/** Loads an archive on a fresh host, or imports a root filesystem there, and hands on what is there then. */
export async function onDriver<T>(path: string, options: DriverImageOptions, use: (loaded: OnDriver) => T): Promise<T> {
  const mode = options.mode ?? "strict";
  const daemon = startDaemon({ driver: options.driver ?? "overlay2", size: DISK_SIZE, newHasher: nodeHasher, gzip: nodeGzip });
  if (isDriverError(daemon)) throw new UsageError(daemon.message);
  return withFiles(path, mode, async (opened, context) => {
    checkGiven(options);
    const source = await openSource(path, mode, opened);
    if (source.kind === "rootfs") {
      const image = must(importRootfs(daemon, source.tar, { mode, ...(options.message ? { message: options.message } : {}) }));
      if (options.tag !== undefined) must(daemon.images.tag(image.config.id, options.tag, hostTime(daemon.host)));
      return use({ daemon, images: [image], lines: [image.config.id], zone: "Z" });
    }
    const read = await readImages(source.files, context);
    const { tag } = options;
    const unnamed = tag !== undefined && read.images.length === 1 && read.images[0]?.tags.length === 0;
    if (options.message !== undefined)
      throw new UsageError(`--message is for a root filesystem, of which an image is made: ${path} holds images`);
    if (tag !== undefined && !unnamed)
      throw new UsageError(`--tag is for one image without a name: ${path} has ${namesIn(read.images)}`);
    const archive = unnamed ? { ...read, images: read.images.map((image) => ({ ...image, tags: [tag] })) } : read;
    const { images, lines } = must(await loadImages(archive, daemon.images, context));
    return use({ daemon, images, lines, zone: archive.images[0]?.zone ?? "Z" });
  });
}

/** The image that was asked for; by default the first with a name, since in old archives those it was built on stand before it. */
export function chosen({ daemon, images }: OnDriver, name: string | undefined): StoredImage {
  const named = images.find(({ config }) => daemon.images.tagsOf(config.id).length > 0);
  const image = name === undefined ? (named ?? images[0]) : (daemon.images.get(name) ?? byPrefix(daemon, name));
  if (image === undefined) throw new UsageError(`no image of the archive is called "${name ?? ""}"`);
  return image;
}

/** The only image whose ID begins so. */
function byPrefix(daemon: Daemon, text: string): StoredImage | undefined {
  if (!/^(?:sha256:)?[0-9a-f]+$/.test(text)) return undefined;
  const start = text.startsWith("sha256:") ? text : `sha256:${text}`;
  const found = daemon.images.images.filter(({ config }) => config.id.startsWith(start));
  return found.length === 1 ? found[0] : undefined;
}

function json(value: unknown, indent = 2): string {
  return `${JSON.stringify(value, (_, item: unknown) => (typeof item === "bigint" ? Number(item) : item), indent)}\n`;
}

/** `image import`. */
export function importImages(path: string, options: DriverImageOptions): Promise<string> {
  return onDriver(path, options, ({ daemon, images, lines }) => {
    daemon.images.check();
    if (options.json !== true) return lines.map((line) => `${line}\n`).join("");
    const listed = images.map(({ config, top }) => ({
      id: config.id,
      tags: daemon.images.tagsOf(config.id),
      layers: chainOf(top).map(({ chainId, diffId, cacheId, size }) => ({ chainId, diffId, cacheId, size })),
    }));
    return json({ driver: daemon.driver.name, images: listed });
  });
}

/** `image inspect`. */
export function inspect(path: string, options: DriverImageOptions): Promise<string> {
  return onDriver(path, options, (loaded) => json([must(inspectImage(loaded.daemon, chosen(loaded, options.image)))], 4));
}

/** `image history`. */
export function history(path: string, options: DriverImageOptions): Promise<string> {
  return onDriver(path, options, (loaded) => {
    const lines = historyOf(loaded.daemon, chosen(loaded, options.image));
    if (options.json === true) return json(lines);
    const rows = lines.map(({ id, created, createdBy, size, comment }) => [
      id === "<missing>" ? id : id.slice(7, 19),
      created,
      createdBy.length > 45 ? `${createdBy.slice(0, 44)}…` : createdBy,
      humanSize(size, 3),
      comment,
    ]);
    return table(["image", "created", "created by", "size", "comment"], rows);
  });
}

/** The listing's now, in seconds since 1970: the host's time, or the second after the newest image where that is later. */
function nowOf({ daemon, images }: OnDriver): number {
  const created = images.map(({ config }) => Date.parse(String(config.record["created"] ?? "")) / 1000);
  const newest = Math.max(...created.filter((time) => !Number.isNaN(time)), 0);
  return Math.max(daemon.host.clock.realTime().seconds, newest + 1);
}

/** `image df`: `docker system df -v`. The JSON tells also what deleting an image would free. */
export function usage(path: string, options: DriverImageOptions): Promise<string> {
  return onDriver(path, options, (loaded) => {
    const used = imageUsage(loaded.daemon);
    return options.json === true ? json(used) : systemDfText(used, [], nowOf(loaded));
  });
}

/** `image info`: what `docker info` says of the images and the driver. Warnings go to standard error, as Docker's do. */
export function info(path: string, options: DriverImageOptions): Promise<string> {
  return onDriver(path, options, ({ daemon: { driver, images } }) => {
    const told = driverInfo(driver);
    const { length } = images.images;
    if (options.json === true)
      return json({ Images: length, Driver: driver.name, DriverStatus: told.rows, Warnings: told.warnings });
    process.stderr.write(told.warnings.map((line) => `${line}\n`).join(""));
    return ` Images: ${length}\n${driverInfoText(driver.name, told)}`;
  });
}

export interface PsOptions extends DriverImageOptions {
  /** What each container writes at the end of which file: "/path:bytes". */
  readonly write?: readonly string[];
}

/** `image ps`: a container of each image, as `docker ps -as` shows them; the JSON tells what each and its image share, and what removing would free. */
export function ps(path: string, options: PsOptions): Promise<string> {
  const writes = (options.write ?? []).map(parseWrite);
  return onDriver(path, options, (loaded) => {
    const { daemon } = loaded;
    const images = options.image === undefined ? loaded.images : [chosen(loaded, options.image)];
    const containers = images.map((image, index) => must(createContainer(daemon, image, `container-${index + 1}`)));
    for (const container of containers) for (const write of writes) append(daemon, container, write);
    const used = must(containerUsage(daemon, containers));
    const ofImages = imageUsage(daemon);
    if (options.json !== true) return psText(used, ofImages, daemon.host.clock.realTime().seconds);
    const listed = used.map(({ container, ...sizes }) => ({
      id: container.id,
      name: container.name,
      image: container.image.config.id,
      ...sizes,
    }));
    return json({ driver: daemon.driver.name, containers: listed, images: ofImages });
  });
}

interface Write {
  readonly path: string;
  readonly bytes: number;
}

function parseWrite(text: string): Write {
  const parts = /^(\/.*):(\d{1,12})$/.exec(text);
  if (parts === null) throw new UsageError(`--write takes /path:bytes, not "${text}"`);
  return { path: parts[1] ?? "", bytes: Number(parts[2]) };
}

/** Writes at the end of a file in a container, which is made where it is not there. */
function append(daemon: Daemon, { layer }: Container, { path, bytes }: Write): void {
  const root = must(daemon.driver.get(layer.mountId));
  const task = daemon.host.task.chroot(root);
  if (isErrno(task)) throw new ArchiveFault("E_DRIVER", pathError("chroot", root, task).message);
  const fd = task.open(path, O_WRONLY | O_CREAT | O_APPEND, 0o644);
  const written = isErrno(fd) ? fd : task.write(fd, Content.pattern(1, bytes));
  task.exit();
  must(daemon.driver.put(layer.mountId));
  if (isErrno(written)) throw new ArchiveFault("E_DRIVER", pathError("write", path, written).message);
}

/** `image tree`: which image stands on which layers, and what the driver calls them. The JSON is a list of layers, each behind the one below. */
export function tree(path: string, options: DriverImageOptions): Promise<string> {
  return onDriver(path, options, ({ daemon }) => {
    const names = new Map<string, string[]>();
    for (const { config, top } of daemon.images.images)
      if (top !== undefined) {
        const shown = daemon.images.tagsOf(config.id).join(", ") || config.id.slice(7, 19);
        names.set(top.chainId, [...(names.get(top.chainId) ?? []), shown]);
      }
    const { layers } = daemon.layers;
    if (options.json === true) {
      const listed = layers.map(({ chainId, diffId, cacheId, parent, size }) => ({
        chainId,
        diffId,
        cacheId,
        parent: parent?.chainId ?? null,
        size,
        images: names.get(chainId) ?? [],
      }));
      return json({ driver: daemon.driver.name, layers: listed });
    }
    const shown = (layer: Layer): string => {
      const tags = names.get(layer.chainId);
      const mark = tags === undefined ? "" : `  ← ${tags.join("; ")}`;
      return `${layer.chainId.slice(7, 19)}  ${humanSize(layer.size, 3)}  ${daemon.driver.name}/${layer.cacheId.slice(0, 12)}${mark}`;
    };
    const on = (below: Layer | undefined): readonly Layer[] => layers.filter(({ parent }) => parent === below);
    const lines = treeLines(on(undefined), on, shown);
    return `${lines.join("\n")}\n`;
  });
}

function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const columns = headings.map((heading) => ({ heading, align: "left" }) as const);
  return `${tableLines(
    columns,
    rows.map((row) => [...row]),
  ).join("\n")}\n`;
}
