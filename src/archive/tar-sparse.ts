/**
 * Sparse files in PAX's forms, as Go's archive/tar reads them (Go 1.19, reader.go: handleSparseFile): GNU tar's 0.0 and 0.1 have the map of what is
 * there among the records, 1.0, which libarchive writes too, before the content. The old form of a type of its own Docker does not take.
 */
import { Content } from "../../sim/core/content.ts";
import { ArchiveFault } from "./fault.ts";
import { paxNumber, paxText, SPARSE_PREFIX } from "./tar-fields.ts";
import { BLOCK, nameText, type TarHeader } from "./tar-header.ts";

/** Digits of a number of the map, and numbers of it, at most. */
const DIGITS_MAX = 16;
const NUMBERS_MAX = 200_000;
const NEWLINE = 0x0a;

interface Run {
  readonly offset: number;
  readonly length: number;
}

/** What the records of a sparse file say. */
export interface Sparse {
  /** "inside": before the content. */
  readonly map: "inside" | readonly Run[];
}

/** What PAX records say of a sparse file; undefined where they make none. */
export function sparseOf(records: ReadonlyMap<string, Uint8Array>): Sparse | undefined {
  const text = (key: string): string => nameText(records.get(SPARSE_PREFIX + key) ?? new Uint8Array(0));
  const [major, minor, map] = [text("major"), text("minor"), text("map")];
  if (major === "1" && minor === "0") return { map: "inside" };
  const isOlder = major === "0" && (minor === "0" || minor === "1");
  if (!isOlder && (major !== "" || minor !== "" || map === "")) return undefined;
  const numbers = map === "" ? [] : map.split(",").map(wholeNumber);
  if (numbers.length !== 2 * wholeNumber(text("numblocks"))) throw wrong("has not the length that it says");
  return { map: runsOf(numbers) };
}

/** A header with the name and size that the file has when its holes are there. */
export function wholeHeader(header: TarHeader, records: ReadonlyMap<string, Uint8Array>): TarHeader {
  const at = (key: string): Uint8Array | undefined => {
    const value = records.get(SPARSE_PREFIX + key);
    return value === undefined || value.length === 0 ? undefined : value;
  };
  const name = at("name");
  const size = at("size") ?? at("realsize");
  return {
    ...header,
    ...(name === undefined ? {} : { name: paxText(name, `${SPARSE_PREFIX}name`) }),
    ...(size === undefined ? {} : { size: paxNumber(size, `${SPARSE_PREFIX}size`) }),
  };
}

/** A file's whole content, its holes zeros. @param stored - what the archive has of it */
export function expanded(stored: Content, { map }: Sparse, size: number): Content {
  const { runs, data } = map === "inside" ? mapBefore(stored) : { runs: map, data: stored };
  const parts: Content[] = [];
  let end = 0;
  let taken = 0;
  for (const { offset, length } of runs) {
    if (offset < end || offset + length > size) throw wrong("does not fit the file");
    if (taken + length > data.length) throw new ArchiveFault("E_TAR_TRUNCATED", "the archive ends within a sparse file");
    parts.push(Content.zeros(offset - end), data.slice(taken, taken + length));
    end = offset + length;
    taken += length;
  }
  if (taken < data.length) throw wrong("leaves data of the file out");
  return Content.concat([...parts, Content.zeros(size - end)]);
}

/** The map of version 1.0: the number of runs, then offset and length of each, a line each, filled up to whole blocks. */
function mapBefore(stored: Content): { readonly runs: readonly Run[]; readonly data: Content } {
  let at = 0;
  let block: Uint8Array = new Uint8Array(0);
  const line = (): number => {
    let text = "";
    for (;;) {
      if (at % BLOCK === 0) block = at + BLOCK <= stored.length ? stored.slice(at, at + BLOCK).toBytes() : new Uint8Array(0);
      const byte = block[at % BLOCK];
      if (byte === undefined) throw new ArchiveFault("E_TAR_TRUNCATED", "the archive ends within the map of a sparse file");
      at += 1;
      if (byte === NEWLINE) return wholeNumber(text);
      text += String.fromCharCode(byte);
      if (text.length > DIGITS_MAX) throw wrong("holds what is no number");
    }
  };
  const count = line();
  if (count > NUMBERS_MAX / 2) throw new ArchiveFault("E_LIMIT", `a sparse file has more than ${NUMBERS_MAX / 2} runs`);
  const numbers = Array.from({ length: 2 * count }, line);
  return { runs: runsOf(numbers), data: stored.slice(Math.ceil(at / BLOCK) * BLOCK, stored.length) };
}

function runsOf(numbers: readonly number[]): readonly Run[] {
  return Array.from({ length: numbers.length / 2 }, (_, index) => ({
    offset: numbers[2 * index] as number,
    length: numbers[2 * index + 1] as number,
  }));
}

function wholeNumber(text: string): number {
  const number = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(number)) throw wrong("holds what is no number");
  return number;
}

function wrong(what: string): ArchiveFault {
  return new ArchiveFault("E_TAR_SPARSE", `the map of a sparse file ${what}`);
}
