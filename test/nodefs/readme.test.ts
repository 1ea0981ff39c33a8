/**
 * The library snippets of the README and of docs/testing.md run, and print what they say behind "//".
 */
import { readFileSync } from "node:fs";
import { transformSync } from "esbuild";
import * as fastCheck from "fast-check";
import { describe, expect, test } from "vitest";
import * as fs from "../../src/entry/fs.ts";
import * as image from "../../src/entry/image.ts";
import * as memfs from "../../src/entry/memfs.ts";
import * as node from "../../src/entry/node.ts";
import * as testing from "../../src/entry/testing.ts";
import * as thin from "../../src/entry/thin.ts";
import * as core from "../../src/index.ts";

const ENTRIES: Readonly<Record<string, object>> = {
  cowlab: core,
  "cowlab/fs": fs,
  "cowlab/image": image,
  "cowlab/memfs": memfs,
  "cowlab/node": node,
  "cowlab/testing": testing,
  "cowlab/thin": thin,
  "fast-check": fastCheck,
};

/** Each piece of code of a page with the words in bold before it. */
function snippetsOf(page: string): readonly { readonly title: string; readonly code: string }[] {
  const parts = readFileSync(new URL(`../../${page}`, import.meta.url), "utf8").split("```ts\n");
  return parts.slice(1).map((rest, index) => ({
    title: parts[index]?.match(/^\*\*([^*]+)\*\*[^*]*$/m)?.[1] ?? "",
    code: rest.split("```")[0] ?? "",
  }));
}

type Run = (entries: typeof ENTRIES, console: { log(value: unknown): void }) => Promise<void>;

/** A snippet as a function: its imports become parts of the entry points. */
function runnable(code: string): Run {
  const body = code
    .replace(/import \{([^}]*)\} from ("[^"]+");/g, "const {$1} = entries[$2];")
    .replace(/import (\w+) from ("[^"]+");/g, "const $1 = entries[$2].default;");
  const source = `async function run(entries, console) {\n${body}\n}`;
  const { code: plain } = transformSync(source, { loader: "ts", target: "es2023" });
  return new Function(`${plain}; return run;`)() as Run;
}

function shown(value: unknown): string {
  if (!Array.isArray(value)) return String(value);
  return `[ ${value.map((one) => `'${String(one)}'`).join(", ")} ]`;
}

describe.each([
  ["README.md", 5],
  ["docs/testing.md", 5],
] as const)("the snippets of %s", (page, least) => {
  const snippets = snippetsOf(page);

  test("are there, each with a title", () => {
    expect(snippets.length).toBeGreaterThanOrEqual(least);
    expect(snippets.map(({ title }) => title)).not.toContain("");
  });

  test.each(snippets)("$title", async ({ code }) => {
    const expected = [...code.matchAll(/\); \/\/ (.*)$/gm)].map(([, text]) => text);
    expect(expected.length).toBe(code.match(/console\.log\(/g)?.length ?? 0);
    const printed: string[] = [];
    await runnable(code)(ENTRIES, { log: (value) => printed.push(shown(value)) });
    expect(printed).toEqual(expected);
  });
});
