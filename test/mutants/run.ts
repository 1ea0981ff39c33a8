/**
 * Applies each mutant to the sources in memory, bundles the quick suite with it, and runs that: every mutant must be found.
 *
 *   npm run mutants            all of them
 *   npm run mutants -- opaque  those whose name has the word
 *
 * Interface: exit code 1 when one survives, or does not apply any more.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { argv, execPath, exit, stdout } from "node:process";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";
import { MUTANTS, type Mutant } from "./mutants.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Gives the bundler a file's text with the mutant's change. */
function mutating(mutant: Mutant | undefined): Plugin {
  return {
    name: "mutant",
    setup: ({ onLoad }) => {
      if (mutant === undefined) return;
      const path = join(ROOT, mutant.file);
      onLoad({ filter: /\.ts$/ }, (given) => {
        if (given.path !== path) return undefined;
        const text = readFileSync(path, "utf8");
        const parts = text.split(mutant.from);
        if (parts.length !== 2) throw new Error(`${mutant.name}: its text stands ${parts.length - 1} times in ${mutant.file}`);
        return { contents: parts.join(mutant.to), loader: "ts" };
      });
    },
  };
}

/** What the quick suite finds with a mutant; "" for nothing. */
export async function findingOf(mutant: Mutant | undefined): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "cowlab-mutant-"));
  try {
    const outfile = join(folder, "suite.mjs");
    const entry = join(ROOT, "test/mutants/suite.ts");
    const common = { bundle: true, platform: "node", format: "esm", logLevel: "silent" } as const;
    await build({ ...common, entryPoints: [entry], outfile, plugins: [mutating(mutant)] });
    const { stdout: told, status, stderr } = spawnSync(execPath, [outfile], { cwd: ROOT, encoding: "utf8", timeout: 300_000 });
    return status === 0
      ? told
      : `ended with ${status}: ${
          stderr
            .trim()
            .split("\n")
            .find((line) => line.includes("Error")) ?? ""
        }`;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function main(word: string): Promise<void> {
  let survivors = 0;
  if ((await findingOf(undefined)) !== "") throw new Error("the suite finds something in the sources as they are");
  const chosen = MUTANTS.filter(({ name }) => name.includes(word));
  for (const mutant of chosen) {
    const finding = await findingOf(mutant);
    if (finding === "") survivors += 1;
    stdout.write(`${finding === "" ? "SURVIVES" : "found"}: ${mutant.name}\n  ${finding}\n`);
  }
  stdout.write(`${chosen.length} mutants, ${survivors} survive\n`);
  exit(survivors === 0 ? 0 : 1);
}

if (argv[1] === fileURLToPath(import.meta.url)) await main(argv[2] ?? "");
