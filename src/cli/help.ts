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
      const [first = "", ...more] = wrapped(about, width, " ".repeat(17));
      const taken = others.length === 0 ? [] : wrapped(`with ${others.join(", ")}`, width, " ".repeat(17));
      return [`${name.padEnd(16)} ${first.trimStart()}`, ...more, ...taken];
    });
    return `What a step can do: { ACTION: …, further fields }\n\n${rows.join("\n")}\n`;
  },
  shell: (width) => {
    const rows = [...COMMANDS.values()].flatMap(({ name, about, options }) => {
      const [first = "", ...more] = wrapped(about, width, " ".repeat(10));
      const words = options.map(({ names }) => names.join(" ")).join(", ");
      const taken = words === "" ? [] : wrapped(`options: ${words}`, width, " ".repeat(10));
      return [`${name.padEnd(9)} ${first.trimStart()}`, ...more, ...taken];
    });
    return `The commands of \`sh:\`; they make the system calls of coreutils 9.1 in their order\n\n${rows.join("\n")}\n`;
  },
  metrics: (width) => {
    const rows = METRIC_IDS.flatMap((id) => {
      const [first = "", ...more] = wrapped(metricOf(id).about, width, " ".repeat(23));
      return [`${id.padEnd(22)} ${first.trimStart()}`, ...more];
    });
    const phases =
      "In `expect` of the file and in `compare.metrics` a metric can have a phase: data_copied_at_build, _at_create, _at_steps.";
    return `What \`measure\`, \`expect\` and \`compare\` can name\n\n${rows.join("\n")}\n\n${phases}\n`;
  },
  units: () =>
    "Sizes: B, KiB, MiB, GiB, TiB (powers of 1024) and kB, MB, GB, TB (powers of 1000). Times: ns, us, ms, s, min, h.\nSums are allowed, and $names of `vars`: 2*$pages, 1GiB - 4KiB. Bounds: 4KiB, { min: 1, max: 4 }, 256MiB ±5%. Modes are octal.\n",
  "exit-codes": () =>
    "0   everything was as expected\n1   an expectation failed\n2   wrong usage, or an invalid file\n3   a property was falsified\n4   a replay differs from the recording\n70  a bug of cowlab\n",
};
