/**
 * `cowlab replay`: recorded traces, repeated.
 */
import { traceFiles } from "../node/trace-files.ts";
import { type CommandResult, runReplayCommand } from "../replay/command.ts";

/** Replays the traces at some paths. @returns what to print, and the exit code. */
export function replay(paths: readonly string[], options: { readonly json?: boolean; readonly check?: boolean }): CommandResult {
  return runReplayCommand(paths, { ...options, files: traceFiles });
}
