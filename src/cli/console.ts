/**
 * What the program knows of the terminal it writes to, and the line on standard error that says how far it is.
 *
 * Interface: COLUMNS, NO_COLOR and CI are honoured as others do. Progress begins after a second; where standard error is no terminal, or CI is set,
 * it is a line now and then instead of one that is written over.
 */
import { stdout as output, stderr } from "node:process";

/** Columns that text may take: COLUMNS, else the terminal's, else 80; at least 40. */
export function columnsOf(environment: Readonly<Record<string, string | undefined>>): number {
  const asked = Number(environment["COLUMNS"]);
  const columns = Number.isInteger(asked) && asked > 0 ? asked : output.isTTY === true ? output.columns : 80;
  return Math.max(40, columns);
}

const FIRST_MS = 1000;
const AGAIN_MS = { terminal: 100, plain: 10_000 } as const;

export class Progress {
  readonly #isQuiet: boolean;
  readonly #isTerminal: boolean;
  readonly #since = process.hrtime.bigint();
  #next = FIRST_MS;
  #shown = false;

  constructor(quiet: boolean, environment: Readonly<Record<string, string | undefined>>) {
    this.#isQuiet = quiet;
    this.#isTerminal = stderr.isTTY === true && (environment["CI"] ?? "") === "";
  }

  /** Tells how far the work is. */
  show(text: string): void {
    if (this.#isQuiet) return;
    const passed = Number((process.hrtime.bigint() - this.#since) / 1_000_000n);
    if (passed < this.#next) return;
    this.#next = passed + (this.#isTerminal ? AGAIN_MS.terminal : AGAIN_MS.plain);
    stderr.write(this.#isTerminal ? `\r\u001b[K${text}` : `cowlab: ${text}\n`);
    this.#shown = this.#isTerminal;
  }

  /** Takes the line away, before something else is written. */
  clear(): void {
    if (this.#shown) stderr.write("\r\u001b[K");
    this.#shown = false;
  }
}
