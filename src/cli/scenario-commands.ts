/**
 * The verbs on scenarios and their results; what they do is loaded when one runs.
 */
import type { Command } from "commander";

interface Program {
  readonly root: Command;
  readonly write: (text: string) => void;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export function several(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

/** The options of every verb that runs scenarios. */
function withRunOptions(command: Command): Command {
  return command
    .option("--json", "print one JSON document")
    .option("--format <name>", "table, json, csv, md, junit, github, svg; of events: ndjson, trace, blocks")
    .option("-o, --output <format=file>", "write a file too; may be given several times", several)
    .option("--drivers <names>", "these drivers only, separated by commas")
    .option("--seed <number>", "instead of the scenarios' own seeds")
    .option("--metric <names>", "what the tables show, separated by commas", several)
    .option("--reference <driver>", "show the first figure in relation to this driver's")
    .option("-P, --parameter <name=values>", "values of a parameter or variable: a,b,c or 4KiB..1MiB*2", several)
    .option("--save <file>", "keep the run, for diff, report and merge")
    .option("--jobs <number>", "threads at most (default: one less than cores)")
    .option("--quiet", "print what failed alone, and no progress")
    .option("--no-color", "no colours (there are none yet)");
}

/** Adds run, compare and sweep. */
function addRuns({ root, write, environment }: Program): void {
  const verbs = [
    {
      name: "run",
      about: "run scenario files on the drivers they name: a table each, and what failed",
      manner: { ranked: false, sweeps: false },
    },
    {
      name: "compare",
      about: "the same, with the drivers in the order of the first figure",
      manner: { ranked: true, sweeps: false },
    },
    {
      name: "sweep",
      about: "run every combination of parameters, each with a seed of its own, or one part of them",
      manner: { ranked: false, sweeps: true },
    },
  ] as const;
  for (const { name, about, manner } of verbs) {
    const command = withRunOptions(
      root.command(name).description(about).argument("<file-or-folder...>", "scenario files (*.yaml), or folders of them"),
    );
    if (name === "run") command.option("--fault <plan>", "under a fault: a plan of the file, or { power_cut: write, at: 3 }");
    if (manner.sweeps) command.option("--shard <k/n>", "do part k of n (default: what Kubernetes or Slurm say)");
    command.action(async (paths: string[], options) => {
      const { compare } = await import("./compare.ts");
      process.exitCode = await compare(paths, options, manner, { write, environment });
    });
  }
}

/** Adds report, diff and merge. */
function addResults({ root, write, environment }: Program): void {
  root
    .command("report")
    .description("show a saved run again, in any format of results")
    .argument("<run>", "a file that --save wrote")
    .option("--json", "print one JSON document")
    .option("--format <name>", "table, json, csv, md, junit, github, svg")
    .option("-o, --output <format=file>", "write a file too; may be given several times", several)
    .option("--quiet", "print what failed alone")
    .action(async (path: string, options) => {
      const { report } = await import("./results.ts");
      const { text, code } = report(path, options, environment);
      write(text);
      process.exitCode = code;
    });
  root
    .command("diff")
    .description("tell what differs between two saved runs; exit code 1 where anything does")
    .argument("<run1>")
    .argument("<run2>")
    .option("--json", "print one JSON document")
    .option("--tolerance <percent>", "how far a figure may be off")
    .action(async (one: string, other: string, options) => {
      const { diff } = await import("./results.ts");
      const { text, code } = diff([one, other], options);
      write(text);
      process.exitCode = code;
    });
  root
    .command("merge")
    .description("make one run of the parts of a sweep")
    .argument("<part...>", "saved or JSON documents of sweep --shard")
    .action(async (paths: string[]) => {
      const { merge } = await import("./results.ts");
      write(merge(paths));
    });
}

/** Adds explain, rule and errno. */
function addExplanations({ root, write, environment }: Program): void {
  const width = async (): Promise<number> => (await import("./console.ts")).columnsOf(environment);
  root
    .command("explain")
    .description("tell what happened in one step on one driver: events, rules, sources")
    .argument("<file>")
    .requiredOption("--step <id>", "the step's id, or its number")
    .requiredOption("--driver <id>", "the driver's id")
    .option("-P, --parameter <name=values>", "values of a parameter or variable", several)
    .option("--json", "print one JSON document")
    .action(async (path: string, options) => {
      const { explain } = await import("./explain.ts");
      write(await explain(path, options, await width()));
    });
  root
    .command("rule")
    .description("explain a rule; without an id, list them")
    .argument("[id]")
    .action(async (id: string | undefined) => {
      const { rule } = await import("./explain.ts");
      write(rule(id, await width()));
    });
  root
    .command("errno")
    .description("explain an error, by its name or number")
    .argument("<name>")
    .action(async (name: string) => {
      const { errno } = await import("./explain.ts");
      write(errno(name, await width()));
    });
}

/** Adds schema, init and validate. */
function addFiles({ root, write }: Program): void {
  root
    .command("schema")
    .description("print a JSON Schema (draft-07): of scenario files, or of results")
    .argument("[what]", "scenario or result", "scenario")
    .action(async (what: string) => {
      const { schemaText } = await import("./schema.ts");
      write(schemaText(what));
    });
  root
    .command("init")
    .description("write a scenario to begin with")
    .argument("[file]", "where it goes", "my-first.yaml")
    .action(async (path: string) => {
      const { init } = await import("./files.ts");
      write(init(path));
    });
  root
    .command("validate")
    .description("check scenario files without running them")
    .argument("<file-or-folder...>")
    .option("-P, --parameter <name=values>", "values of a parameter or variable", several)
    .action(async (paths: string[], options) => {
      const { validate } = await import("./files.ts");
      const { out, err, code } = await validate(paths, options);
      write(out);
      process.stderr.write(err);
      process.exitCode = code;
    });
}

/** Adds doctor and completion. */
function addHousekeeping({ root, write, environment }: Program): void {
  root
    .command("doctor")
    .description("tell what this machine can check, and what not")
    .option("--json", "print one JSON document")
    .action(async (options: { json?: boolean }) => {
      const { doctor } = await import("./doctor.ts");
      write(doctor(options.json === true, environment));
    });
  root
    .command("completion")
    .description("print the script that completes commands: bash, zsh, fish")
    .argument("<shell>")
    .action(async (shell: string) => {
      const { completion } = await import("./completion.ts");
      write(completion(shell, root));
    });
}

/** Adds every verb on scenarios. */
export function addScenarioCommands(root: Command, write: (text: string) => void, environment: Program["environment"]): void {
  for (const add of [addRuns, addResults, addExplanations, addFiles, addHousekeeping]) add({ root, write, environment });
}
