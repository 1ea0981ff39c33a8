/**
 * The image store: configurations by their digest, tags, and parents (moby v20.10.27 image/store.go, reference/store.go).
 *
 * On disk below the layer store's root: `imagedb/content/sha256/<id>` (0600), `imagedb/metadata/sha256/<id>/{parent,lastUpdated}`, and
 * `repositories.json` (0600).
 *
 * Interface: an image holds its topmost layer until it is deleted.
 */
import { assert } from "../../sim/core/assert.ts";
import { digestOf } from "../archive/digest.ts";
import { DriverError, isDriverError } from "../drivers/driver.ts";
import { makeDirectories, readFile, removeAll, sortedNames, writeFile } from "../drivers/files.ts";
import type { Layer, LayerStore } from "../layers/layer-store.ts";
import { type ImageConfig, readConfig } from "./config.ts";
import { goText, type JsonRecord, recordOf, sortedKeys } from "./go-json.ts";
import { chainIds } from "./ids.ts";

/** An image of the store. */
export interface StoredImage {
  readonly config: ImageConfig;
  /** Its topmost layer; absent of an image without layers. */
  readonly top: Layer | undefined;
}

/** What its containers run with (the config's own "config"); empty for no image, and where it says nothing. */
export function runConfigOf(image: StoredImage | undefined): JsonRecord {
  return (image === undefined ? undefined : recordOf(image.config.record, "config", "image")) ?? {};
}

/** A reference in two parts: "lab/app" and "2". */
export interface Reference {
  readonly name: string;
  readonly tag: string;
}

/** Docker's own registry by its names, and the folder there of what has none. */
const OWN_REGISTRY = /^(?:(?:index\.)?docker\.io\/)?(?:library\/(?=[^/]+$))?/;

/**
 * Cuts a reference at the colon behind its last slash; "latest" where there is none. The name is the familiar one: "app" for
 * "docker.io/library/app" (distribution/reference v2.7, FamiliarName).
 */
export function parseReference(text: string): Reference {
  const familiar = text.replace(OWN_REGISTRY, "");
  const colon = familiar.indexOf(":", familiar.lastIndexOf("/") + 1);
  return colon < 0 ? { name: familiar, tag: "latest" } : { name: familiar.slice(0, colon), tag: familiar.slice(colon + 1) };
}

export class ImageStore {
  readonly layers: LayerStore;
  readonly #images = new Map<string, StoredImage>();
  readonly #parents = new Map<string, string>();
  readonly #tags = new Map<string, string>();
  /** Images by what a registry calls them: "lab/app@sha256:…". */
  readonly #digests = new Map<string, string>();

  constructor(layers: LayerStore) {
    this.layers = layers;
    this.#restore();
  }

  get #root(): string {
    return this.layers.parts.root;
  }

  #contentPath(id: string): string {
    return `${this.#root}/imagedb/content/sha256/${id.slice(7)}`;
  }

  #metadataFolder(id: string): string {
    return `${this.#root}/imagedb/metadata/sha256/${id.slice(7)}`;
  }

  /** Takes up what the files say; an image whose layers are gone stays out. */
  #restore(): void {
    const { task } = this.layers.parts.host;
    const names = sortedNames(task, `${this.#root}/imagedb/content/sha256`);
    if (isDriverError(names)) return;
    for (const name of names) {
      const text = readFile(task, this.#contentPath(`sha256:${name}`));
      if (isDriverError(text)) continue;
      const config = readConfig(new TextEncoder().encode(text), this.layers.parts.newHasher);
      if (config.id !== `sha256:${name}` || isDriverError(this.#keep(config))) continue;
      const parent = readFile(task, `${this.#metadataFolder(config.id)}/parent`);
      if (!isDriverError(parent)) this.#parents.set(config.id, parent.trim());
    }
    const saved = readFile(task, `${this.#root}/repositories.json`);
    if (isDriverError(saved)) return;
    const { Repositories } = JSON.parse(saved) as { Repositories: Record<string, Record<string, string>> };
    for (const tags of Object.values(Repositories))
      for (const [reference, id] of Object.entries(tags))
        if (this.#images.has(id)) (reference.includes("@") ? this.#digests : this.#tags).set(reference, id);
  }

  #keep(config: ImageConfig): StoredImage | DriverError {
    const top = chainIds(config.diffIds, this.layers.parts.newHasher).at(-1);
    const layer = top === undefined ? undefined : this.layers.get(top);
    if (isDriverError(layer)) return new DriverError(`failed to get layer ${top}: ${layer.message}`);
    const image = { config, top: layer };
    this.#images.set(config.id, image);
    return image;
  }

  get images(): readonly StoredImage[] {
    return [...this.#images.values()];
  }

  /** By ID or by reference. */
  get(name: string): StoredImage | undefined {
    const { name: repository, tag } = parseReference(name);
    return this.#images.get(name) ?? this.#images.get(this.#tags.get(`${repository}:${tag}`) ?? "");
  }

  /** Adds an image by its configuration's bytes. Adding one that is there changes nothing. @throws ArchiveFault for a bad configuration */
  create(raw: Uint8Array): StoredImage | DriverError {
    const config = readConfig(raw, this.layers.parts.newHasher);
    const there = this.#images.get(config.id);
    if (there !== undefined) return there;
    const image = this.#keep(config);
    if (isDriverError(image)) return image;
    const { task } = this.layers.parts.host;
    const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(raw);
    const failed =
      makeDirectories(task, `${this.#root}/imagedb/content/sha256`, 0o700) ??
      makeDirectories(task, `${this.#root}/imagedb/metadata/sha256`, 0o700) ??
      writeFile(task, this.#contentPath(config.id), { text, mode: 0o600 });
    if (failed === undefined) return image;
    this.#images.delete(config.id);
    if (image.top !== undefined) this.layers.release(image.top);
    return failed;
  }

  /** The image that a step of a build started from. */
  setParent(id: string, parent: string): DriverError | undefined {
    if (!this.#images.has(parent)) return new DriverError(`unknown parent image ID ${parent}`);
    const failed = this.#writeMetadata(id, "parent", parent);
    if (failed === undefined) this.#parents.set(id, parent);
    return failed;
  }

  #writeMetadata(id: string, key: string, text: string): DriverError | undefined {
    const { task } = this.layers.parts.host;
    const folder = this.#metadataFolder(id);
    return makeDirectories(task, folder, 0o700) ?? writeFile(task, `${folder}/${key}`, { text, mode: 0o600 });
  }

  /** When the image got its latest name, RFC 3339; the year 1 where it never did, but by docker load. */
  updatedOf(id: string): string {
    const text = readFile(this.layers.parts.host.task, `${this.#metadataFolder(id)}/lastUpdated`);
    return isDriverError(text) ? "0001-01-01T00:00:00Z" : text.trim();
  }

  parentOf(id: string): string | undefined {
    return this.#parents.get(id);
  }

  childrenOf(id: string): string[] {
    return [...this.#parents].filter(([, parent]) => parent === id).map(([child]) => child);
  }

  /** References of an image, sorted. */
  tagsOf(id: string): string[] {
    return [...this.#tags]
      .filter(([, tagged]) => tagged === id)
      .map(([reference]) => reference)
      .sort();
  }

  /** Every reference with its image. */
  get tags(): ReadonlyMap<string, string> {
    return this.#tags;
  }

  /**
   * Gives an image a name; another image of that name loses it.
   * @param updated - when, RFC 3339, where that is kept: of docker tag, commit and import, and not of docker load
   */
  tag(id: string, reference: string, updated?: string): DriverError | undefined {
    const { name, tag } = parseReference(reference);
    this.#tags.set(`${name}:${tag}`, id);
    const unwritten = updated === undefined ? undefined : this.#writeMetadata(id, "lastUpdated", updated);
    return unwritten ?? this.#writeTags();
  }

  /** The name by which a registry has the image: a manifest's digest, in a repository. */
  addDigest(id: string, repository: string, digest: string): DriverError | undefined {
    this.#digests.set(`${repository}@${digest}`, id);
    return this.#writeTags();
  }

  /** References by digest, sorted. */
  digestsOf(id: string): string[] {
    return [...this.#digests]
      .filter(([, named]) => named === id)
      .map(([reference]) => reference)
      .sort();
  }

  untag(reference: string): DriverError | undefined {
    const { name, tag } = parseReference(reference);
    return this.#tags.delete(`${name}:${tag}`) ? this.#writeTags() : new DriverError(`No such image: ${reference}`);
  }

  #writeTags(): DriverError | undefined {
    const repositories: Record<string, Record<string, string>> = {};
    for (const [reference, id] of [...this.#tags, ...this.#digests]) {
      const at = reference.indexOf("@");
      const name = at < 0 ? parseReference(reference).name : reference.slice(0, at);
      repositories[name] = { ...repositories[name], [reference]: id };
    }
    const rows = sortedKeys(repositories).map(([name, tags]) => {
      const inner = sortedKeys(tags).map(([reference, id]) => `${goText(reference)}:${goText(id)}`);
      return `${goText(name)}:{${inner.join(",")}}`;
    });
    const text = `{"Repositories":{${rows.join(",")}}}`;
    return writeFile(this.layers.parts.host.task, `${this.#root}/repositories.json`, { text, mode: 0o600 });
  }

  /** Removes an image: its children lose their parent, its layers go where nobody else needs them. @returns the layers removed, topmost first */
  delete(id: string): Layer[] | DriverError {
    const image = this.#images.get(id);
    if (image === undefined) return new DriverError(`unrecognized image ID ${id}`);
    const { task } = this.layers.parts.host;
    for (const child of this.childrenOf(id)) {
      removeAll(task, `${this.#metadataFolder(child)}/parent`);
      this.#parents.delete(child);
    }
    const named = this.digestsOf(id);
    for (const reference of named) this.#digests.delete(reference);
    if (named.length > 0) this.#writeTags();
    for (const [reference, tagged] of [...this.#tags]) if (tagged === id) this.untag(reference);
    this.#parents.delete(id);
    this.#images.delete(id);
    const failed = removeAll(task, this.#metadataFolder(id)) ?? removeAll(task, this.#contentPath(id));
    if (failed !== undefined) return failed;
    return image.top === undefined ? [] : this.layers.release(image.top);
  }

  /** Throws an InvariantError when an image's bytes are not those that its ID names, or its layers are gone. */
  check(): void {
    this.layers.check();
    for (const { config, top } of this.#images.values()) {
      assert(digestOf(config.raw, this.layers.parts.newHasher) === config.id, `${config.id} has other bytes`);
      if (top !== undefined) assert(this.layers.find(top.chainId) === top, `${config.id} has lost its layers`);
    }
  }
}
