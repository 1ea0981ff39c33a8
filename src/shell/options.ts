/**
 * Options of a command line as getopt_long reads them: clusters (-rf), values attached or after, -- ends them, operands may stand before.
 */
export interface Option {
  readonly key: string;
  /** As they are written, such as "-r" and "--recursive". */
  readonly names: readonly string[];
  readonly takes: "nothing" | "value" | "value after =";
}

/** What a command line asks for. */
export interface Parsed {
  /** Values by key; "" for an option without one. The last of several counts. */
  readonly values: ReadonlyMap<string, string>;
  readonly operands: readonly string[];
}

/** Why words cannot be a command's. */
export class OptionFault {
  readonly message: string;
  /** The option that is unknown, and those that the command has. */
  readonly word: string;
  readonly known: readonly string[];
  constructor(message: string, word = "", known: readonly string[] = []) {
    this.message = message;
    this.word = word;
    this.known = known;
  }
}

/** Declares an option. @param names - separated by spaces. */
export function option(key: string, names: string, takes: Option["takes"] = "nothing"): Option {
  return { key, names: names.split(" "), takes };
}

/** Reads the words after a command's name. @returns an OptionFault for an option that the command does not have. */
export function parseOptions(options: readonly Option[], words: readonly string[]): Parsed | OptionFault {
  const values = new Map<string, string>();
  const operands: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    if (word === "--") {
      operands.push(...words.slice(at + 1));
      break;
    }
    if (!word.startsWith("-") || word === "-") {
      operands.push(word);
      continue;
    }
    const used = word.startsWith("--") ? readLong(options, words, at, values) : readShort(options, words, at, values);
    if (used instanceof OptionFault) return used;
    at += used;
  }
  return { values, operands };
}

/** @returns how many words more it took, or what is wrong. */
function readLong(
  options: readonly Option[],
  words: readonly string[],
  at: number,
  values: Map<string, string>,
): number | OptionFault {
  const word = words[at] ?? "";
  const [name = "", ...rest] = word.split("=");
  const found = options.find(({ names }) => names.includes(name));
  if (found === undefined) return unknown(options, name);
  const value = rest.length > 0 ? rest.join("=") : undefined;
  if (found.takes === "nothing" && value !== undefined) return new OptionFault(`option '${name}' doesn't allow an argument`);
  if (found.takes === "value" && value === undefined) {
    const next = words[at + 1];
    if (next === undefined) return new OptionFault(`option '${name}' requires an argument`);
    values.set(found.key, next);
    return 1;
  }
  values.set(found.key, value ?? "");
  return 0;
}

function readShort(
  options: readonly Option[],
  words: readonly string[],
  at: number,
  values: Map<string, string>,
): number | OptionFault {
  const word = words[at] ?? "";
  for (let place = 1; place < word.length; place++) {
    const name = `-${word[place]}`;
    const found = options.find(({ names }) => names.includes(name));
    if (found === undefined) return unknown(options, name);
    if (found.takes !== "value") {
      values.set(found.key, "");
      continue;
    }
    const attached = word.slice(place + 1);
    const value = attached === "" ? words[at + 1] : attached;
    if (value === undefined) return new OptionFault(`option requires an argument -- '${word[place]}'`);
    values.set(found.key, value);
    return attached === "" ? 1 : 0;
  }
  return 0;
}

function unknown(options: readonly Option[], name: string): OptionFault {
  const known = options.flatMap(({ names }) => names.filter((one) => one.startsWith("--") === name.startsWith("--")));
  return new OptionFault(`no option ${name} is known`, name, known);
}
