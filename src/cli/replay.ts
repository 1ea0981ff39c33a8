/**
 * `cowlab replay`: recorded traces, repeated.
 */
import { traceFiles } from "../node/trace-files.ts";
import { type CommandResult, runReplayCommand } from "../replay/command.ts";

/** Replays the traces at some paths. @returns what to print, and the exit code. */
export function replay(
  paths: readonly string[],
  { bind, ...options }: { readonly json?: boolean; readonly check?: boolean; readonly bind?: readonly string[] },
): CommandResult {
  return runReplayCommand(paths, { ...options, files: traceFiles, binds: bind ?? [] });
}
