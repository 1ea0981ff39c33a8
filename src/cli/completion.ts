/**
 * `cowlab completion SHELL`: the script that completes verbs, their options and some values, made from the program's own commands.
 */
import type { Command } from "commander";
import { COLUMN_NAMES } from "../scenario/metrics.ts";
import { DRIVER_NAMES } from "../scenario/schema.ts";
import { UsageError } from "./exit.ts";

interface Verb {
  readonly name: string;
  readonly about: string;
  readonly options: readonly string[];
  readonly verbs: readonly string[];
}

function verbsOf(root: Command): readonly Verb[] {
  return root.commands.map((command) => ({
    name: command.name(),
    about: command.description(),
    options: command.options.flatMap(({ long }) => (long === undefined || long === null ? [] : [long])),
    verbs: command.commands.map((inner) => inner.name()),
  }));
}

const VALUES: Readonly<Record<string, readonly string[]>> = {
  "--drivers": DRIVER_NAMES,
  "--driver": DRIVER_NAMES,
  "--reference": DRIVER_NAMES,
  "--metric": COLUMN_NAMES,
  "--format": ["table", "json", "csv", "md", "junit", "github", "svg", "ndjson", "trace", "blocks"],
};

function bash(verbs: readonly Verb[]): string {
  const values = Object.entries(VALUES).map(
    ([option, words]) => `    ${option}) COMPREPLY=($(compgen -W "${words.join(" ")}" -- "$word")); return;;`,
  );
  const cases = verbs.map(({ name, options, verbs: inner }) => `    ${name}) words="${[...inner, ...options].join(" ")}";;`);
  return `_cowlab() {
  local word="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" words=""
  case "$before" in
${values.join("\n")}
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${verbs.map(({ name }) => name).join(" ")} --version --help" -- "$word"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${cases.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word") $(compgen -f -- "$word"))
}
complete -o filenames -F _cowlab cowlab
`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function zsh(verbs: readonly Verb[]): string {
  const list = verbs.map(({ name, about }) => `    ${quoted(`${name}:${about.replaceAll(":", "\\:")}`)}`);
  const cases = verbs.map(
    ({ name, options, verbs: inner }) => `    ${name}) compadd -- ${[...inner, ...options].join(" ")}; _files;;`,
  );
  const values = Object.entries(VALUES).map(([option, words]) => `    ${option}) compadd -- ${words.join(" ")}; return;;`);
  return `#compdef cowlab
_cowlab() {
  local -a verbs
  verbs=(
${list.join("\n")}
  )
  case "\${words[CURRENT-1]}" in
${values.join("\n")}
  esac
  if (( CURRENT == 2 )); then _describe verb verbs; return; fi
  case "\${words[2]}" in
${cases.join("\n")}
  esac
}
compdef _cowlab cowlab
`;
}

function fish(verbs: readonly Verb[]): string {
  const first = "complete -c cowlab -n __fish_use_subcommand";
  const lines = verbs.flatMap(({ name, about, options, verbs: inner }) => [
    `${first} -a ${name} -d ${quoted(about)}`,
    ...inner.map((word) => `complete -c cowlab -n "__fish_seen_subcommand_from ${name}" -a ${word}`),
    ...options.map((option) => {
      const values = VALUES[option];
      const words = values === undefined ? "" : ` -x -a "${values.join(" ")}"`;
      return `complete -c cowlab -n "__fish_seen_subcommand_from ${name}" -l ${option.slice(2)}${words}`;
    }),
  ]);
  return `${lines.join("\n")}\n`;
}

/** The script for a shell. */
export function completion(shell: string, root: Command): string {
  const verbs = verbsOf(root);
  if (shell === "bash") return bash(verbs);
  if (shell === "zsh") return zsh(verbs);
  if (shell === "fish") return fish(verbs);
  throw new UsageError(`completion is made for bash, zsh and fish, not for "${shell}"`);
}
