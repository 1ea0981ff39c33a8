/**
 * thin_delta and thin_rmap on metadata images: how the mappings of two devices differ, and who maps given data blocks, with the output and
 * exit codes of thin-provisioning-tools 0.9. The usage that the tools print behind an error is not.
 */
import type { BlockDevice } from "../../sim/block/device.ts";
import type { DeviceModel, MappingRun } from "../../sim/thin/model.ts";
import { readImage, type ToolResult } from "./commands.ts";
import { stdSort } from "./std-sort.ts";

/** Virtual blocks of two devices that are mapped alike. */
export interface DeltaRange {
  readonly kind: "left_only" | "right_only" | "same" | "different";
  readonly begin: number;
  readonly length: number;
  /** The data blocks of the left device, or of both; undefined where only the right one has some. */
  readonly left: number | undefined;
  readonly right: number | undefined;
}

/** Runs whatever their time: who compares devices asks only where a block is. */
function joined(runs: readonly MappingRun[]): readonly Omit<MappingRun, "time">[] {
  const out: { origin: number; data: number; length: number }[] = [];
  for (const { origin, data, length } of runs) {
    const last = out.at(-1);
    if (last !== undefined && last.origin + last.length === origin && last.data + last.length === data) last.length += length;
    else out.push({ origin, data, length });
  }
  return out;
}

/** How two devices' mappings differ, in the order of the virtual blocks; where either has a new run, a new range begins. */
export function deltaRanges(left: readonly MappingRun[], right: readonly MappingRun[]): readonly DeltaRange[] {
  const out: DeltaRange[] = [];
  const ours = joined(left).map((run) => ({ ...run }));
  const theirs = joined(right).map((run) => ({ ...run }));
  const only = (kind: "left_only" | "right_only", run: { origin: number; data: number; length: number }, end: number): void => {
    const length = Math.min(run.length, end - run.origin);
    const isLeft = kind === "left_only";
    out.push({ kind, begin: run.origin, length, left: isLeft ? run.data : undefined, right: isLeft ? undefined : run.data });
    advance(run, length);
  };
  for (let one = 0, other = 0; one < ours.length || other < theirs.length; ) {
    const mine = ours[one];
    const its = theirs[other];
    if (mine !== undefined && (its === undefined || mine.origin < its.origin)) only("left_only", mine, its?.origin ?? Infinity);
    else if (its !== undefined && (mine === undefined || its.origin < mine.origin))
      only("right_only", its, mine?.origin ?? Infinity);
    else if (mine !== undefined && its !== undefined) {
      const length = Math.min(mine.length, its.length);
      const kind = mine.data === its.data ? "same" : "different";
      out.push({ kind, begin: mine.origin, length, left: mine.data, right: its.data });
      advance(mine, length);
      advance(its, length);
    }
    if (mine?.length === 0) one += 1;
    if (its?.length === 0) other += 1;
  }
  return out;
}

function advance(run: { origin: number; data: number; length: number }, by: number): void {
  run.origin += by;
  run.data += by;
  run.length -= by;
}

/** One line a stretch of neighbouring blocks of one kind. */
function shortText(ranges: readonly DeltaRange[]): string {
  const merged: { kind: string; begin: number; length: number }[] = [];
  for (const { kind, begin, length } of ranges) {
    const last = merged.at(-1);
    if (last?.kind === kind && last.begin + last.length === begin) last.length += length;
    else merged.push({ kind, begin, length });
  }
  return merged.map(({ kind, begin, length }) => `    <${kind} begin="${begin}" length="${length}"/>\n`).join("");
}

/** Every range with its data blocks, neighbours of one kind in one element. */
function verboseText(ranges: readonly DeltaRange[]): string {
  let text = "";
  let open: DeltaRange["kind"] | undefined;
  for (const { kind, begin, length, left, right } of ranges) {
    if (kind !== open) text += `${open === undefined ? "" : `    </${open}>\n`}    <${kind}>\n`;
    open = kind;
    const data = kind === "different" ? `left_data_begin="${left}" right_data_begin="${right}"` : `data_begin="${left ?? right}"`;
    text += `      <range begin="${begin}" ${data} length="${length}"/>\n`;
  }
  return open === undefined ? text : `${text}    </${open}>\n`;
}

/** `thin delta`. */
export function thinDelta(
  device: BlockDevice,
  options: { readonly left: number; readonly right: number; readonly verbose?: boolean },
): ToolResult {
  const image = readImage(device);
  if ("exitCode" in image) return image;
  const runs: (readonly MappingRun[])[] = [];
  for (const [name, id] of [
    ["snap1", options.left],
    ["snap2", options.right],
  ] as const) {
    const found = image.devices.find((one) => one.id === id);
    if (found === undefined) return { out: "", err: `Unable to find mapping tree for ${name} (${id})\n`, exitCode: 1 };
    runs.push(found.runs);
  }
  const { time, transaction, dataBlockSectors, dataBlocks } = image.superblock;
  const ranges = deltaRanges(runs[0] ?? [], runs[1] ?? []);
  const held = image.held === 0 ? "" : ` metadata_snap="${image.held}"`;
  const sizes = `data_block_size="${dataBlockSectors}" nr_data_blocks="${dataBlocks}"`;
  const head = `<superblock uuid="" time="${time}" transaction="${transaction}" ${sizes}${held}>`;
  const body = options.verbose === true ? verboseText(ranges) : shortText(ranges);
  const out = `${head}\n  <diff left="${options.left}" right="${options.right}">\n${body}  </diff>\n</superblock>\n`;
  return { out, err: "", exitCode: 0 };
}

/** Data blocks from `begin` up to `end`. */
export interface Region {
  readonly begin: number;
  readonly end: number;
}

/** Regions in ascending order, those that meet as one. */
function unionOf(regions: readonly Region[]): readonly Region[] {
  const out: { begin: number; end: number }[] = [];
  for (const { begin, end } of [...regions].sort((one, other) => one.begin - other.begin)) {
    const last = out.at(-1);
    if (last !== undefined && begin <= last.end) last.end = Math.max(last.end, end);
    else out.push({ begin, end });
  }
  return out;
}

/** A run of a device's mappings within a region: its first data block, and what is told of it. */
interface Mapper {
  readonly data: number;
  readonly line: string;
}

function mappersOf({ id, runs }: DeviceModel, regions: readonly Region[]): readonly Mapper[] {
  return joined(runs).flatMap(({ origin, data, length }) =>
    regions.flatMap(({ begin, end }): Mapper[] => {
      const from = Math.max(data, begin);
      const to = Math.min(data + length, end);
      if (from >= to) return [];
      const virtual = origin + (from - data);
      return [{ data: from, line: `data ${from}..${to} -> thin(${id}) ${virtual}..${virtual + to - from}\n` }];
    }),
  );
}

/**
 * `thin rmap`: a line for each run of a device's mappings within the regions, in the order of the data blocks; runs that begin with the same
 * block as std::sort leaves them. A node that several devices share is looked into once, as by the tool: its mappings are told of the device
 * with the lowest id only.
 */
export function thinRmap(device: BlockDevice, regions: readonly Region[]): ToolResult {
  if (regions.length === 0) return { out: "", err: "No regions provided.\n", exitCode: 1 };
  const seen = new Set<number>();
  const image = readImage(device, (node) => !seen.has(node) && seen.add(node).has(node));
  if ("exitCode" in image) return image;
  const asked = unionOf(regions);
  const mappers = image.devices.flatMap((one) => mappersOf(one, asked));
  stdSort(mappers, (one, other) => one.data < other.data);
  return { out: mappers.map(({ line }) => line).join(""), err: "", exitCode: 0 };
}

/** Reads "5..45": blocks 5 to 44. @returns what the tool says of a word that is none. */
export function parseRegion(word: string): Region | string {
  const [begin, end, ...rest] = word.split("..").map((part) => (/^\d+$/.test(part) ? Number(part) : Number.NaN));
  if (begin === undefined || end === undefined || rest.length > 0) return "badly formed region (no dots)";
  if (Number.isNaN(begin) || Number.isNaN(end)) return "badly formed region (numbers)";
  return end > begin ? { begin, end } : "badly formed region (end <= begin)";
}
