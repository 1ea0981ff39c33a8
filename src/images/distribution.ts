/**
 * Push and pull: what a daemon sends to a registry, and what it remembers of layers' names there (moby v20.10.27 distribution/push_v2.go, pull_v2.go,
 * distribution/metadata/v2_metadata_service.go).
 *
 * On disk below the layer store's root: `distribution/diffid-by-digest/sha256/<hex>` with a diffID, and
 * `distribution/v2metadata-by-diffid/sha256/<hex>` with a list of names, the latest last.
 */
import { Content } from "../../sim/core/content.ts";
import { digestOf } from "../archive/digest.ts";
import { isList, isRecord } from "../calls/json.ts";
import { type DriverError, isDriverError } from "../drivers/driver.ts";
import { makeDirectories, parentPath, readFile, writeFile } from "../drivers/files.ts";
import type { StoreParts } from "../layers/layer-store.ts";
import { goText, readJson, textOf } from "./go-json.ts";
import { type ImageStore, parseReference, type StoredImage } from "./image-store.ts";
import { type BlobName, encodeSchema2 } from "./registry-image.ts";
import { chainOf } from "./views.ts";

/** What a registry calls a layer, and in which repository it was seen. */
export interface V2Metadata {
  readonly digest: string;
  /** "docker.io/lab/app"; "" where nobody knows. */
  readonly repository: string;
}

/** So many names are kept of a layer. */
const NAMES_MAX = 50;

/** Distribution metadata on the host. */
export class DistributionStore {
  readonly #parts: StoreParts;

  constructor(parts: StoreParts) {
    this.#parts = parts;
  }

  #path(space: "diffid-by-digest" | "v2metadata-by-diffid", digest: string): string {
    return `${this.#parts.root}/distribution/${space}/${digest.replace(":", "/")}`;
  }

  /** The layer that a registry's name means, where a pull or push has told. */
  diffIdOf(digest: string): string | undefined {
    const text = readFile(this.#parts.host.task, this.#path("diffid-by-digest", digest));
    return isDriverError(text) ? undefined : text;
  }

  /** The names of a layer, the latest last. */
  namesOf(diffId: string): V2Metadata[] {
    const text = readFile(this.#parts.host.task, this.#path("v2metadata-by-diffid", diffId));
    if (isDriverError(text)) return [];
    const rows = readJson(new TextEncoder().encode(text), "distribution metadata");
    return (isList(rows) ? rows : []).filter(isRecord).map((row) => ({
      digest: textOf(row, "Digest", "distribution metadata"),
      repository: textOf(row, "SourceRepository", "distribution metadata"),
    }));
  }

  /** Remembers a name; one that was known becomes the latest. */
  add(diffId: string, name: V2Metadata): DriverError | undefined {
    const others = this.namesOf(diffId).filter((one) => one.digest !== name.digest || one.repository !== name.repository);
    const rows = [...others, name]
      .slice(-NAMES_MAX)
      .map(({ digest, repository }) => `{"Digest":${goText(digest)},"SourceRepository":${goText(repository)},"HMAC":""}`);
    return (
      this.#write(this.#path("v2metadata-by-diffid", diffId), `[${rows.join(",")}]`) ??
      this.#write(this.#path("diffid-by-digest", name.digest), diffId)
    );
  }

  #write(path: string, text: string): DriverError | undefined {
    const { task } = this.#parts.host;
    return makeDirectories(task, parentPath(path), 0o755) ?? writeFile(task, path, { text, mode: 0o644 });
  }
}

/** A repository's full name: Docker's own registry where none is named. */
export function repositoryOf(reference: string): string {
  const { name } = parseReference(reference);
  const first = name.split("/")[0] ?? "";
  if (name.includes("/") && (first.includes(".") || first.includes(":") || first === "localhost")) return name;
  return `docker.io/${name.includes("/") ? name : `library/${name}`}`;
}

/** What a push sends. */
export interface Pushed {
  readonly manifest: Uint8Array;
  /** The manifest's digest. */
  readonly digest: string;
  /** The configuration and every layer by digest, in the order of the manifest. */
  readonly blobs: ReadonlyMap<string, Content>;
}

/** Packs an image for a registry, and remembers its layers' names there. @param reference - where it goes: name and tag */
export function pushImage(store: ImageStore, image: StoredImage, reference: string): Pushed | DriverError {
  const { parts } = store.layers;
  const known = new DistributionStore(parts);
  const layers: BlobName[] = [];
  const blobs = new Map<string, Content>([[image.config.id, Content.literal(image.config.raw)]]);
  for (const layer of chainOf(image.top)) {
    const tar = store.layers.tarStream(layer);
    if (isDriverError(tar)) return tar;
    const packed = parts.gzip.pack(tar.toBytes());
    const digest = digestOf(packed, parts.newHasher);
    layers.push({ digest, size: packed.length });
    blobs.set(digest, Content.literal(packed));
    const failed = known.add(layer.diffId, { digest, repository: repositoryOf(reference) });
    if (failed !== undefined) return failed;
  }
  const manifest = encodeSchema2({ digest: image.config.id, size: image.config.raw.length }, layers);
  const digest = digestOf(manifest, parts.newHasher);
  return store.addDigest(image.config.id, parseReference(reference).name, digest) ?? { manifest, digest, blobs };
}

/** What a registry calls the layers of an image that came from there, and where that was; "" where nobody says. */
interface Pulled {
  readonly blobs: readonly string[];
  readonly repository: string;
}

/** Remembers the names of an image's layers. */
export function rememberPull(store: ImageStore, image: StoredImage, { blobs, repository }: Pulled): DriverError | undefined {
  const known = new DistributionStore(store.layers.parts);
  let failed: DriverError | undefined;
  for (const [index, digest] of blobs.entries()) {
    const diffId = image.config.diffIds[index];
    if (diffId !== undefined) failed ??= known.add(diffId, { digest, repository });
  }
  return failed;
}
