/**
 * `cowlab init` and `validate`: scenario files, begun and checked.
 */
import { existsSync } from "node:fs";
import { scenarioFiles } from "../node/files.ts";
import { counted } from "../scenario/figures.ts";
import { printable, ScenarioError } from "../scenario/problem.ts";
import { EXIT, UsageError } from "./exit.ts";
import { Library } from "./jobs.ts";
import { writeResult } from "./outputs.ts";
import { overridesOf } from "./settings.ts";

/** The scenario that `init` writes: small, complete, and true. */
const STARTER = `# yaml-language-server: $schema=./node_modules/cowlab/schema/scenario-1.json
version: 1
name: my-first
about: One byte is changed in a file of the image. Who copies what?
drivers: all
host: { backing: ext4, device: 2GiB, memory: 1GiB }
vars: { size: 16MiB }
images:
  app:
    layers:
      - sh: mkdir -p /var/lib/app
      - { write: /var/lib/app/data, size: $size, content: random }
containers:
  c1: { image: app }
steps:
  - id: open
    in: c1
    do: { open: /var/lib/app/data, flags: O_RDWR, as: fd }
    expect:
      overlay2: { data_copied: $size }
      vfs: { data_copied: 0 }
  - { id: change, in: c1, do: { pwrite: $fd, offset: 4096, text: x } }
  - { id: sync, in: c1, do: { fsync: $fd }, expect: { result: ok } }
  - { id: move, in: c1, do: { sh: "mv /var/lib/app /srv && ls /srv" }, expect: { value: data } }
compare:
  metrics: [data_copied, space_allocated_at_steps, device_bytes_written_at_steps]
  reference: overlay2
`;

/** Writes a scenario to begin with. @throws UsageError where a file is there already */
export function init(path: string): string {
  if (existsSync(path)) throw new UsageError(`${path} is there already`);
  writeResult(path, STARTER);
  return `${path}: written; cowlab run ${path} runs it\n`;
}

/** Checks scenario files: one line for each that is right, every problem of those that are not. */
export async function validate(
  paths: readonly string[],
  options: { readonly parameter?: readonly string[] },
): Promise<{ readonly out: string; readonly err: string; readonly code: number }> {
  const library = new Library(overridesOf(options.parameter));
  let [out, err] = ["", ""];
  for (const path of paths.flatMap(scenarioFiles)) {
    try {
      const loaded = await library.get(path);
      const [first] = loaded;
      const runs = loaded.reduce((sum, { scenario }) => sum + scenario.drivers.length, 0);
      out += `${printable(path)}: ${first?.scenario.name}, ${counted(first?.scenario.steps.length ?? 0, "step")}, ${counted(runs, "run")}\n`;
    } catch (error) {
      if (!(error instanceof ScenarioError)) throw error;
      err += `${error.message}\n`;
    }
  }
  return { out, err, code: err === "" ? EXIT.ok : EXIT.usage };
}
