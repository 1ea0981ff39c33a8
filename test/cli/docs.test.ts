import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { EXIT_CODES, TOPICS } from "../../src/cli/help.ts";
import { formatNamed } from "../../src/cli/outputs.ts";
import { shardOf } from "../../src/cli/shard.ts";
import { actionsFor } from "../../src/scenario/actions.ts";
import { loadScenarios } from "../../src/scenario/load.ts";
import { driverStates, makeWorld } from "../../src/scenario/machine.ts";
import { METRIC_IDS } from "../../src/scenario/metrics.ts";
import { runScenario } from "../../src/scenario/run.ts";
import { jsonSchema } from "../../src/scenario/schema.ts";
import { slotsFor } from "../../src/scenario/slots.ts";
import { COMMANDS } from "../../src/shell/commands/table.ts";

function page(name: string): string {
  return readFileSync(new URL(`../../docs/${name}.md`, import.meta.url), "utf8");
}

/** The fenced blocks of a page in a language. */
function fenced(text: string, language: string): readonly string[] {
  return [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)].filter(([, of]) => of === language).map(([, , block]) => block ?? "");
}

/** Every key that a JSON Schema names, down to the last. */
function keysOf(schema: unknown, into: Set<string> = new Set()): Set<string> {
  if (typeof schema !== "object" || schema === null) return into;
  for (const [key, value] of Object.entries(schema)) {
    if (key === "properties") for (const name of Object.keys(value as object)) into.add(name);
    keysOf(value, into);
  }
  return into;
}

describe("the page of the language", () => {
  const text = page("language");
  const scenarios = fenced(text, "yaml").filter((block) => block.startsWith("version: 1"));

  test("has scenarios in it", () => expect(scenarios.length).toBeGreaterThanOrEqual(5));

  test.each(scenarios.map((block) => [/^name: (.*)$/m.exec(block)?.[1] ?? "", block]))("the scenario %s holds", (name, block) => {
    for (const scenario of loadScenarios(block, `${name}.yaml`)) {
      const { drivers } = runScenario(scenario, { makeWorld });
      const unmet = drivers.flatMap(({ id, stopped, verdicts }) => [
        ...(stopped === undefined ? [] : [[id, stopped.where, stopped.why]]),
        ...verdicts
          .filter(({ ok, soft }) => !ok && !soft)
          .map(({ step, what, expected, found }) => [id, step, what, expected, found]),
      ]);
      expect(unmet).toEqual([]);
    }
  });

  test("names every key of the JSON Schema", () => {
    expect(
      [...keysOf(jsonSchema())].filter((key) => !text.includes(`\`${key}\``) && !/_at_(build|create|steps)$/.test(key)),
    ).toEqual([]);
  });

  test("names every action, metric, command of the shell with its options, driver and driver's option", () => {
    const words = [
      ...actionsFor(slotsFor(new Map())).map(({ name }) => name),
      ...METRIC_IDS,
      ...[...COMMANDS.values()].flatMap(({ name, options }) => [name, ...options.flatMap(({ names }) => names)]),
      ...driverStates().flatMap(({ name, options }) => [name, ...options]),
    ];
    expect(words.filter((word) => !text.includes(`\`${word}\``))).toEqual([]);
  });
});

describe("the page of the outputs", () => {
  const text = page("outputs");

  test("names every format", () => {
    const named = [...text.matchAll(/^\| `(\w+)` +\|/gm)].map(([, name]) => name ?? "");
    const formats = named.filter((name) => !["compare", "doctor", "run"].includes(name));
    expect(formats.map(formatNamed)).toEqual([
      "table",
      "json",
      "csv",
      "md",
      "junit",
      "github",
      "svg",
      "ndjson",
      "trace",
      "blocks",
    ]);
  });

  test("has a Job for Kubernetes whose parts are told apart", () => {
    const [manifest = ""] = fenced(text, "yaml");
    const { spec } = parse(manifest) as {
      spec: {
        completions: number;
        completionMode: string;
        template: { spec: { containers: { env: { name: string; value: string }[] }[] } };
      };
    };
    const env = Object.fromEntries(spec.template.spec.containers[0]?.env.map(({ name, value }) => [name, value]) ?? []);
    expect([spec.completionMode, env["JOB_COMPLETIONS"]]).toEqual(["Indexed", String(spec.completions)]);
    expect(shardOf(undefined, { ...env, JOB_COMPLETION_INDEX: "7" })).toEqual({ index: 7, count: 8 });
  });
});

test.each(["README.md", "docs/outputs.md"])("%s lists the exit codes that the program's help tells", (name) => {
  const text = readFileSync(new URL(`../../${name}`, import.meta.url), "utf8");
  const rows = [...text.matchAll(/^\| (\d+) +\| (.*?) +\|$/gm)].map(([, code, meaning]) => [code, meaning]);
  expect(rows).toEqual(EXIT_CODES);
});

test.each(Object.entries(TOPICS))("the help on %s keeps within eighty columns", (_, text) => {
  expect(
    text(80)
      .split("\n")
      .filter((line) => line.length > 80),
  ).toEqual([]);
});

const PAGES = ["README.md", ...readdirSync(new URL("../../docs", import.meta.url), { recursive: true, encoding: "utf8" })]
  .filter((name) => name.endsWith(".md"))
  .map((name) => (name === "README.md" ? name : `docs/${name}`));

test.each(PAGES)("every link of %s to a file leads to one", (page) => {
  const at = new URL(`../../${page}`, import.meta.url);
  const links = [...readFileSync(at, "utf8").matchAll(/\]\(([^)#:\s]+)(?:#[^)]*)?\)/g)].map(([, path = ""]) => path);
  expect(links.filter((path) => !existsSync(new URL(path, at)))).toEqual([]);
});
