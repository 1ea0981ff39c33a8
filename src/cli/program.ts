/**
 * Every verb of the command, and what the command line asks for.
 * Interface: results go to stdout, everything else to stderr; what a verb needs is loaded when it runs.
 */
import { Command, CommanderError } from "commander";
import { reasonOf } from "../node/input-error.ts";
import { printable } from "../scenario/problem.ts";
import { addBtrfsCommand } from "./btrfs-command.ts";
import { columnsOf } from "./console.ts";
import { EXIT, failure, UsageError } from "./exit.ts";
import { addFaultsCommand } from "./faults-command.ts";
import { addFuzzCommand } from "./fuzz-command.ts";
import { addImageCommand } from "./image-command.ts";
import { addScenarioCommands, several } from "./scenario-commands.ts";
import { addThinCommand } from "./thin-command.ts";

function write(text: string): void {
  process.stdout.write(text);
}

/** A reader that closed its end (`cowlab … | head`) wants no more: that is no failure. A full disk is one. */
export function endQuietly(error: NodeJS.ErrnoException): void {
  if (error.code === "EPIPE") process.exit();
  process.stderr.write(`cowlab: standard output: ${reasonOf(error)}\n`);
  process.exit(EXIT.usage);
}

/** What commander says of a wrong command line, in one line as all others. */
function tellUsage(text: string, write: (text: string) => void): void {
  const [said = "", ...hints] = text.trim().split("\n");
  const hint = hints.map((line) => line.replace(/^\((Did you mean .*\?)\)$/, (_, words: string) => words.toLowerCase()));
  const line = [said.replace(/^error: /, "").replace(/\.$/, ""), ...hint].join("; ");
  write(`cowlab: ${printable(line)}${hint.length > 0 ? "" : " (cowlab help tells what can be asked)"}\n`);
}

function program(version: string): Command {
  const root = new Command("cowlab")
    .description("Docker's storage drivers, simulated side by side: what copies, what allocates, what is refused, and why.")
    .version(version)
    .showSuggestionAfterError()
    .helpCommand(false)
    .exitOverride();
  const helpWidth = (): number => columnsOf(process.env);
  root
    .configureOutput({ getOutHelpWidth: helpWidth, getErrHelpWidth: helpWidth, outputError: tellUsage })
    .configureHelp({ minWidthToWrap: 20 });
  addScenarioCommands(root, write, process.env);
  root
    .command("replay")
    .description("repeat recorded traces, and tell where the answers differ from the kernel's")
    .argument("<trace-or-folder...>", "trace files (*.ndjson), or folders of them")
    .option("--json", "print one JSON document")
    .option("--check", "check every engine's books after each step")
    .option("--bind <path>", "a folder that was bind-mounted in the recorded containers (repeatable)", several)
    .action(async (paths: string[], options: { json?: boolean; check?: boolean; bind?: readonly string[] }) => {
      const { replay } = await import("./replay.ts");
      const { text, exitCode } = replay(paths, options);
      process.exitCode = exitCode;
      if (exitCode === EXIT.usage) process.stderr.write(text);
      else write(text);
    });
  addThinCommand(root, write);
  root
    .command("drivers")
    .description("list the storage drivers, and which of them can run")
    .option("--json", "print one JSON document")
    .action(async (options: { json?: boolean }) => {
      const { driversText } = await import("./drivers.ts");
      write(driversText(options.json === true));
    });
  addImageCommand(root, write);
  addBtrfsCommand(root, write);
  addFaultsCommand(root, write, process.env);
  addFuzzCommand(root, write);
  root
    .command("help")
    .description("explain a command or a topic: actions, shell, metrics, units, exit-codes")
    .argument("[topic...]", "a command, with its subcommand, or a topic")
    .action(async (topic: readonly string[]) => {
      write(await helpText(root, topic));
    });
  return root;
}

async function helpText(root: Command, words: readonly string[]): Promise<string> {
  let command: Command | undefined = root;
  for (const word of words) command = command?.commands.find((one) => one.name() === word);
  if (command !== undefined) return command.helpInformation();
  const topic = words.join(" ");
  const { TOPICS } = await import("./help.ts");
  const text = Object.hasOwn(TOPICS, topic) ? TOPICS[topic] : undefined;
  if (text !== undefined) return text(columnsOf(process.env));
  const { suggestion } = await import("../scenario/suggest.ts");
  const names = root.commands.flatMap((one) => [one.name(), ...one.commands.map((sub) => `${one.name()} ${sub.name()}`)]);
  const known = [...Object.keys(TOPICS), ...names];
  throw new UsageError(
    `no help on "${topic}"${suggestion(topic, known) || "; cowlab help lists the commands, and its own help the topics"}`,
  );
}

/** Does what the command line says; sets the exit code. */
export async function run(version: string): Promise<void> {
  process.stdout.on("error", endQuietly);
  try {
    const root = program(version);
    if (process.argv.length <= 2) {
      process.stderr.write(root.helpInformation());
      process.exitCode = EXIT.usage;
      return;
    }
    await root.parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
      return;
    }
    const { text, code } = failure(error);
    process.stderr.write(text);
    process.exitCode = code;
  }
}
