/**
 * New images: `docker import` of a root filesystem, and `docker commit` of a container (moby v20.10.27 daemon/images/image_import.go,
 * image_commit.go, image/image.go NewChildImage).
 */
import type { Content } from "../../sim/core/content.ts";
import type { ReadMode } from "../archive/fault.ts";
import { type DriverError, isDriverError } from "../drivers/driver.ts";
import type { Layer, WritableLayer } from "../layers/layer-store.ts";
import { encodeConfig, type HistoryEntry } from "./config.ts";
import { type Daemon, hostTime } from "./daemon.ts";
import { fieldOf, type JsonRecord } from "./go-json.ts";
import { EMPTY_DIFF_ID } from "./ids.ts";
import type { StoredImage } from "./image-store.ts";

/** The daemon that new images name. */
const DOCKER_VERSION = "20.10.27";
const ARCHITECTURE = "amd64";

/** What `docker import` says of an image that got no message: its tar came through the daemon's input. */
const IMPORT_MESSAGE = "Imported from -";

/** Makes an image of one layer out of a root filesystem's tar. @throws ArchiveFault */
export function importRootfs(
  daemon: Daemon,
  tar: Content,
  options: { readonly message?: string; readonly mode?: ReadMode } = {},
): StoredImage | DriverError {
  const layer = daemon.layers.register({ content: tar, mode: options.mode ?? "strict" }, "");
  if (isDriverError(layer)) return layer;
  const created = hostTime(daemon.host);
  const comment = options.message || IMPORT_MESSAGE;
  const raw = encodeConfig({
    architecture: ARCHITECTURE,
    os: "linux",
    created,
    comment,
    config: {},
    dockerVersion: DOCKER_VERSION,
    history: [{ created, createdBy: "", author: "", comment, emptyLayer: false }],
    diffIds: [layer.diffId],
  });
  return finish(daemon, raw, layer);
}

/** An image holds its layers by itself: the hold of who registered them ends. */
function finish(daemon: Daemon, raw: Uint8Array, layer: Layer): StoredImage | DriverError {
  const image = daemon.images.create(raw);
  daemon.layers.release(layer);
  return image;
}

export interface CommitOptions {
  /** The image that the container was made of. */
  readonly parent: StoredImage | undefined;
  /** container.Config of the new image. */
  readonly config: JsonRecord;
  /** What ran: its Cmd is the step's line in the history. Default: `config`. */
  readonly containerConfig?: JsonRecord;
  readonly container?: string;
  readonly author?: string;
  readonly comment?: string;
}

/** Makes an image of what a container changed. A change of nothing makes an image without a new layer. */
export function commitContainer(daemon: Daemon, container: WritableLayer, options: CommitOptions): StoredImage | DriverError {
  const tar = daemon.layers.writableTar(container);
  return isDriverError(tar) ? tar : commitLayer(daemon, tar, options);
}

/** Makes a child image of a layer's tar. */
function commitLayer(daemon: Daemon, tar: Content, options: CommitOptions): StoredImage | DriverError {
  const { parent } = options;
  const layer = daemon.layers.register({ content: tar, mode: "docker" }, parent?.top?.chainId ?? "");
  if (isDriverError(layer)) return layer;
  const isEmpty = layer.diffId === EMPTY_DIFF_ID;
  const image = finish(daemon, childConfig(daemon, isEmpty ? [] : [layer.diffId], options), layer);
  if (isDriverError(image) || parent === undefined) return image;
  return daemon.images.setParent(image.config.id, parent.config.id) ?? image;
}

/** The configuration of a child image. @param diffIds - of the step's layer; none of a step that made none */
function childConfig(daemon: Daemon, diffIds: readonly string[], options: CommitOptions): Uint8Array {
  const { parent, config, containerConfig = config, author = "", comment = "" } = options;
  const created = hostTime(daemon.host);
  const command = fieldOf(containerConfig, "Cmd");
  const createdBy = Array.isArray(command) ? command.join(" ") : "";
  const step: HistoryEntry = { created, createdBy, author, comment, emptyLayer: diffIds.length === 0 };
  return encodeConfig({
    architecture: ARCHITECTURE,
    os: "linux",
    created,
    author,
    config,
    ...(options.container === undefined ? {} : { container: options.container }),
    containerConfig,
    dockerVersion: DOCKER_VERSION,
    history: [...(parent?.config.history ?? []), step],
    diffIds: [...(parent?.config.diffIds ?? []), ...diffIds],
  });
}
