/**
 * `cowlab help TOPIC`: short references, made from the tables that the program itself uses.
 */

import { wrapped } from "../report/table.ts";
import { actionsFor } from "../scenario/actions.ts";
import { METRIC_IDS, metricOf } from "../scenario/metrics.ts";
import { slotsFor } from "../scenario/slots.ts";
import { COMMANDS } from "../shell/commands/table.ts";

/** Each topic with its text. */
export const TOPICS: Readonly<Record<string, (width: number) => string>> = {
  actions: (width) => {
    const rows = actionsFor(slotsFor(new Map())).flatMap(({ name, fields, about }) => {
      const others = fields.slice(1);
      const taken = others.length === 0 ? [] : wrapped(`with ${others.join(", ")}`, width, " ".repeat(17));
      return [...hanging([name, about], 17, width), ...taken];
    });
    return `What a step can do: { ACTION: …, further fields }\n\n${rows.join("\n")}\n`;
  },
  shell: (width) => {
    const rows = [...COMMANDS.values()].flatMap(({ name, about, options }) => {
      const words = options.map(({ names }) => names.join(" ")).join(", ");
      const taken = words === "" ? [] : wrapped(`options: ${words}`, width, " ".repeat(10));
      return [...hanging([name, about], 10, width), ...taken];
    });
    return `The commands of \`sh:\`: the system calls of coreutils 9.1, in their order\n\n${rows.join("\n")}\n`;
  },
  metrics: (width) => {
    const rows = METRIC_IDS.flatMap((id) => hanging([id, metricOf(id).about], 23, width));
    const phases =
      "In `expect` of the file and in `compare.metrics` a metric can have a phase: data_copied_at_build, data_copied_at_create, data_copied_at_steps.";
    return `What \`measure\`, \`expect\` and \`compare\` can name\n\n${rows.join("\n")}\n\n${wrapped(phases, width).join("\n")}\n`;
  },
  units: (width) => rowsOf(UNITS, width),
  "exit-codes": (width) => rowsOf(EXIT_CODES, width),
};

const UNITS: readonly (readonly [string, string])[] = [
  ["sizes", "B, KiB, MiB, GiB, TiB (powers of 1024) and kB, MB, GB, TB (powers of 1000); a plain number is of bytes"],
  ["times", "ns, us, ms, s, min, h"],
  ["sums", "of numbers and $names of `vars`, with + - * / and brackets: 2*$pages, 1GiB - 4KiB"],
  ["amounts", "that are expected: 4KiB, { min: 1, max: 4 }, 256MiB ±5%"],
  ["modes", "octal: 0644"],
];

/** The exit codes, as README.md and docs/outputs.md list them. */
export const EXIT_CODES: readonly (readonly [string, string])[] = [
  ["0", "every expectation held"],
  ["1", "an expectation failed, two runs differ, or one of the thin tools found a fault or was asked wrongly"],
  ["2", "wrong usage, or a file that is not right: a line with the file and, where it has one, the place in it"],
  ["3", "`fuzz` found a disagreement, `faults` something that does not hold"],
  ["4", "a replayed step differs from the recorded one, or its trace cannot be run"],
  ["70", "a bug in cowlab: an invariant of the simulation broke"],
  ["130", "interrupted"],
];

function rowsOf(rows: readonly (readonly [string, string])[], width: number): string {
  const left = Math.max(...rows.map(([name]) => name.length)) + 2;
  return rows
    .flatMap((row) => hanging(row, left, width))
    .join("\n")
    .concat("\n");
}

/** A name, and what is said of it beside it. */
export function hanging([name, text]: readonly [string, string], left: number, width: number): readonly string[] {
  return wrapped(text, width, " ".repeat(left)).map((line, at) => (at === 0 ? name.padEnd(left) + line.trimStart() : line));
}
