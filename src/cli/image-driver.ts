/**
 * `cowlab image import, export, inspect, history, tree, df`: an archive's images on a storage driver.
 */
import { writeFileSync } from "node:fs";
import { GIB } from "../../sim/core/units.ts";
import { ArchiveFault } from "../archive/fault.ts";
import { type DriverError, isDriverError } from "../drivers/driver.ts";
import { type Daemon, hostTime, startDaemon } from "../images/daemon.ts";
import type { StoredImage } from "../images/image-store.ts";
import { loadImages } from "../images/load.ts";
import type { SourceArchive } from "../images/read-images.ts";
import { type SaveFormat, savedTar, saveImages } from "../images/save.ts";
import { chainOf, historyOf, humanSize, imageUsage, inspectImage } from "../images/views.ts";
import type { Layer } from "../layers/layer-store.ts";
import { nodeHasher } from "../node/digest.ts";
import { InputError, reasonOf } from "../node/files.ts";
import { nodeGzip } from "../node/gzip.ts";
import { tableLines } from "../report/table.ts";
import { UsageError } from "./exit.ts";
import { type ImageOptions, withArchive } from "./image.ts";

export interface DriverImageOptions extends ImageOptions {
  /** Default "overlay2". */
  readonly driver?: string;
  /** Which image, by ID or reference; default: the archive's first. */
  readonly image?: string;
}

const DISK_SIZE = GIB(64);

function must<T>(value: T | DriverError): T {
  if (isDriverError(value)) throw new ArchiveFault("E_DRIVER", value.message);
  return value;
}

interface OnDriver {
  readonly daemon: Daemon;
  readonly archive: SourceArchive;
  readonly images: readonly StoredImage[];
  readonly lines: readonly string[];
}

/** Loads an archive on a fresh host, and hands on what is there then. */
async function onDriver<T>(path: string, options: DriverImageOptions, use: (loaded: OnDriver) => T): Promise<T> {
  const mode = options.mode ?? "strict";
  const daemon = startDaemon({ driver: options.driver ?? "overlay2", size: DISK_SIZE, newHasher: nodeHasher, gzip: nodeGzip });
  if (isDriverError(daemon)) throw new UsageError(daemon.message);
  return withArchive(path, mode, async (archive, context) => {
    const updated = hostTime(daemon.host);
    const { images, lines } = must(await loadImages(archive, daemon.images, { ...context, updated }));
    return use({ daemon, archive, images, lines });
  });
}

function chosen({ daemon, images }: OnDriver, name: string | undefined): StoredImage {
  const image = name === undefined ? images[0] : daemon.images.get(name);
  if (image === undefined) throw new UsageError(`no image of the archive is called "${name ?? ""}"`);
  return image;
}

function json(value: unknown, indent = 2): string {
  return `${JSON.stringify(value, (_, item: unknown) => (typeof item === "bigint" ? Number(item) : item), indent)}\n`;
}

/** `image import`. */
export function importImages(path: string, options: DriverImageOptions): Promise<string> {
  return onDriver(path, options, ({ daemon, images, lines }) => {
    daemon.images.check();
    if (options.json !== true) return `${lines.join("\n")}\n`;
    const listed = images.map(({ config, top }) => ({
      id: config.id,
      tags: daemon.images.tagsOf(config.id),
      layers: chainOf(top).map(({ chainId, diffId, cacheId, size }) => ({ chainId, diffId, cacheId, size })),
    }));
    return json({ driver: daemon.driver.name, images: listed });
  });
}

const FORMATS: readonly SaveFormat[] = ["docker", "docker-25", "oci"];

export interface ExportOptions extends DriverImageOptions {
  readonly out: string;
  readonly format?: string;
}

/** `image export`: through the driver's stores into a new archive. */
export function exportImages(path: string, options: ExportOptions): Promise<string> {
  const format = FORMATS.find((one) => one === (options.format ?? "docker"));
  if (format === undefined) throw new UsageError(`--format takes ${FORMATS.join(", ")}, not "${options.format}"`);
  return onDriver(path, options, ({ daemon, archive, images }) => {
    const saved = images.map((image) => ({ image, tags: daemon.images.tagsOf(image.config.id) }));
    const zone = archive.images[0]?.zone ?? "Z";
    const tar = savedTar(must(saveImages(daemon.images, saved, { format, zone })));
    try {
      writeFileSync(options.out, tar.toBytes());
    } catch (error) {
      throw new InputError(`${options.out}: ${reasonOf(error)}`);
    }
    return `${images.length} images, ${tar.length} bytes, ${options.out}\n`;
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
    const rows = lines.map(({ id, created, createdBy, size }) => [
      id === "<missing>" ? id : id.slice(7, 19),
      created,
      createdBy.length > 45 ? `${createdBy.slice(0, 44)}…` : createdBy,
      humanSize(size, 3),
    ]);
    return table(["image", "created", "created by", "size"], rows);
  });
}

/** `image df`: the images' part of `docker system df -v`. */
export function usage(path: string, options: DriverImageOptions): Promise<string> {
  return onDriver(path, options, ({ daemon }) => {
    const used = imageUsage(daemon);
    if (options.json === true) return json(used);
    const rows = used.map((one) => [
      one.repository,
      one.tag,
      one.id.slice(7, 19),
      humanSize(one.size, 3),
      humanSize(one.shared),
      humanSize(one.unique),
      humanSize(one.freed),
    ]);
    return table(["repository", "tag", "image ID", "size", "shared size", "unique size", "freed if deleted"], rows);
  });
}

/** `image tree`: which image stands on which layers, and what the driver calls them. */
export function tree(path: string, options: DriverImageOptions): Promise<string> {
  return onDriver(path, options, ({ daemon }) => {
    const names = new Map<string, string[]>();
    for (const { config, top } of daemon.images.images)
      if (top !== undefined) {
        const shown = daemon.images.tagsOf(config.id).join(", ") || config.id.slice(7, 19);
        names.set(top.chainId, [...(names.get(top.chainId) ?? []), shown]);
      }
    const lines: string[] = [];
    const visit = (layer: Layer, depth: number): void => {
      const tags = names.get(layer.chainId);
      const mark = tags === undefined ? "" : `  ← ${tags.join("; ")}`;
      const text = `${layer.chainId.slice(7, 19)}  ${humanSize(layer.size, 3)}  ${daemon.driver.name}/${layer.cacheId.slice(0, 12)}`;
      lines.push(`${depth === 0 ? "" : `${"   ".repeat(depth - 1)}└─ `}${text}${mark}`);
      for (const child of daemon.layers.layers) if (child.parent === layer) visit(child, depth + 1);
    };
    for (const layer of daemon.layers.layers) if (layer.parent === undefined) visit(layer, 0);
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
