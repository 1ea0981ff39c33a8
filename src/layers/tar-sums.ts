/**
 * What the layer store keeps of a tar beside its files: its digest and its tar-split, both made in the one pass that reads its entries.
 *
 * Interface: equal tars are summed once: an image that is built on seven drivers gives the same tar seven times, and the later six are read
 * for their headers alone. Tars are compared byte by byte, so that the sums are what they would be; large ones of given bytes are not remembered.
 */
import type { Content } from "../../sim/core/content.ts";
import type { NewHasher } from "../archive/digest.ts";
import type { ReadMode } from "../archive/fault.ts";
import type { Gzip } from "../archive/gzip.ts";
import { readTar, type TarEntry } from "../archive/tar-read.ts";
import { TarSplitWriter } from "../archive/tar-split.ts";

/** A tar to be registered, and how it is judged. */
export interface LayerTar {
  readonly content: Content;
  readonly mode: ReadMode;
}

interface TarSums {
  readonly diffId: string;
  /** The tar-split, packed. */
  readonly split: Uint8Array;
}

interface Remembered extends TarSums {
  readonly tar: LayerTar;
  /** Bytes that remembering it costs. */
  readonly cost: number;
}

/** Bytes that are held for remembering one tar, and all. */
const COST_MAX = 2 ** 20;
const COSTS_MAX = 2 ** 24;

/** Tars that were summed lately, the oldest first, by who packed their tar-split. */
const remembered = new WeakMap<Gzip, Remembered[]>();

/** What it costs to hold a tar: its given bytes. */
function costOf({ content }: LayerTar): number {
  let cost = 0;
  for (const run of content.runs) if (run.kind === "literal" || run.kind === "record") cost += run.length;
  return content.runs.some(({ kind }) => kind === "source") ? Number.POSITIVE_INFINITY : cost;
}

function find(known: readonly Remembered[], { content, mode }: LayerTar): TarSums | undefined {
  return known.find(({ tar }) => tar.mode === mode && tar.content.length === content.length && tar.content.equals(content));
}

function remember(known: Remembered[], one: Remembered): void {
  if (one.cost > COST_MAX) return;
  known.push(one);
  let held = known.reduce((sum, { cost }) => sum + cost, 0);
  while (held > COSTS_MAX) held -= known.shift()?.cost ?? held;
}

/**
 * Reads a tar once.
 * @param take - gets its entries, and takes all of them, unless it fails: then there are no sums
 * @returns what `take` returned, and the sums
 * @throws ArchiveFault
 */
export function sumTar<T>(
  tar: LayerTar,
  { newHasher, gzip }: { readonly newHasher: NewHasher; readonly gzip: Gzip },
  take: (entries: Iterable<TarEntry>) => T,
): { readonly taken: T; readonly sums: () => TarSums } {
  const known = remembered.get(gzip) ?? [];
  remembered.set(gzip, known);
  const before = find(known, tar);
  if (before !== undefined) return { taken: take(readTar(tar.content, { mode: tar.mode })), sums: () => before };
  const hasher = newHasher();
  const split = new TarSplitWriter(gzip);
  const reading = {
    mode: tar.mode,
    checksums: true,
    onBytes: (piece: Uint8Array): void => hasher.update(piece),
    onEnd: (rest: Content): void => split.rest(rest),
  };
  function* entries(): Generator<TarEntry> {
    for (const entry of readTar(tar.content, reading)) {
      split.entry(entry);
      yield entry;
    }
  }
  const sums = (): TarSums => {
    const made = { diffId: `sha256:${hasher.hex()}`, split: split.packed() };
    remember(known, { ...made, tar, cost: costOf(tar) + made.split.length });
    return made;
  };
  return { taken: take(entries()), sums };
}
