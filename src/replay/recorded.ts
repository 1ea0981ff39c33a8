/**
 * Recordings that are no traces of system calls: the device mapper's answers, streams of bios.
 */
import type { Json } from "../calls/json.ts";
import type { Step } from "../calls/step.ts";

/** A step whose outcome is not the recorded one: only the parts that differ. */
export interface RecordedDifference {
  readonly line: number;
  readonly step: Step;
  readonly expected: Json;
  readonly got: Json;
}

/** A recording to be replayed: it knows how. */
export interface Recording {
  readonly file: string;
  run(): { readonly steps: number; readonly differing: readonly RecordedDifference[] };
}
