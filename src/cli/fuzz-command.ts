/**
 * The subcommand `cowlab fuzz`; what it does is loaded when it runs.
 */
import type { Command } from "commander";
import type { FuzzOptions } from "./fuzz.ts";

export function addFuzzCommand(root: Command, write: (text: string) => void): void {
  root
    .command("fuzz")
    .description("make random operations on drivers beside a plain tree; exit code 3 where they disagree")
    .option("--ops <number>", "operations a driver, at least: a world of some ten thousand is made to its end", "1000000")
    .option("--seed <number>", "where the random numbers begin", "1")
    .option("--drivers <names>", "these drivers only, separated by commas")
    .option("--against <what>", "model (the plain tree), driver:NAME, or kernel (this machine's own, as root on Linux)", "model")
    .option("--shard <k/n>", "the k-th of n parts of the campaign", "1/1")
    .option("-o, --output <folder>", "where a counterexample is written", "cowlab-fuzz")
    .option("--json", "print the figures as one JSON document")
    .action(async (options: FuzzOptions) => {
      const { fuzz } = await import("./fuzz.ts");
      process.exitCode = await fuzz(options, write);
    });
}
