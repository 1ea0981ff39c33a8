/**
 * What is wrong with an input file, and where: `file:line:column: what is wrong`.
 *
 * Interface: reading a file gives either its value or all its problems; a problem is one line of text that says what was found, what would
 * have been right, and, for a misspelt word, the word that was probably meant.
 */

/** A place in a file; both numbers count from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** One thing that is wrong in an input file. */
export interface Problem extends Place {
  readonly file: string;
  readonly message: string;
}

/** Thrown at the public edge for an input that is wrong: never for a bug of this project (InvariantError). */
export class ScenarioError extends Error {
  override readonly name = "ScenarioError";
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map(problemText).join("\n"));
    this.problems = problems;
  }
}

/** A problem as one line; what could break the line or the terminal is shown escaped. */
function problemText(problem: Problem): string {
  return `${problem.file}:${problem.line}:${problem.column}: ${printable(problem.message)}`;
}

/**
 * A line with control characters written as escapes, so that a file cannot forge lines or drive the terminal; nor be a command of GitHub
 * Actions, whose runner obeys "::" at a line's start and "##[" anywhere in it.
 */
export function printable(line: string): string {
  return line
    .replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, escaped)
    .replace(/^(\s*):(?=:)/, "$1\\x3a")
    .replace(/##(?=\[)/g, "#\\x23");
}

function escaped(unit: string): string {
  const code = unit.codePointAt(0) ?? 0;
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
}

/** A value from a file as a message quotes it: short, in double quotes when it is text. */
export function quoted(value: unknown): string {
  const text = typeof value === "string" ? JSON.stringify(value) : Array.isArray(value) ? "a list" : describe(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  return typeof value === "object" ? "a mapping" : String(value);
}
