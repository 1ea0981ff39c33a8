/**
 * The command `replay`: traces from files or folders, a report, an exit code.
 */

import { printable } from "../scenario/problem.ts";
import { isBioStream, replayBios } from "./bios.ts";
import { isDmRecording, parseDmRecording } from "./dm/recording.ts";
import { replayDm } from "./dm/replay.ts";
import type { Recording } from "./recorded.ts";
import { replay } from "./replay.ts";
import { replayJson, replayText } from "./report.ts";
import { parseTrace, type Trace, TraceError } from "./trace.ts";

/** Where trace files come from. */
export interface TraceFiles {
  /** The trace files (*.ndjson, *.jsonl, packed or not) at a path: itself, or all below a folder, sorted; undefined where there is nothing. */
  find(path: string): readonly string[] | undefined;
  read(path: string): string;
}

export interface ReplayCommandOptions {
  readonly files: TraceFiles;
  /** One JSON document in the place of the text. */
  readonly json?: boolean;
  /** Checks every engine's invariants after each step. */
  readonly check?: boolean;
  /** Folders that were bind-mounted in the containers while the traces were recorded. */
  readonly binds?: readonly string[];
}

/**
 * What the command prints, and how it exits: 0 all agree, 4 a step differs or a trace cannot be run, 2 a file is no trace, 70 an engine broke (the
 * report names where).
 */
export interface CommandResult {
  readonly text: string;
  readonly exitCode: 0 | 2 | 4 | 70;
}

/** Reads files one at a time, as they are asked for. */
function* tracesOf(paths: readonly string[], files: TraceFiles): Generator<Trace | Recording> {
  for (const path of paths) for (const file of files.find(path) ?? []) yield parseAny(file, files.read(file));
}

/** A trace of system calls, a recording of the device mapper, or a stream of bios: the first line tells. */
function parseAny(file: string, text: string): Trace | Recording {
  if (isDmRecording(text)) {
    const recording = parseDmRecording(file, text);
    return { file, run: () => replayDm(recording) };
  }
  if (isBioStream(text)) return { file, run: () => replayBios(file, text) };
  return parseTrace(file, text);
}

/** Replays everything at the paths. For exit code 2 the text is what is wrong, for standard error. */
export function runReplayCommand(paths: readonly string[], options: ReplayCommandOptions): CommandResult {
  const unfit = options.binds?.find((path) => !/^\/[^/]/.test(path) || path.includes(":"));
  if (unfit !== undefined)
    return { text: `cowlab: --bind ${printable(unfit)}: expected an absolute path, not the root\n`, exitCode: 2 };
  for (const path of paths) {
    const found = options.files.find(path);
    if (found === undefined) return { text: `cowlab: ${printable(path)}: no such file or directory\n`, exitCode: 2 };
    if (found.length === 0)
      return { text: `cowlab: ${printable(path)}: no *.ndjson or *.jsonl file in this folder\n`, exitCode: 2 };
  }
  try {
    const result = replay(tracesOf(paths, options.files), { check: options.check === true, binds: options.binds ?? [] });
    const text = options.json === true ? replayJson(result) : replayText(result);
    if (result.broken.length > 0) return { text, exitCode: 70 };
    return { text, exitCode: result.agree === result.steps && result.notRun.length === 0 ? 0 : 4 };
  } catch (error) {
    if (!(error instanceof TraceError)) throw error;
    return { text: `${printable(error.message)}\n`, exitCode: 2 };
  }
}
