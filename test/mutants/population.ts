/** All mutants that StrykerJS makes of a room's sources, and the drawing of some of them. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Random } from "../../sim/core/random.ts";
import type { Mutant } from "./sample-plugin.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Options of each command that draws a sample. */
export const DRAWING = {
  count: { type: "string", default: "150" },
  seed: { type: "string", default: "1" },
  concurrency: { type: "string", default: "2" },
  list: { type: "boolean", default: false },
} as const;

export interface SourceText {
  /** An absolute path. */
  readonly name: string;
  readonly content: string;
}

/** The sources of a room ("sim/thin"), by name. */
export function sourcesOf(room: string): SourceText[] {
  const paths = readdirSync(join(ROOT, room), { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".ts"));
  return paths.sort().map((path) => {
    const name = join(ROOT, room, path);
    return { name, content: readFileSync(name, "utf8") };
  });
}

/** Sources in which each mutant stands beside what it replaces; the global `__stryker__` says which is active. */
export interface Instrumented {
  readonly files: readonly SourceText[];
  readonly mutants: readonly Mutant[];
}

/** What is needed of Stryker's instrumenter, whose own types do not pass this project's compiler; a name that is a variable keeps them out. */
interface InstrumenterModule {
  readonly Instrumenter: new (
    log: Record<string, () => boolean>,
  ) => {
    instrument(files: readonly object[], options: object): Promise<Instrumented>;
  };
}
const INSTRUMENTER: string = "@stryker-mutator/instrumenter";

const no = (): boolean => false;
const SILENT = { isDebugEnabled: no, debug: no, info: no, warn: no };

/**
 * Sources with mutants.
 * @param placesOf - the places of a file to mutate, each with all that is nested in it; by default all of it
 */
export async function instrument(
  sources: readonly SourceText[],
  placesOf: (source: SourceText) => true | readonly Mutant["location"][] = () => true,
): Promise<Instrumented> {
  const { Instrumenter } = (await import(INSTRUMENTER)) as InstrumenterModule;
  const files = sources.map((source) => ({ ...source, mutate: placesOf(source) }));
  return new Instrumenter(SILENT).instrument(files, { plugins: null, excludedMutations: [], ignorers: [] });
}

/** All mutants that Stryker makes of some sources, in their order. */
export async function mutantsOf(sources: readonly SourceText[]): Promise<readonly Mutant[]> {
  return (await instrument(sources)).mutants;
}

/** `count` different items of the list, each as likely as any other, in random order. All of a shorter list. */
export function draw<T>(items: readonly T[], count: number, random: Random): T[] {
  const left = [...items];
  const drawn: T[] = [];
  while (drawn.length < count && left.length > 0) {
    const at = random.below(left.length);
    drawn.push(...left.splice(at, 1));
  }
  return drawn;
}
