/**
 * Runs a script of this shell: words are expanded, redirections opened, commands run, one after the other.
 *
 * Interface: deterministic; every effect goes through the process's task. `Outcome.status` is the last command's.
 */
import { Content } from "../../sim/core/content.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { O_APPEND, O_CLOEXEC, O_CREAT, O_DIRECTORY, O_NONBLOCK, O_RDONLY, O_TRUNC, O_WRONLY } from "../../sim/vfs/filesystem.ts";
import { below, fail } from "./command.ts";
import { globPattern } from "./commands/find.ts";
import { byBytes } from "./commands/listing.ts";
import { COMMANDS } from "./commands/table.ts";
import type { OpenedFile } from "./opened-file.ts";
import { OptionFault, parseOptions } from "./options.ts";
import { plainText, type SimpleCommand, type Word } from "./parse.ts";
import { newPipe } from "./pipe.ts";
import { Process, type ProcessOptions } from "./process.ts";

/** How a script ended. */
export interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  /** System calls that it made, and those answered with an errno. */
  readonly calls: number;
  readonly refused: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

export interface ShellOptions extends ProcessOptions {
  /** Values of $names. */
  readonly variables?: ReadonlyMap<string, number | string>;
}

/** What cannot be run of a script, whatever the tree looks like: an unknown command or option, a variable that nobody gave. */
export interface ScriptFault {
  readonly message: string;
  /** The word that is wrong, and what it could be. */
  readonly word: string;
  readonly known: readonly string[];
  readonly at: number;
}

/** Looks a script over before it runs. */
export function scriptFaults(script: readonly SimpleCommand[], variables: readonly string[]): readonly ScriptFault[] {
  const faults: ScriptFault[] = [];
  for (const { words, redirections } of script) {
    const texts = redirections.flatMap(({ to }) => (to.kind === "descriptor" ? [] : [to.word]));
    for (const { parts, at } of [...words, ...texts]) {
      for (const part of parts) {
        if (part.kind !== "variable" || part.name === "?" || variables.includes(part.name)) continue;
        const known = variables.map((name) => `$${name}`);
        faults.push({ message: `no variable is called "$${part.name}"`, word: `$${part.name}`, known, at });
      }
    }
    const [first, ...rest] = words;
    const name = first === undefined ? undefined : plainText(first);
    if (first === undefined || name === undefined) continue;
    const command = COMMANDS.get(name);
    if (command === undefined) {
      faults.push({ message: `this shell has no command "${name}"`, word: name, known: [...COMMANDS.keys()], at: first.at });
      continue;
    }
    if (command.verbatim === true) continue;
    const fault = parseOptions(
      command.options,
      rest.map((word) => plainText(word) ?? "$"),
    );
    if (fault instanceof OptionFault)
      faults.push({ message: `${name}: ${fault.message}`, word: fault.word, known: fault.known, at: first.at });
  }
  return faults;
}

/** Runs a script in the task's tree. A change of directory ends with it. */
export function runScript(script: readonly SimpleCommand[], options: ShellOptions): Outcome {
  const process = new Process(options);
  const home = process.task.cwd;
  let status = 0;
  for (const [first, ...rest] of pipelinesOf(script)) {
    if (first === undefined || (first.when === "and" && status !== 0) || (first.when === "or" && status === 0)) continue;
    const context = { ...options, status };
    const ended = rest.length === 0 ? runCommand(process, first, context) : runPipe(process, [first, ...rest], context);
    status = first.negated ? Number(ended === 0) : ended;
  }
  process.task.chdirTo(home);
  const { stdout, stderr, calls, refused, bytesRead, bytesWritten } = process;
  return { status, stdout, stderr, calls, refused, bytesRead, bytesWritten };
}

/** The commands of a script, those of a pipe together. */
function pipelinesOf(script: readonly SimpleCommand[]): readonly (readonly SimpleCommand[])[] {
  const out: SimpleCommand[][] = [];
  for (const command of script) {
    if (command.when === "pipe") out.at(-1)?.push(command);
    else out.push([command]);
  }
  return out;
}

/**
 * Runs the commands of a pipe, each in a shell of its own. One has written everything when the next begins: a pipe here has no end of room, and
 * nobody is ended by SIGPIPE. @returns the last one's status
 */
function runPipe(process: Process, commands: readonly SimpleCommand[], context: Context): number {
  const before = { output: process.output, input: process.input };
  const home = process.task.cwd;
  let status = 0;
  for (const [index, command] of commands.entries()) {
    const out = index === commands.length - 1 ? before.output : newPipe();
    process.output = out;
    status = runCommand(process, command, context);
    process.task.chdirTo(home);
    process.input = out;
  }
  Object.assign(process, before);
  return status;
}

interface Context extends ShellOptions {
  /** Of the command before. */
  readonly status: number;
}

function runCommand(process: Process, command: SimpleCommand, context: Context): number {
  const words = command.words.flatMap((word) => expand(process, word, context));
  const before = { output: process.output, input: process.input, errors: process.errors };
  const opened: OpenedFile[] = [];
  const failed = redirect(process, command, { context, opened });
  let status = failed;
  if (status === undefined) {
    const [name, ...rest] = words;
    status = name === undefined ? 0 : runWords(process, name, rest);
    const unwritten = process.flush();
    if (unwritten !== undefined) status = fail(process, `${name}: write error`, unwritten);
  }
  for (const file of opened) process.close(file);
  Object.assign(process, before);
  return status;
}

function runWords(process: Process, name: string, words: readonly string[]): number {
  const command = COMMANDS.get(name);
  if (command === undefined) {
    process.complain(`sh: 1: ${name}: not found`);
    return 127;
  }
  if (command.verbatim === true) return command.run(process, { values: new Map(), operands: words });
  const given = parseOptions(command.options, words);
  if (!(given instanceof OptionFault)) return command.run(process, given);
  process.complain(`${name}: ${given.message}\nTry '${name} --help' for more information.`);
  return name === "ls" ? 2 : 1;
}

/** Opens the files of redirections. @returns the status where one cannot be opened */
function redirect(
  process: Process,
  { redirections }: SimpleCommand,
  { context, opened }: { readonly context: Context; readonly opened: OpenedFile[] },
): number | undefined {
  for (const { fd, to } of redirections) {
    if (to.kind === "descriptor") {
      if (fd === 2) process.errors = to.fd === 1 ? "output" : process.errors;
      continue;
    }
    if (to.kind === "text") {
      process.input = newPipe(Content.text(textOf(to.word, context)));
      continue;
    }
    const path = expand(process, to.word, context).join(" ");
    const flags = to.mode === "read" ? O_RDONLY : O_WRONLY | O_CREAT | (to.mode === "append" ? O_APPEND : O_TRUNC);
    const file = process.open(path, flags, to.mode === "read" ? undefined : 0o666);
    if (isErrno(file)) {
      process.complain(`sh: 1: cannot ${to.mode === "read" ? "open" : "create"} ${path}: ${shellText(file, to.mode === "read")}`);
      return 2;
    }
    opened.push(file);
    if (fd === 0) process.input = file;
    else if (fd === 2) process.errors = file;
    else process.output = file;
  }
  return undefined;
}

/** dash's words for why a file cannot be opened. */
function shellText(errno: Errno, reading: boolean): string {
  if (errno.code !== "ENOENT" && errno.code !== "ENOTDIR") return errno.text;
  return reading ? "No such file" : "Directory nonexistent";
}

function partText(part: Word["parts"][number], { variables, status }: Context): string {
  if (part.kind === "text") return part.text;
  return String((part.name === "?" ? status : variables?.get(part.name)) ?? "");
}

/** A word's text with its variables put in. */
function textOf({ parts }: Word, context: Context): string {
  return parts.map((part) => partText(part, context)).join("");
}

/** A word as the command gets it: variables put in; a pattern becomes the names that it fits, or stays. */
function expand(process: Process, word: Word, context: Context): readonly string[] {
  let text = "";
  let pattern = "";
  for (const part of word.parts) {
    const value = partText(part, context);
    text += value;
    pattern += part.quoted ? value.replace(/[*?[\]]/g, "[$&]") : value;
  }
  const isPattern = word.parts.some((part) => !part.quoted && part.kind === "text" && /[*?]|\[.*\]/.test(part.text));
  if (!isPattern) return text === "" && word.parts.every((part) => part.kind === "variable" && !part.quoted) ? [] : [text];
  const found = namesFor(process, pattern);
  return found.length === 0 ? [text] : found;
}

/** The paths that fit a pattern, in order. */
function namesFor(process: Process, pattern: string): readonly string[] {
  const absolute = pattern.startsWith("/");
  let paths: readonly string[] = [absolute ? "/" : "."];
  for (const part of pattern.split("/").filter((one) => one !== "")) {
    if (!/[*?[]/.test(part)) {
      paths = paths.map((path) => below(path, part));
      continue;
    }
    const fits = globPattern(part);
    paths = paths.flatMap((path) => {
      const entries = process.list(
        path === "." || path === "/" ? path : `${path}/`,
        O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_DIRECTORY,
      );
      if (isErrno(entries)) return [];
      const names = entries
        .map(({ name }) => name)
        .filter((name) => fits.test(name) && (part.startsWith(".") || !name.startsWith(".")));
      return names.sort(byBytes).map((name) => below(path, name));
    });
  }
  return paths;
}
