/**
 * The recipes are YAML, use one seed for all shards, and call verbs and options that the program has.
 */
import { readdirSync, readFileSync } from "node:fs";
import { Command } from "commander";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { addFuzzCommand } from "../../src/cli/fuzz-command.ts";

const FOLDER = new URL("../../docs/recipes/", import.meta.url);
const FILES = readdirSync(FOLDER).filter((name) => name.endsWith(".yml"));

test("there is one for GitHub and one for GitLab", () => {
  expect(FILES.sort()).toEqual(["github-actions.yml", "gitlab-ci.yml"]);
});

test.each(FILES)("%s is YAML with as many shards as it says, one seed, and a counterexample that is kept", (name) => {
  const text = readFileSync(new URL(name, FOLDER), "utf8");
  const document = parse(text) as Record<string, { parallel?: number; strategy?: unknown }>;
  const jobs = (document["jobs"] ?? document) as Record<
    string,
    { parallel?: number; strategy?: { matrix: { shard: number[] } } }
  >;
  const job = jobs["fuzz"] ?? jobs["properties"];
  expect(job?.strategy?.matrix.shard.length ?? job?.parallel).toBe(4);
  const commands = text.match(/npx cowlab fuzz [^\n]*/g) ?? [];
  expect(commands.length).toBe(2);
  for (const command of commands) {
    for (const option of ["--ops 1000000", "--seed", "$SEED", "--drivers overlay2,vfs", "--against model", "--shard"])
      expect(command).toContain(option);
  }
  expect(text).toMatch(/paths?: \[?cowlab-fuzz/);
});

test("the program knows every option of theirs, and what the recipe keeps is where it writes", () => {
  const root = new Command();
  addFuzzCommand(root, () => undefined);
  const known = root.commands[0]?.options ?? [];
  expect(known.find(({ long }) => long === "--output")?.defaultValue).toBe("cowlab-fuzz");
  for (const name of FILES) {
    const text = readFileSync(new URL(name, FOLDER), "utf8");
    for (const [option] of text.matchAll(/ --(?:ops|seed|drivers|against|shard)\b/g))
      expect(known.map(({ long }) => ` ${long}`)).toContain(option);
  }
});
