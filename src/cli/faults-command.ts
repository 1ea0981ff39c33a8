/**
 * The subcommand `cowlab faults`; what it does is loaded when it runs.
 */
import type { Command } from "commander";
import type { FaultOptions } from "./faults.ts";
import { several } from "./scenario-commands.ts";

export function addFaultsCommand(
  root: Command,
  write: (text: string) => void,
  environment: Readonly<Record<string, string | undefined>>,
): void {
  root
    .command("faults")
    .description(
      "run scenario files under power cuts, failing disks, full ones and little memory; exit code 3 where something does not hold",
    )
    .argument("<file-or-folder...>", "scenario files (*.yaml), or folders of them")
    .option("--fault <plan>", "a plan of the file by its name, or one: { power_cut: write, at: 3 } (repeatable)", several)
    .option("--drivers <names>", "these drivers only, separated by commas")
    .option("--cases <number>", "faults of each plan at most, evenly chosen; 0: all", "25")
    .option("--seed <number>", "instead of the scenarios' own seeds")
    .option("-P, --parameter <name=values>", "values of a parameter or variable", several)
    .option("--json", "print one JSON document")
    .option("--quiet", "no progress")
    .action(async (paths: string[], options: FaultOptions) => {
      const { faults } = await import("./faults.ts");
      process.exitCode = await faults(paths, options, write, environment);
    });
}
