/**
 * Images as they were before Docker 1.10, where an image was a layer with a random name and a link to its parent; and their migration to
 * images by content (moby v1.9.1 graph/; v1.10.3 migrate/v1; spec/drivers.md §9).
 *
 * On disk, in Docker's root: `graph/<id>/{json,layersize,checksum}`, `repositories-<driver>`; the driver knows the layer by the image's id. The migration
 * leaves `.migration-v1-images.json` and `.migration-v1-tags` there, and the driver's layers under their old names.
 */
import type { Content } from "../../sim/core/content.ts";
import type { Host } from "../../sim/host.ts";
import { hexOf, isDigest } from "../archive/digest.ts";
import { readTar } from "../archive/tar-read.ts";
import type { Json } from "../calls/json.ts";
import { DOCKER_ROOT } from "../drivers/docker-root.ts";
import { type DriverError, type GraphDriver, isDriverError } from "../drivers/driver.ts";
import { makeDirectories, readFile, sortedNames, writeFile } from "../drivers/files.ts";
import { applyDiffTo } from "../drivers/layer-diff.ts";
import type { Daemon } from "./daemon.ts";
import { DistributionStore } from "./distribution.ts";
import { fieldOf, goJson, goText, type JsonRecord, readRecord, sortedKeys, textOf } from "./go-json.ts";
import { v1Config, v1History } from "./v1-config.ts";
import { encodeV1Image } from "./v1-image.ts";

const GRAPH = `${DOCKER_ROOT}/graph`;
const ID_BYTES = 32;
/** What a v1 image is made of. */
export interface LegacyImage {
  /** The parent's id; "" for none. */
  readonly parent: string;
  /** RFC 3339. */
  readonly created: string;
  readonly command: readonly string[];
  readonly tar: Content;
  /** The digest of the file in which a registry gave the layer. */
  readonly checksum?: string;
}

/** Makes an image as Docker 1.9 did. @returns its id, which says nothing of what it holds */
export function addLegacyImage(host: Host, driver: GraphDriver, image: LegacyImage): string | DriverError {
  const id = hexOf(host.random.bytes(ID_BYTES));
  const created = driver.create(id, image.parent);
  if (created !== undefined) return created;
  const diff = { entries: readTar(image.tar, { mode: "docker" }), mode: "docker" } as const;
  const size = applyDiffTo(host, driver, { id, parent: image.parent, diff });
  if (isDriverError(size)) return size;
  const record = {
    created: image.created,
    docker_version: "1.9.1",
    container_config: { Cmd: image.command },
    architecture: "amd64",
    os: "linux",
  };
  const rows = encodeV1Image({ image: record, id, ...(image.parent === "" ? {} : { parent: image.parent }) });
  const json = `{${rows.map(([key, text]) => `${goText(key)}:${text}`).join(",")}}`;
  const folder = `${GRAPH}/${id}`;
  return (
    makeDirectories(host.task, folder, 0o700) ??
    writeFile(host.task, `${folder}/json`, { text: json, mode: 0o600 }) ??
    writeFile(host.task, `${folder}/layersize`, { text: String(size), mode: 0o600 }) ??
    (image.checksum === undefined
      ? undefined
      : writeFile(host.task, `${folder}/checksum`, { text: image.checksum, mode: 0o600 })) ??
    id
  );
}

/** Names v1 images: {"lab/app": {"2": id}}. */
export function writeLegacyTags(
  host: Host,
  driver: GraphDriver,
  tags: Readonly<Record<string, Readonly<Record<string, string>>>>,
): DriverError | undefined {
  const text = `{"Repositories":${goJson(tags)}}`;
  return writeFile(host.task, `${DOCKER_ROOT}/repositories-${driver.name}`, { text, mode: 0o600 });
}

/** What a migration did. */
export interface Migration {
  /** Old id and new image ID, in the order in which they were migrated: parents first. */
  readonly images: readonly { readonly old: string; readonly id: string }[];
  /** Why an image stayed behind. */
  readonly failed: readonly { readonly old: string; readonly why: string }[];
}

/** Migrates every image of `graph/`; one that fails is left out, and with it those that stand on it. */
export function migrateImages(daemon: Daemon): Migration | DriverError {
  const { task } = daemon.host;
  const ids = sortedNames(task, GRAPH);
  if (isDriverError(ids)) return ids;
  const migrated = new Map<string, string>();
  const failed = new Map<string, string>();
  const visit = (old: string, depth: number): void => {
    if (migrated.has(old) || failed.has(old)) return;
    const record = readLegacy(daemon, old);
    if (isDriverError(record)) return void failed.set(old, record.message);
    const parent = textOf(record, "parent", "v1 image");
    if (parent !== "" && depth < ids.length) visit(parent, depth + 1);
    if (parent !== "" && !migrated.has(parent)) return void failed.set(old, "parent image was not migrated");
    const id = migrateOne(daemon, { old, record, parent: migrated.get(parent) });
    if (isDriverError(id)) failed.set(old, id.message);
    else migrated.set(old, id);
  };
  for (const id of ids) visit(id, 0);
  const text = goJson(Object.fromEntries(sortedKeys(Object.fromEntries(migrated))));
  const wrong =
    writeFile(task, `${DOCKER_ROOT}/.migration-v1-images.json`, { text, mode: 0o600 }) ?? migrateTags(daemon, migrated);
  if (wrong !== undefined) return wrong;
  return {
    images: [...migrated].map(([old, id]) => ({ old, id })),
    failed: [...failed].map(([old, why]) => ({ old, why })),
  };
}

function readLegacy(daemon: Daemon, id: string): JsonRecord | DriverError {
  const text = readFile(daemon.host.task, `${GRAPH}/${id}/json`);
  return isDriverError(text) ? text : readRecord(new TextEncoder().encode(text), "v1 image");
}

interface Old {
  readonly old: string;
  readonly record: JsonRecord;
  /** The new ID of the parent. */
  readonly parent: string | undefined;
}

function migrateOne(daemon: Daemon, { old, record, parent }: Old): string | DriverError {
  const above = parent === undefined ? undefined : daemon.images.get(parent);
  const layer = daemon.layers.registerByGraphId(old, above?.top?.chainId ?? "");
  if (isDriverError(layer)) return layer;
  const diffIds = [...(above?.config.diffIds ?? []), layer.diffId];
  const history = above === undefined ? [] : (fieldOf(above.config.record, "history") as readonly Json[] | undefined);
  const raw = v1Config(record, diffIds, [...(history ?? []), v1History(record)]);
  const image = daemon.images.create(raw);
  daemon.layers.release(layer);
  if (isDriverError(image)) return image;
  const checksum = readFile(daemon.host.task, `${GRAPH}/${old}/checksum`);
  if (!isDriverError(checksum) && isDigest(checksum)) {
    const failed = new DistributionStore(daemon.layers.parts).add(layer.diffId, { digest: checksum, repository: "" });
    if (failed !== undefined) return failed;
  }
  const linked = parent === undefined ? undefined : daemon.images.setParent(image.config.id, parent);
  return linked ?? image.config.id;
}

function migrateTags(daemon: Daemon, migrated: ReadonlyMap<string, string>): DriverError | undefined {
  const { task } = daemon.host;
  const text = readFile(task, `${DOCKER_ROOT}/repositories-${daemon.driver.name}`);
  if (!isDriverError(text)) {
    const saved = readRecord(new TextEncoder().encode(text), "repositories");
    const repositories = (fieldOf(saved, "Repositories") ?? {}) as {
      readonly [name: string]: { readonly [tag: string]: string };
    };
    for (const [name, tags] of Object.entries(repositories)) {
      for (const [tag, old] of Object.entries(tags)) {
        const id = migrated.get(old);
        const failed = id === undefined ? undefined : daemon.images.tag(id, `${name}:${tag}`, "0001-01-01T00:00:00Z");
        if (failed !== undefined) return failed;
      }
    }
  }
  return writeFile(task, `${DOCKER_ROOT}/.migration-v1-tags`, { text: "", mode: 0o600 });
}
