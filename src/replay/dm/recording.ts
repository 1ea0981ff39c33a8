/**
 * Recordings of the real dm-thin at device level: a header line with "case", a line an operation with what the kernel answered and how the
 * pool stood afterwards, and a last line with the final dump (the format: README of the recorded vectors).
 */
import { isRecord, type Json, parseJson } from "../../calls/json.ts";
import { type Step, wholeOf } from "../../calls/step.ts";
import { atLine, TraceError } from "../trace.ts";

/** What the recording was made on. */
export interface DmHeader {
  readonly name: string;
  readonly blockSectors: number;
  readonly dataBlocks: number;
  /** Metadata device in blocks of 4 KiB. */
  readonly metadataBlocks: number;
  readonly features: readonly string[];
  readonly lowWater: number;
  /** Length of each thin device in sectors. */
  readonly deviceSectors: number;
  /** The byte that the whole data device holds before the pool is made. */
  readonly staleFill: number;
}

/** One operation. */
export interface DmLine {
  readonly line: number;
  readonly step: Step;
}

export interface DmRecording {
  readonly file: string;
  readonly header: DmHeader;
  readonly lines: readonly DmLine[];
  /** The last line; undefined where the recording ends without one. */
  readonly end: DmLine | undefined;
}

/** Whether a file's first line is the header of such a recording. */
export function isDmRecording(text: string): boolean {
  const first = text.slice(0, Math.max(0, text.indexOf("\n")));
  return first.includes('"block_sectors"') && first.includes('"case"');
}

function headerOf(step: Step): DmHeader {
  const features = step["features"];
  return {
    name: String(step["case"]),
    blockSectors: wholeOf(step, "block_sectors"),
    dataBlocks: wholeOf(step, "data_blocks"),
    metadataBlocks: wholeOf(step, "meta_4k_blocks"),
    features: Array.isArray(features) ? features.map(String) : [],
    lowWater: wholeOf(step, "low_water"),
    deviceSectors: wholeOf(step, "dev_sectors"),
    staleFill: wholeOf(step, "stale_fill"),
  };
}

function recordOf(text: string): Step {
  const value: Json = parseJson(text);
  if (!isRecord(value)) throw new SyntaxError("each line must be an object");
  return value;
}

/** Reads a recording. @throws TraceError with file and line. */
export function parseDmRecording(file: string, text: string): DmRecording {
  let header: DmHeader | undefined;
  let end: DmLine | undefined;
  const lines: DmLine[] = [];
  for (const [index, content] of text.split("\n").entries()) {
    if (content.trim() === "") continue;
    const line = index + 1;
    const step = atLine(file, line, () => recordOf(content));
    if (header === undefined) header = atLine(file, line, () => headerOf(step));
    else if (step["end"] === true) end = { line, step };
    else lines.push({ line, step });
  }
  if (header === undefined) throw new TraceError(`${file}:1: the file is empty`);
  return { file, header, lines, end };
}
