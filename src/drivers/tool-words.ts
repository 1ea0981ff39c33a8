/**
 * The words of a command line as getopt(3) takes them apart, and what a tool answers: what zfs(8) and zpool(8) have in common.
 */

/**
 * What a command wrote to standard output, or to standard error when it failed: then perhaps to both.
 * `said` went to standard error though it worked. `status` is the exit code of a failure, 1 where it is absent.
 */
export type ToolAnswer =
  | { readonly out: string; readonly said?: string }
  | { readonly err: string; readonly out?: string; readonly status?: number };

/** The exit code of a command that is wrong in itself: behind what is wrong the tool writes how it is used, which is left out here. */
const USAGE_STATUS = 2;

export function usage(err: string): ToolAnswer {
  return { err, status: USAGE_STATUS };
}

export interface ToolWords {
  /** Words that are no options. */
  readonly names: readonly string[];
  /** Options by their letter; those that are given more than once have all their values. */
  readonly options: ReadonlyMap<string, readonly string[]>;
}

/** Splits words into options and names; a text is what is wrong. @param letters - with a colon behind those that take a word */
export function optionsOf(words: readonly string[], letters: string): ToolWords | string {
  const names: string[] = [];
  const options = new Map<string, string[]>();
  for (let at = 0; at < words.length; at++) {
    const word = words[at] as string;
    if (!word.startsWith("-")) {
      names.push(word);
      continue;
    }
    for (let index = 1; index < word.length; index++) {
      const letter = word[index] as string;
      const place = letters.indexOf(letter);
      if (letter === ":" || place < 0) return `invalid option '${letter}'`;
      const takesWord = letters[place + 1] === ":";
      const value = takesWord ? word.slice(index + 1) || words[++at] : "";
      if (value === undefined) return `missing argument for '${letter}' option`;
      options.set(letter, [...(options.get(letter) ?? []), value]);
      if (takesWord) break;
    }
  }
  return { names, options };
}
