/**
 * What archives made to hurt are built of: layers, and archives of `docker save` around them, right but for what is given in the place of a part.
 */
import { Content } from "../../sim/core/content.ts";
import { digestOf, digestOfContent } from "../../src/archive/digest.ts";
import type * as tar from "../../src/archive/tar-header.ts";
import { TarWriter, tarHeader } from "../../src/archive/tar-write.ts";
import { nodeHasher } from "../../src/node/digest.ts";

export interface HostileCase {
  readonly name: string;
  /** The archive of `docker save`, or whatever is given in its place. */
  readonly archive: () => Content;
  /** The code in mode "strict"; undefined: taken, and contained. */
  readonly code: string | undefined;
  /** The code where a driver unpacks into a folder of changes, which does not show what is below; default: `code`. */
  readonly codeNative?: string;
}

export type Entry = Partial<tar.TarHeader> & { readonly name: string; readonly body?: string | Content };

function bodyOf({ body }: Entry): Content {
  return body === undefined ? Content.empty : typeof body === "string" ? Content.text(body) : body;
}

/** The tar of entries. */
export function layerOf(entries: readonly Entry[]): Content {
  const writer = new TarWriter();
  for (const entry of entries) {
    const { body: _, ...header } = entry;
    writer.add(tarHeader({ ...header, size: bodyOf(entry).length }), bodyOf(entry));
  }
  return writer.end();
}

export interface Parts {
  readonly layers: readonly Content[];
  readonly config?: (diffIds: readonly string[]) => string;
  readonly configName?: string;
  readonly manifest?: (config: string, layers: readonly string[]) => string;
  readonly more?: readonly Entry[];
}

export function defaultConfig(diffIds: readonly string[]): string {
  return JSON.stringify({
    architecture: "amd64",
    os: "linux",
    created: "2020-01-01T00:00:00Z",
    rootfs: { type: "layers", diff_ids: diffIds },
  });
}

/** An archive of `docker save` around layers. */
export function archiveOf(parts: Parts): Content {
  const config = (parts.config ?? defaultConfig)(parts.layers.map((layer) => digestOfContent(layer, nodeHasher)));
  const name = parts.configName ?? `${digestOf(new TextEncoder().encode(config), nodeHasher).slice(7)}.json`;
  const paths = parts.layers.map((_, index) => `${index}/layer.tar`);
  const manifest = parts.manifest?.(name, paths) ?? JSON.stringify([{ Config: name, RepoTags: ["hostile:1"], Layers: paths }]);
  return layerOf([
    ...parts.layers.map((body, index) => ({ name: `${index}/layer.tar`, body })),
    { name, body: config },
    { name: "manifest.json", body: manifest },
    ...(parts.more ?? []),
  ]);
}

/** A layer as it should be. */
export const BASE: readonly Entry[] = [
  { name: "etc/" },
  { name: "etc/passwd", body: "root" },
  { name: "dir/" },
  { name: "dir/file", body: "content" },
];
