/**
 * Finds and reads the input files that a command names.
 */
import { readdirSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { type Archive, contextKey } from "../scenario/archive.ts";
import { loadScenarios } from "../scenario/load.ts";
import type { Overrides } from "../scenario/parameters.ts";
import { type Problem, ScenarioError } from "../scenario/problem.ts";
import type { Scenario } from "../scenario/scenario.ts";
import { InputError, onFile, readText, reasonOf } from "./input-error.ts";

/** More than any scenario may have (scenario/document.ts counts characters), so that a file without an end is not read for ever. */
const FILE_BYTES_MAX = 4 * 2 ** 20;

/** A scenario, one combination of its file's matrix, with everything that it stands on. */
export interface Loaded {
  readonly scenario: Scenario;
  readonly archives: ReadonlyMap<string, Archive>;
}

/** The scenario files that a path stands for: itself, or a folder's *.yaml and *.yml in the order of their names. @throws InputError */
export function scenarioFiles(path: string): readonly string[] {
  if (!onFile(path, () => statSync(path)).isDirectory()) return [path];
  const names = onFile(path, () => readdirSync(path)).filter((name) => /\.ya?ml$/.test(name));
  if (names.length === 0) throw new InputError(`${path}: no *.yaml file in this folder`);
  return [...names].sort().map((name) => join(path, name));
}

/**
 * Reads a file's scenarios, one for each combination of its matrix, and the archives that its images stand on.
 * @param overrides - values for parameters and variables, instead of the file's
 * @throws ScenarioError, InputError
 */
export async function readScenarios(path: string, overrides?: Overrides): Promise<readonly Loaded[]> {
  const scenarios = loadScenarios(readText(path, FILE_BYTES_MAX), path, overrides);
  const archives = new Map<string, Archive>();
  const problems: Problem[] = [];
  for (const { from, place } of scenarios[0]?.images ?? []) {
    if (from?.kind !== "archive" || archives.has(from.name)) continue;
    const { readArchive } = await import("./archive.ts");
    try {
      archives.set(from.name, await readArchive(resolve(dirname(path), from.name)));
    } catch (error) {
      const known = (scenarios[0]?.images ?? []).map((image) => image.name).join(", ");
      const missing = error instanceof Error && "code" in error && error.code === "ENOENT";
      const message = missing
        ? `no image of this file and no archive or folder is called "${from.name}"; images: ${known}`
        : `${from.name}: ${reasonOf(error)}`;
      problems.push({ file: path, ...place, message });
    }
  }
  for (const { context, place } of scenarios[0]?.images ?? []) {
    if (context === undefined || archives.has(contextKey(context))) continue;
    const { readContext } = await import("./archive.ts");
    try {
      archives.set(contextKey(context), readContext(resolve(dirname(path), context)));
    } catch (error) {
      problems.push({ file: path, ...place, message: `context ${context}: ${reasonOf(error)}` });
    }
  }
  if (problems.length > 0) throw new ScenarioError(problems);
  return scenarios.map((scenario) => ({ scenario, archives }));
}
