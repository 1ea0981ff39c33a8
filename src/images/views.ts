/**
 * What Docker shows of images: inspect, history, system df (moby v20.10.27 daemon/images).
 */

import { parseJson } from "../calls/json.ts";
import { type DriverError, isDriverError } from "../drivers/driver.ts";
import { chainSize, type Layer } from "../layers/layer-store.ts";
import type { Daemon } from "./daemon.ts";
import { fieldOf, type JsonRecord, recordOf, textOf } from "./go-json.ts";
import { parseReference, type StoredImage } from "./image-store.ts";
import { encodeContainerConfig } from "./v1-image.ts";

/** Layers of a chain, the base first. */
export function chainOf(top: Layer | undefined): Layer[] {
  const chain: Layer[] = [];
  for (let at = top; at !== undefined; at = at.parent) chain.unshift(at);
  return chain;
}

/** One line of `docker history`. */
export interface HistoryLine {
  /** The image of the step, or "<missing>". */
  readonly id: string;
  /** RFC 3339, whole seconds. */
  readonly created: string;
  readonly createdBy: string;
  readonly comment: string;
  readonly size: number;
}

/** `docker history --no-trunc`, the newest first. */
export function historyOf(daemon: Daemon, image: StoredImage): HistoryLine[] {
  const layers = chainOf(image.top);
  let made = 0;
  const lines = image.config.history.map((entry) => ({
    id: "<missing>",
    created: entry.created.replace(/\.\d+/, ""),
    createdBy: entry.createdBy,
    comment: entry.comment,
    size: entry.emptyLayer ? 0 : (layers[made++]?.size ?? 0),
  }));
  lines.reverse();
  let id: string | undefined = image.config.id;
  for (const line of lines) {
    if (id === undefined) break;
    line.id = id;
    id = daemon.images.parentOf(id);
  }
  return lines;
}

function containerConfig(record: JsonRecord, key: string): unknown {
  return parseJson(encodeContainerConfig(recordOf(record, key, "image")));
}

/** What `docker image inspect` tells, keys in its order. */
export function inspectImage(daemon: Daemon, image: StoredImage): Readonly<Record<string, unknown>> | DriverError {
  const { config, top } = image;
  const data = top === undefined ? null : daemon.driver.metadata(top.cacheId);
  if (isDriverError(data)) return data;
  const text = (key: string): string => textOf(config.record, key, "image");
  const size = chainSize(top);
  const variant = text("variant");
  return {
    Id: config.id,
    RepoTags: daemon.images.tagsOf(config.id),
    RepoDigests: daemon.images.digestsOf(config.id),
    Parent: daemon.images.parentOf(config.id) ?? "",
    Comment: text("comment") || (config.history.at(-1)?.comment ?? ""),
    Created: text("created"),
    Container: text("container"),
    ContainerConfig: containerConfig(config.record, "container_config"),
    DockerVersion: text("docker_version"),
    Author: text("author"),
    Config: fieldOf(config.record, "config") === undefined ? null : containerConfig(config.record, "config"),
    Architecture: text("architecture"),
    ...(variant === "" ? {} : { Variant: variant }),
    Os: text("os"),
    Size: size,
    VirtualSize: size,
    GraphDriver: { Data: data === null ? null : sorted(data), Name: daemon.driver.name },
    RootFS: { Type: "layers", ...(config.diffIds.length > 0 ? { Layers: config.diffIds } : {}) },
    Metadata: { LastTagTime: daemon.images.updatedOf(config.id) },
  };
}

function sorted(data: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(data).sort(([one], [other]) => (one < other ? -1 : 1)));
}

/** One image in `docker system df -v`. */
export interface ImageUsage {
  readonly repository: string;
  readonly tag: string;
  readonly id: string;
  /** RFC 3339, as the configuration has it. */
  readonly created: string;
  readonly size: number;
  /** Bytes of layers that another image has too. */
  readonly shared: number;
  readonly unique: number;
  readonly containers: number;
  /** Bytes that deleting it would free: what neither another image nor a container needs. */
  readonly freed: number;
}

/** Images that others were built from, and that have no name, are not listed. */
function listedImages(daemon: Daemon): StoredImage[] {
  return daemon.images.images.filter(
    ({ config }) => daemon.images.tagsOf(config.id).length > 0 || daemon.images.childrenOf(config.id).length === 0,
  );
}

/** `docker system df -v` of images. */
export function imageUsage(daemon: Daemon): ImageUsage[] {
  const listed = listedImages(daemon);
  const listedBy = countChains(listed.map(({ top }) => top));
  const needed = countChains([
    ...daemon.images.images.map(({ top }) => top),
    ...daemon.layers.mounts.map(({ parent }) => parent),
  ]);
  return listed.flatMap(({ config, top }) => {
    const layers = chainOf(top);
    const sum = (of: readonly Layer[]): number => of.reduce((total, layer) => total + layer.size, 0);
    const size = sum(layers);
    const shared = sum(layers.filter((layer) => (listedBy.get(layer.chainId) ?? 0) > 1));
    const freed = sum(layers.filter((layer) => needed.get(layer.chainId) === 1));
    const containers = daemon.layers.mounts.filter(({ parent }) => parent === top && top !== undefined).length;
    const tags = daemon.images.tagsOf(config.id);
    const created = textOf(config.record, "created", "image");
    return (tags.length === 0 ? ["<none>:<none>"] : tags).map((reference) => {
      const { name, tag } = parseReference(reference);
      return { repository: name, tag, id: config.id, created, size, shared, unique: size - shared, containers, freed };
    });
  });
}

/** How many chains each layer is in. */
function countChains(tops: readonly (Layer | undefined)[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const top of tops) for (const { chainId } of chainOf(top)) counts.set(chainId, (counts.get(chainId) ?? 0) + 1);
  return counts;
}
