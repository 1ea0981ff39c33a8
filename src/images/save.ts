/**
 * `docker save` and OCI layouts: images of the stores as an archive (moby v20.10.27 and v25.0 image/tarexport/save.go; OCI image-layout.md).
 *
 * Interface: layers are put together again from the driver's files and held to their diffID before they are written.
 */
import { timeFromNanoseconds } from "../../sim/core/clock.ts";
import { Content } from "../../sim/core/content.ts";
import { digestOf, digestOfText, type NewHasher } from "../archive/digest.ts";
import { byBytes } from "../archive/export.ts";
import { DIRECTORY, REGULAR, SYMLINK } from "../archive/tar-header.ts";
import { TarWriter, tarHeader } from "../archive/tar-write.ts";
import { DriverError, isDriverError } from "../drivers/driver.ts";
import { repositoryOf } from "./distribution.ts";
import { fieldOf, goText, sortedKeys } from "./go-json.ts";
import { chainIds, v1Layers } from "./ids.ts";
import { type ImageStore, parseReference, type StoredImage } from "./image-store.ts";

/** "docker": as Docker writes it up to version 24; "docker-25": with an OCI layout in it; "oci": an OCI layout alone. */
export type SaveFormat = "docker" | "docker-25" | "oci";

export interface SaveOptions {
  readonly format: SaveFormat;
  /** The zone whose clock the daemon shows: "Z" or "-05:00". Default "Z". */
  readonly zone?: string;
  /** Seconds since 1970 of what gets the time of saving. Default 0. */
  readonly now?: number;
}

/** A file, folder or link of an archive in the making. */
type Item = { readonly mtime: number } & (
  | { readonly kind: "file"; readonly content: Content }
  | { readonly kind: "folder" }
  | { readonly kind: "link"; readonly target: string }
);

/** An archive's items by their names; folders end with "/". */
export type SavedFiles = ReadonlyMap<string, Item>;

/** An image to be saved, and the references that go with it. */
export interface SavedImage {
  readonly image: StoredImage;
  readonly tags: readonly string[];
}

interface Saving {
  readonly store: ImageStore;
  readonly newHasher: NewHasher;
  readonly zone: string;
  readonly now: number;
  readonly items: Map<string, Item>;
  /** Where each diffID's tar was written. */
  readonly layers: Map<string, string>;
}

/** Seconds since 1970 of an image's `created`. */
function createdSeconds(image: StoredImage): number {
  const created = fieldOf(image.config.record, "created");
  const time = typeof created === "string" ? Date.parse(created) : 0;
  return Number.isNaN(time) ? 0 : Math.max(0, Math.floor(time / 1000));
}

/** Saves images in the order given. @returns the files of the archive, or Docker's error */
export function saveImages(store: ImageStore, images: readonly SavedImage[], options: SaveOptions): SavedFiles | DriverError {
  const { newHasher } = store.layers.parts;
  const saving: Saving = {
    store,
    newHasher,
    zone: options.zone ?? "Z",
    now: options.now ?? 0,
    items: new Map(),
    layers: new Map(),
  };
  for (const { image } of images) if (image.top === undefined) return new DriverError("empty export - not implemented");
  const failed = options.format === "docker" ? saveLegacy(saving, images) : saveLayout(saving, images, options.format);
  return failed ?? saving.items;
}

/** The archive's tar. @param owner - the name of user 0 where the daemon looks it up; "" where it does not, as the static Docker 18.09 */
export function savedTar(items: SavedFiles, owner = "root"): Content {
  const writer = new TarWriter();
  for (const [name, item] of [...items].sort(([one], [other]) => byBytes(one.replace(/\/$/, ""), other.replace(/\/$/, "")))) {
    const common = { uname: owner, gname: owner, mtime: timeFromNanoseconds(BigInt(item.mtime) * 1_000_000_000n) };
    if (item.kind === "file") {
      const header = tarHeader({ ...common, name, typeflag: REGULAR, mode: 0o100644, size: item.content.length });
      writer.add(header, item.content);
    } else if (item.kind === "folder") writer.add(tarHeader({ ...common, name, typeflag: DIRECTORY, mode: 0o40755 }));
    else writer.add(tarHeader({ ...common, name, typeflag: SYMLINK, mode: 0o120777, linkname: item.target }));
  }
  return writer.end();
}

function putFile(saving: Saving, name: string, content: Content, mtime: number): void {
  const folders = name.split("/").slice(0, -1);
  for (let depth = 1; depth <= folders.length; depth++) {
    const folder = `${folders.slice(0, depth).join("/")}/`;
    if (!saving.items.has(folder)) saving.items.set(folder, { kind: "folder", mtime });
  }
  saving.items.set(name, { kind: "file", content, mtime });
}

/** The layers' tars of an image, the base first. */
function layerTars(saving: Saving, image: StoredImage): Content[] | DriverError {
  const tars: Content[] = [];
  for (let layer = image.top; layer !== undefined; layer = layer.parent) {
    const tar = saving.layers.has(layer.diffId) ? Content.empty : saving.store.layers.tarStream(layer);
    if (isDriverError(tar)) return tar;
    tars.unshift(tar);
  }
  return tars;
}

// Up to version 24

function saveLegacy(saving: Saving, images: readonly SavedImage[]): DriverError | undefined {
  const manifest: string[] = [];
  const repositories: Record<string, Record<string, string>> = {};
  const ids = new Set(images.map(({ image }) => image.config.id));
  for (const { image, tags } of images) {
    const { config } = image;
    const tars = layerTars(saving, image);
    if (isDriverError(tars)) return tars;
    const created = createdSeconds(image);
    const layers = v1Layers(config.record, chainIds(config.diffIds, saving.newHasher), saving.zone, saving.newHasher);
    for (const [index, layer] of layers.entries()) {
      const tar = { diffId: config.diffIds[index] ?? "", content: tars[index] ?? Content.empty };
      saveLegacyLayer(saving, layer, tar, created);
    }
    putFile(saving, `${config.id.slice(7)}.json`, Content.literal(config.raw), created);
    const paths = layers.map(({ id }) => goText(`${id}/layer.tar`));
    const parent = saving.store.parentOf(config.id);
    const link = parent !== undefined && ids.has(parent) ? `,"Parent":${goText(parent)}` : "";
    manifest.push(
      `{"Config":${goText(`${config.id.slice(7)}.json`)},"RepoTags":${goTexts(tags)},"Layers":[${paths.join(",")}]${link}}`,
    );
    addRepositories(repositories, tags, layers.at(-1)?.id ?? "");
  }
  putFile(saving, "manifest.json", Content.text(`[${manifest.join(",")}]\n`), 0);
  putRepositories(saving, repositories);
  return undefined;
}

function saveLegacyLayer(
  saving: Saving,
  layer: { readonly id: string; readonly json: string },
  tar: { readonly diffId: string; readonly content: Content },
  created: number,
): void {
  if (saving.items.has(`${layer.id}/`)) return;
  const there = saving.layers.get(tar.diffId);
  // Docker sets the times of a folder where it has written a layer, and forgets those where it has linked one.
  const mtime = there === undefined ? created : saving.now;
  putFile(saving, `${layer.id}/VERSION`, Content.text("1.0"), mtime);
  putFile(saving, `${layer.id}/json`, Content.text(layer.json), mtime);
  if (there === undefined) {
    putFile(saving, `${layer.id}/layer.tar`, tar.content, mtime);
    saving.layers.set(tar.diffId, `${layer.id}/layer.tar`);
  } else saving.items.set(`${layer.id}/layer.tar`, { kind: "link", target: `../${there}`, mtime });
}

function goTexts(texts: readonly string[]): string {
  return texts.length === 0 ? "null" : `[${texts.map(goText).join(",")}]`;
}

function addRepositories(repositories: Record<string, Record<string, string>>, tags: readonly string[], id: string): void {
  for (const text of tags) {
    const { name, tag } = parseReference(text);
    repositories[name] = { ...repositories[name], [tag]: id };
  }
}

function putRepositories(saving: Saving, repositories: Record<string, Record<string, string>>): void {
  const rows = sortedKeys(repositories).map(([name, tags]) => {
    const inner = sortedKeys(tags).map(([tag, id]) => `${goText(tag)}:${goText(id)}`);
    return `${goText(name)}:{${inner.join(",")}}`;
  });
  if (rows.length > 0) putFile(saving, "repositories", Content.text(`{${rows.join(",")}}\n`), 0);
}

// OCI layouts

const MEDIA = {
  index: "application/vnd.oci.image.index.v1+json",
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar",
};

function descriptor(mediaType: string, digest: string, size: number): string {
  return `"mediaType":${goText(mediaType)},"digest":${goText(digest)},"size":${size}`;
}

function putBlob(saving: Saving, digest: string, content: Content, mtime: number): void {
  const name = `blobs/sha256/${digest.slice(7)}`;
  if (!saving.items.has(name)) putFile(saving, name, content, mtime);
}

function saveLayout(saving: Saving, images: readonly SavedImage[], format: SaveFormat): DriverError | undefined {
  const descriptors: string[] = [];
  const manifest: string[] = [];
  const repositories: Record<string, Record<string, string>> = {};
  for (const { image, tags } of images) {
    const { config } = image;
    const sizes = saveBlobs(saving, image, format);
    if (isDriverError(sizes)) return sizes;
    const layers = config.diffIds.map((id, index) => `{${descriptor(MEDIA.layer, id, sizes[index] ?? 0)}}`);
    const text = `{"schemaVersion":2,"mediaType":${goText(MEDIA.manifest)},"config":{${descriptor(MEDIA.config, config.id, config.raw.length)}},"layers":[${layers.join(",")}]}`;
    const digest = digestOfText(text, saving.newHasher);
    putBlob(saving, digest, Content.text(text), createdSeconds(image));
    const plain = descriptor(MEDIA.manifest, digest, new TextEncoder().encode(text).length);
    descriptors.push(...(tags.length === 0 ? [`{${plain}}`] : tags.map((tag) => `{${plain},${annotations(tag)}}`)));
    const sources = config.diffIds.map((id, index) => `${goText(id)}:{${descriptor(MEDIA.layer, id, sizes[index] ?? 0)}}`);
    const paths = config.diffIds.map((id) => goText(`blobs/sha256/${id.slice(7)}`));
    manifest.push(
      `{"Config":${goText(`blobs/sha256/${config.id.slice(7)}`)},"RepoTags":${goTexts(tags)},"Layers":[${paths.join(",")}],"LayerSources":{${[...new Set(sources)].sort().join(",")}}}`,
    );
    addRepositories(repositories, tags, config.diffIds.at(-1)?.slice(7) ?? "");
  }
  putFile(
    saving,
    "index.json",
    Content.text(`{"schemaVersion":2,"mediaType":${goText(MEDIA.index)},"manifests":[${descriptors.join(",")}]}`),
    0,
  );
  putFile(saving, "oci-layout", Content.text('{"imageLayoutVersion": "1.0.0"}'), 0);
  if (format === "oci") return undefined;
  putFile(saving, "manifest.json", Content.text(`[${manifest.join(",")}]\n`), 0);
  putRepositories(saving, repositories);
  return undefined;
}

/** The annotations of a tagged image: its full name as containerd has it, and its tag. */
function annotations(reference: string): string {
  const { tag } = parseReference(reference);
  const rows = { "io.containerd.image.name": `${repositoryOf(reference)}:${tag}`, "org.opencontainers.image.ref.name": tag };
  return `"annotations":{${Object.entries(rows)
    .map(([key, text]) => `${goText(key)}:${goText(text)}`)
    .join(",")}}`;
}

/** Writes an image's blobs. @returns each layer's bytes */
function saveBlobs(saving: Saving, image: StoredImage, format: SaveFormat): number[] | DriverError {
  const { config } = image;
  const created = createdSeconds(image);
  const tars = layerTars(saving, image);
  if (isDriverError(tars)) return tars;
  const sizes: number[] = [];
  for (const [index, id] of config.diffIds.entries()) {
    const name = `blobs/sha256/${id.slice(7)}`;
    const content = tars[index] ?? Content.empty;
    if (!saving.layers.has(id)) {
      putFile(saving, name, content, created);
      saving.layers.set(id, name);
    }
    const item = saving.items.get(name);
    sizes.push(item?.kind === "file" ? item.content.length : 0);
  }
  if (format === "docker-25") {
    const layers = v1Layers(config.record, chainIds(config.diffIds, saving.newHasher), saving.zone, saving.newHasher);
    for (const { json } of layers) putBlob(saving, digestOfText(json, saving.newHasher), Content.text(json), created);
  }
  putBlob(saving, digestOf(config.raw, saving.newHasher), Content.literal(config.raw), created);
  return sizes;
}
