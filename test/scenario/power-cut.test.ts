/**
 * What a power cut leaves of files, beside what a real kernel's ext4 and xfs left of them (test/kernel/power-cut.py): the same calls, by themselves
 * and through an overlay.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { loadScenario } from "../../src/scenario/load.ts";
import { makeWorld } from "../../src/scenario/machine.ts";
import { runScenario } from "../../src/scenario/run.ts";

interface Case {
  readonly filesystem: string;
  readonly union: boolean;
  readonly seconds: number;
  /** The text of each file; null where there is none. */
  readonly left: Readonly<Record<string, string | null>>;
}

const { cases } = JSON.parse(readFileSync(new URL("../data/power-cut.json", import.meta.url), "utf8")) as { cases: Case[] };

function titleOf({ filesystem, union, seconds }: Case): string {
  return `${union ? "overlay on " : ""}${filesystem}, ${seconds} s`;
}

/** What is left of each file here. */
function leftHere({ filesystem, union, seconds, left }: Case): Record<string, string | null> {
  const text = `version: 1
name: power
about: As test/kernel/power-cut.py does it
drivers: [${union ? "overlay2" : "vfs"}]
host: { backing: ${filesystem}, device: 512MiB, memory: 256MiB }
images: { app: { layers: [{ sh: "echo old | dd of=/replaced status=none; cp /replaced /overwritten; cp /replaced /appended; echo older | dd of=/shortened status=none" }] } }
containers: { c: { image: app } }
steps:
  - { in: c, do: { open: /synced, flags: O_WRONLY|O_CREAT|O_TRUNC, as: fd } }
  - { in: c, do: { write: $fd, text: "text\\n" } }
  - { in: c, do: { fsync: $fd } }
  - { in: c, do: { close: $fd } }
  - { in: c, do: { write: /plain, text: "text\\n" } }
  - { in: c, do: { write: /replaced.new, text: "new\\n" } }
  - { in: c, do: { rename: /replaced.new, to: /replaced } }
  - { in: c, do: { write: /overwritten, text: "new\\n" } }
  - { in: c, do: { append: /appended, text: "new\\n" } }
  - { in: c, do: { truncate: /shortened, size: 3 } }
  - { in: c, do: { append: /shortened, text: "new\\n" } }
  - { do: { tick: ${seconds}s } }
  - { do: { power_cut: now, keep: all } }
${Object.keys(left)
  .map((name) => `  - { id: ${name}, in: c, do: { sh: "cat /${name}" } }`)
  .join("\n")}
`;
  const scenario = loadScenario(text, "power.yaml");
  // The file is synced only where the machine is looked at right away.
  const steps = seconds === 0 ? scenario.steps : scenario.steps.slice(4);
  const [run] = runScenario({ ...scenario, steps }, { makeWorld }).drivers;
  return Object.fromEntries(
    Object.keys(left).map((name) => {
      const step = run?.steps.find(({ id }) => id === name);
      return [name, step?.shell?.status === 0 ? step.shell.stdout : null];
    }),
  );
}

describe.each(cases.map((one) => [titleOf(one), one] as const))("of files on %s after they were written", (_, one) => {
  const here = leftHere(one);
  test.each(Object.keys(one.left))("the power leaves of %s what it left there", (name) => {
    expect(here[name]).toBe(one.left[name]);
  });
});
