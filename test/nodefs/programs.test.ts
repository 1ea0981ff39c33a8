/**
 * Real programs on every driver. docs/programs.md is the table of what came of it: `npx vitest run test/nodefs/programs -u` writes it again.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { describe, expect, test } from "vitest";
import { DRIVERS } from "../../src/drivers/registry.ts";
import { overlayFs, requireWith } from "../../src/entry/fs.ts";
import { CASES, type Case, IMAGE, type Place } from "./program-cases.ts";

const NAMES = [...DRIVERS.keys()].sort();
const DOCUMENT = join(fileURLToPath(new URL("../..", import.meta.url)), "docs/programs.md");

/** How a case ended on a driver, and whether a rename was refused on the way. */
interface Outcome {
  readonly end: "ok" | "other result" | string;
  readonly exdev: boolean;
}

const outcomes = new Map<string, Outcome>();
const keyOf = (of: Case, driver: string): string => `${of.program} ${of.does} ${driver}`;

/** Runs a case in a new container. Programs that ask Date.now for the age of a file need the real time. */
async function outcomeOf(of: Case, place: Place, refused: Set<string>): Promise<Outcome> {
  place.fs.reset();
  refused.clear();
  let end: string;
  try {
    end = isDeepStrictEqual(await of.run(place), of.result) ? "ok" : "other result";
  } catch (error) {
    end = (error as NodeJS.ErrnoException).code ?? String(error);
  }
  place.fs.check();
  return { end, exdev: refused.has("EXDEV") };
}

describe.each(NAMES)("%s", (driver) => {
  const refused = new Set<string>();
  const note = (error: NodeJS.ErrnoException): unknown => refused.add(error.code ?? "");
  const fs = overlayFs({ lower: [IMAGE], semantics: driver, now: () => Date.now(), refused: note });
  const place: Place = { fs, require: requireWith(fs, import.meta.url) };

  test.each(CASES)("$program $does", async (of) => {
    const outcome = await outcomeOf(of, place, refused);
    outcomes.set(keyOf(of, driver), outcome);
    const plain = { end: "ok", exdev: false };
    if (of.differs?.drivers.includes(driver) === true) expect(outcome).not.toEqual(plain);
    else expect(outcome).toEqual(plain);
  });
});

function cell({ end, exdev }: Outcome): string {
  if (end === "ok") return exdev ? "ok after EXDEV" : "ok";
  return end === "other result" ? "**other result**" : `**${end}**`;
}

function table(): string {
  const head = ["program", "does", ...NAMES, "why"];
  const rows = CASES.map((of) => [
    of.program,
    of.does,
    ...NAMES.map((driver) => cell(outcomes.get(keyOf(of, driver)) ?? { end: "not run", exdev: false })),
    of.differs?.why ?? "",
  ]);
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string => `| ${cells.map((text, at) => text.padEnd(widths[at] ?? 0)).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}

test("the document says what came of it", async () => {
  const text = `# Programs in containers

What real programs do on each driver, run on \`cowlab/fs\` in a new container over one image. "ok" means that the program came to the same result
as on an ordinary filesystem; "ok after EXDEV" that it met the refusal and had an answer to it. What is bold is where it broke: the error that
ended it, or a result that is another one.

${table()}

The table is written by the test that runs the programs (test/nodefs/programs.test.ts), and checked by it.
`;
  await expect(text).toMatchFileSnapshot(DOCUMENT);
});
