/**
 * Figures and answers as text: sizes with binary units, exact where that is short, and never a unit that was not meant.
 */
import { formatJson, isList } from "../calls/json.ts";
import type { CallResult } from "../calls/step.ts";
import type { Unit } from "./metrics.ts";
import type { Bounds } from "./slots.ts";

const BINARY = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

/** Bytes in the largest binary unit of which there is one at least: "4 KiB", "268.5 MiB", "-12 B". Four digits at most, and exact when whole. */
export function bytesText(count: number): string {
  const size = Math.abs(count);
  const sign = count < 0 ? "-" : "";
  let unit = 0;
  while (unit < BINARY.length - 1 && size >= 1024 ** (unit + 1)) unit += 1;
  const scaled = size / 1024 ** unit;
  const digits = Number.isInteger(scaled) ? String(scaled) : scaled.toFixed(scaled < 10 ? 2 : 1);
  return `${sign}${digits} ${BINARY[unit]}`;
}

/** Virtual nanoseconds in a unit that fits. */
export function spanText(nanos: number): string {
  const size = Math.abs(nanos);
  if (size >= 1e9) return `${(nanos / 1e9).toFixed(2)} s`;
  if (size >= 1e6) return `${(nanos / 1e6).toFixed(2)} ms`;
  return size >= 1e3 ? `${(nanos / 1e3).toFixed(1)} µs` : `${nanos} ns`;
}

/** Whole numbers in groups of three digits. */
export function countText(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** "1 file", "3 files", "1,000 entries". */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${countText(count)} ${Math.abs(count) === 1 ? one : many}`;
}

/** A figure in its unit. */
export function figureText(value: number, unit: Unit): string {
  if (unit === "bytes") return bytesText(value);
  return unit === "nanoseconds" ? spanText(value) : countText(value);
}

/** A figure so exact that two different ones never look alike: bytes are added where the short form rounds. */
export function exactText(value: number, unit: Unit): string {
  const short = figureText(value, unit);
  return unit === "bytes" && Math.abs(value) >= 1024 && /\./.test(short) ? `${short} (${countText(value)} B)` : short;
}

/** Bounds in words: "256 MiB", "at most 4 KiB", "1 to 4". */
export function boundsText({ min, max }: Bounds, unit: Unit): string {
  if (min === max) return exactText(min, unit);
  if (!Number.isFinite(min)) return `at most ${exactText(max, unit)}`;
  return Number.isFinite(max) ? `${exactText(min, unit)} to ${exactText(max, unit)}` : `at least ${exactText(min, unit)}`;
}

/** A step in words: "step sync", and "step 2" for the second, where the file gives it no name. */
export function stepText(id: string): string {
  const [, number] = /^step-(\d+)$/.exec(id) ?? [];
  return `step ${number ?? id}`;
}

/** An answer as text: "ok", "EXDEV", or the value; an empty text in quotes. */
export function answerText(answer: CallResult): string {
  return shown(answer, (text) => text !== "");
}

/** An answer whole, in lines: a text's own, or one for each entry of a list of texts. */
export function answerLines(answer: CallResult): readonly string[] {
  if (!("value" in answer)) return [answerText(answer)];
  const { value } = answer;
  if (typeof value === "string" && value !== "") return value.replace(/\n$/, "").split("\n");
  if (isList(value) && value.length > 0 && value.every((item) => typeof item === "string")) return value.map(String);
  return [formatJson(value)];
}

/** An answer in one line: a text that has several, or holds what a terminal would obey, is written as JSON. */
export function answerLine(answer: CallResult): string {
  return shown(answer, (text) => text !== "" && !/\p{Cc}/u.test(text));
}

function shown(answer: CallResult, isPlain: (text: string) => boolean): string {
  if ("errno" in answer) return answer.errno;
  if ("ok" in answer) return "ok";
  const { value } = answer;
  const text = typeof value === "string" && isPlain(value) ? value : formatJson(value);
  return text.length > 200 ? `${text.slice(0, 199)}…` : text;
}
