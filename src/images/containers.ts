/**
 * Containers of images: made as `docker create` does, and their sizes (moby v20.10.27 daemon/create.go, daemon/images/image_unix.go).
 */
import { hexOf } from "../archive/digest.ts";
import { isList } from "../calls/json.ts";
import { type DriverError, isDriverError } from "../drivers/driver.ts";
import { chainSize, type WritableLayer } from "../layers/layer-store.ts";
import { type Daemon, hostTime } from "./daemon.ts";
import { fieldOf } from "./go-json.ts";
import { runConfigOf, type StoredImage } from "./image-store.ts";

const ID_BYTES = 32;

export interface Container {
  /** 64 hexadecimal digits; layerdb keeps the mount under it. */
  readonly id: string;
  readonly name: string;
  readonly image: StoredImage;
  /** What it would run. */
  readonly command: readonly string[];
  /** RFC 3339. */
  readonly created: string;
  readonly layer: WritableLayer;
}

/** Makes a container, its init layer between the image and its own. */
export function createContainer(daemon: Daemon, image: StoredImage, name: string): Container | DriverError {
  const id = hexOf(daemon.host.random.bytes(ID_BYTES));
  const created = hostTime(daemon.host);
  const layer = daemon.layers.createWritable(id, image.top?.chainId ?? "", { init: true });
  if (isDriverError(layer)) return layer;
  const config = runConfigOf(image);
  const command = ["Entrypoint", "Cmd"].flatMap((key) => {
    const words = fieldOf(config, key);
    return isList(words) ? words.map(String) : [];
  });
  return { id, name, image, command, created, layer };
}

/** The sizes that `docker ps -s` and `docker inspect -s` show of a container. */
export function containerSize(
  daemon: Daemon,
  layer: WritableLayer,
): { readonly sizeRw: number; readonly sizeRootFs: number } | DriverError {
  const sizeRw = daemon.layers.writableSize(layer);
  if (isDriverError(sizeRw)) return sizeRw;
  return { sizeRw, sizeRootFs: sizeRw + chainSize(layer.parent) };
}

/** What a container takes, beside its image. */
export interface ContainerUsage {
  readonly container: Container;
  /** Bytes of its own files: `SIZE` of `docker ps -s`. */
  readonly size: number;
  /** With the image: "virtual". */
  readonly virtual: number;
  /** Bytes of the image's layers, which it shares with the image and its other containers. */
  readonly shared: number;
  /** Bytes that nobody else has. */
  readonly unique: number;
  /** Bytes that removing it would free. */
  readonly freed: number;
}

/** The sizes of containers, in the order given. */
export function containerUsage(daemon: Daemon, containers: readonly Container[]): ContainerUsage[] | DriverError {
  const usage: ContainerUsage[] = [];
  for (const container of containers) {
    const sizes = containerSize(daemon, container.layer);
    if (isDriverError(sizes)) return sizes;
    const { sizeRw, sizeRootFs } = sizes;
    const shared = sizeRootFs - sizeRw;
    usage.push({ container, size: sizeRw, virtual: sizeRootFs, shared, unique: sizeRw, freed: sizeRw });
  }
  return usage;
}
