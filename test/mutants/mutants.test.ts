/** The seeded bugs: each still applies to the sources, and a few are found here; `npm run mutants` tries all. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { MUTANTS, type Mutant } from "./mutants.ts";
import { findingOf } from "./run.ts";

const SAMPLE = MUTANTS.filter(({ name }) => name.startsWith("overlayfs forgets the opaque mark"));

describe("a seeded bug", () => {
  test.each(MUTANTS)("applies to the sources: $name", ({ file, from, to }) => {
    const text = readFileSync(new URL(`../../${file}`, import.meta.url), "utf8");
    expect(text.split(from).length).toBe(2);
    expect(from).not.toBe(to);
  });

  test.each(SAMPLE)("is found: $name", { timeout: 300_000 }, async (mutant: Mutant) => {
    expect(await findingOf(mutant)).not.toBe("");
  });
});

test("there are thirty", () => expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(30));
