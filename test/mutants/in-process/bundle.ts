/** Bundles tests, the sources that they test with mutants in them, and what runs them (worker.ts) into one program. */
import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build, type Plugin } from "esbuild";
import { instrument, type SourceText } from "../population.ts";
import { nameOf } from "../sample-plugin.ts";

export const ROOT: string = fileURLToPath(new URL("../../..", import.meta.url));

export interface Parts {
  readonly sources: readonly SourceText[];
  /** The names (`nameOf`) of the mutants to place. */
  readonly names: readonly string[];
  /** Absolute paths of the tests. */
  readonly tests: readonly string[];
  /** Where the program is to stand: below the root, so that it finds the packages. */
  readonly outfile: string;
}

/** Gives the bundler the instrumented text where there is one, and each file the address that it has as a file. */
function replacing(texts: ReadonlyMap<string, string>): Plugin {
  return {
    name: "instrumented",
    setup: ({ onLoad }) => {
      onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const text = texts.get(path) ?? readFileSync(path, "utf8");
        return { contents: text.replaceAll("import.meta.url", JSON.stringify(pathToFileURL(path).href)), loader: "ts" };
      });
    },
  };
}

function entryOf(tests: readonly string[]): string {
  const files = tests.map((path) => {
    const name = JSON.stringify(relative(ROOT, path));
    return `{ name: ${name}, load: () => import(${JSON.stringify(path)}) },`;
  });
  const worker = JSON.stringify(join(ROOT, "test/mutants/in-process/worker.ts"));
  return [`import { serve } from ${worker};`, "await serve([", ...files, "]);"].join("\n");
}

/** @returns the id in the program of each mutant by its name, those nested in a place that was drawn among them */
export async function bundle({ sources, names, tests, outfile }: Parts): Promise<ReadonlyMap<string, string>> {
  const wanted = new Set(names);
  // Instrumented anew with the places of those drawn alone: sources with all their mutants are some times as slow.
  const all = (await instrument(sources)).mutants.filter((mutant) => wanted.has(nameOf(mutant)));
  const placesOf = ({ name }: SourceText) => all.filter(({ fileName }) => fileName === name).map(({ location }) => location);
  const { files, mutants } = await instrument(
    sources.filter((source) => placesOf(source).length > 0),
    placesOf,
  );
  await build({
    stdin: { contents: entryOf(tests), resolveDir: ROOT, loader: "ts" },
    alias: { vitest: join(ROOT, "test/mutants/in-process/vitest.ts") },
    plugins: [replacing(new Map(files.map(({ name, content }) => [name, content])))],
    outfile,
    bundle: true,
    packages: "external",
    platform: "node",
    format: "esm",
    target: "node20",
    logLevel: "error",
  });
  const ids = new Map(mutants.map((mutant) => [nameOf(mutant), mutant.id]));
  const lost = names.find((name) => !ids.has(name));
  if (lost !== undefined) throw new Error(`the sources have no such mutant: ${lost}`);
  return ids;
}
