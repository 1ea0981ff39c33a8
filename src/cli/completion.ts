/**
 * `cowlab completion SHELL`: the script that completes verbs, their options and what these take, made from the program's own commands.
 *
 * Interface: a verb's path is "run", or "image export" for one below another. Every other word may be a file.
 */
import type { Command } from "commander";
import { Errno } from "../../sim/core/errno.ts";
import { shellQuoted } from "../report/escape.ts";
import { RULES } from "../report/rules.ts";
import { COLUMN_NAMES } from "../scenario/metrics.ts";
import { DRIVER_NAMES } from "../scenario/schema.ts";
import { UsageError } from "./exit.ts";
import { TOPICS } from "./help.ts";

interface Option {
  readonly long: string;
  readonly short: string | undefined;
  readonly about: string;
}

interface Verb {
  readonly path: string;
  readonly about: string;
  /** Verbs below it, or the words that it takes. */
  readonly words: readonly string[];
  readonly options: readonly Option[];
}

function optionsOf(command: Command): readonly Option[] {
  return command.options.flatMap(({ long, short, description }) =>
    typeof long === "string" ? [{ long, short: short ?? undefined, about: description }] : [],
  );
}

function verbOf(command: Command, above: readonly string[], words: readonly string[]): Verb {
  const path = [...above, command.name()].join(" ");
  return { path, about: command.description(), words, options: optionsOf(command) };
}

function verbsOf(root: Command): readonly Verb[] {
  const names = root.commands.map((one) => one.name());
  const taken: Readonly<Record<string, readonly string[]>> = {
    completion: ["bash", "zsh", "fish"],
    schema: ["scenario", "result"],
    rule: RULES.map(({ id }) => id),
    errno: Errno.all().map(({ code }) => code),
    help: [...Object.keys(TOPICS), ...names],
  };
  return root.commands.flatMap((command) => {
    const inner = command.commands.map((one) => one.name());
    const own = verbOf(command, [], inner.length > 0 ? inner : (taken[command.name()] ?? []));
    return [own, ...command.commands.map((one) => verbOf(one, [command.name()], []))];
  });
}

/** What an option takes. */
interface Values {
  /** With the verb in front where it is one verb's alone; these stand first. */
  readonly option: string;
  readonly words: readonly string[];
  /** Whether it takes several, with commas between them. */
  readonly several: boolean;
}

const VALUES: readonly Values[] = [
  { option: "image export --format", words: ["docker", "docker-25", "oci", "registry"], several: false },
  { option: "thin ls --format", words: ["DEV", "MAPPED_BLOCKS", "MAPPED", "CREATE_TIME", "SNAP_TIME"], several: true },
  {
    option: "--format",
    words: ["table", "json", "csv", "md", "junit", "github", "svg", "ndjson", "trace", "blocks"],
    several: false,
  },
  { option: "--drivers", words: DRIVER_NAMES, several: true },
  { option: "--driver", words: DRIVER_NAMES, several: false },
  { option: "--reference", words: DRIVER_NAMES, several: false },
  { option: "--metric", words: COLUMN_NAMES, several: true },
  { option: "--mode", words: ["strict", "docker"], several: false },
  { option: "--against", words: ["model", "kernel", ...DRIVER_NAMES.map((name) => `driver:${name}`)], several: false },
];

/** The verbs that have others below them, for a shell's `case`. */
function groupsOf(verbs: readonly Verb[]): readonly string[] {
  return [...new Set(verbs.flatMap(({ path }) => (path.includes(" ") ? [path.split(" ")[0] ?? ""] : [])))];
}

/** The patterns and words of a `case` over "PATH OPTION". */
function valueCases(take: (words: string, several: boolean) => string): string {
  return VALUES.map(({ option, words, several }) => {
    const pattern = option.includes(" ") ? `"${option}"` : `*" ${option}"`;
    return `    ${pattern}) ${take(words.join(" "), several)}; return;;`;
  }).join("\n");
}

/** The words and options of each verb; `alone` where it takes nothing but its words. */
function verbCases(verbs: readonly Verb[], alone: string, take: (words: string) => string): string {
  return verbs
    .map(({ path, words, options }) => {
      const all = take([...words, ...options.map(({ long }) => long)].join(" "));
      return `    "${path}") ${all}${words.length > 0 ? alone : ""};;`;
    })
    .join("\n");
}

function firstWords(verbs: readonly Verb[]): string {
  return [...verbs.filter(({ path }) => !path.includes(" ")).map(({ path }) => path), "--version", "--help"].join(" ");
}

function bash(verbs: readonly Verb[]): string {
  return `_cowlab() {
  local word="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" verb="\${COMP_WORDS[1]}" words="" files=yes IFS=$' \\t\\n'
  _cowlab_words() { COMPREPLY=($(compgen -W "$1" -- "$word")); }
  _cowlab_list() {
    local front=""
    case "$word" in *,*) front="\${word%,*},";; esac
    COMPREPLY=($(compgen -P "$front" -W "$1" -- "\${word##*,}"))
  }
  if [ "$COMP_CWORD" -eq 1 ]; then _cowlab_words "${firstWords(verbs)}"; return; fi
  if [ "$COMP_CWORD" -gt 2 ]; then
    case "$verb" in ${groupsOf(verbs).join("|")}) verb="$verb \${COMP_WORDS[2]}";; esac
  fi
  case "$verb $before" in
${valueCases((words, several) => `${several ? "_cowlab_list" : "_cowlab_words"} "${words}"`)}
  esac
  case "$verb" in
${verbCases(verbs, "; files=", (words) => `words="${words}"`)}
  esac
  _cowlab_words "$words"
  [ -z "$files" ] && return
  IFS=$'\\n'
  COMPREPLY+=($(compgen -f -- "$word"))
}
complete -o filenames -F _cowlab cowlab
`;
}

function zsh(verbs: readonly Verb[]): string {
  const list = verbs
    .filter(({ path }) => !path.includes(" "))
    .map(({ path, about }) => `    ${shellQuoted(`${path}:${about.replaceAll(":", "\\:")}`)}`);
  return `#compdef cowlab
_cowlab() {
  local -a verbs
  local verb="\${words[2]}"
  verbs=(
${list.join("\n")}
  )
  if (( CURRENT == 2 )); then _describe verb verbs; return; fi
  if (( CURRENT > 3 )); then
    case "$verb" in ${groupsOf(verbs).join("|")}) verb="$verb \${words[3]}";; esac
  fi
  case "$verb \${words[CURRENT-1]}" in
${valueCases((words, several) => `${several ? "compset -P '*,'; " : ""}compadd -- ${words}`)}
  esac
  case "$verb" in
${verbCases(verbs, "; return", (words) => (words === "" ? ":" : `compadd -- ${words}`))}
  esac
  _files
}
if [ "$funcstack[1]" = _cowlab ]; then _cowlab "$@"; else compdef _cowlab cowlab; fi
`;
}

function fish(verbs: readonly Verb[]): string {
  const seen = (words: string): string => `__fish_seen_subcommand_from ${words}`;
  const lines = verbs.flatMap(({ path, about, words, options }) => {
    const [first = "", second] = path.split(" ");
    const here = second === undefined ? seen(first) : `${seen(first)}; and ${seen(second)}`;
    const below =
      words.length === 0 ? [] : [`complete -c cowlab -n "${here}; and not ${seen(words.join(" "))}" -f -a "${words.join(" ")}"`];
    return [
      ...(second === undefined ? [`complete -c cowlab -n __fish_use_subcommand -f -a ${first} -d ${shellQuoted(about)}`] : []),
      ...below,
      ...options.map(({ long, short, about: told }) => {
        const values = VALUES.find(({ option }) => option === `${path} ${long}` || option === long);
        const list = values?.words.join(" ") ?? "";
        const taken = values === undefined ? "" : ` -x -a "${values.several ? `(__fish_append , ${list})` : list}"`;
        const letter = short === undefined ? "" : ` -s ${short.slice(1)}`;
        return `complete -c cowlab -n "${here}"${letter} -l ${long.slice(2)}${taken} -d ${shellQuoted(told)}`;
      }),
    ];
  });
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
