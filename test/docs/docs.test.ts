/**
 * What the pages of docs/ show is what happens: every scenario in them holds its expectations, every command in them prints what stands
 * below it. COWLAB_DOCS=write puts what the commands print into the pages.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { afterAll, describe, expect, test } from "vitest";
import { driversText } from "../../src/cli/drivers.ts";
import { replay } from "../../src/cli/replay.ts";
import { addScenarioCommands } from "../../src/cli/scenario-commands.ts";
import { loadScenario } from "../../src/scenario/load.ts";
import { makeWorld } from "../../src/scenario/machine.ts";
import { runScenario } from "../../src/scenario/run.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "cowlab-docs-"));
afterAll(() => rmSync(folder, { recursive: true }));

const inFolder = (path: string): string[] =>
  readdirSync(join(root, path))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `${path}/${name}`);
const PAGES = [...inFolder("docs/drivers"), "docs/fidelity.md", "docs/workshop.md"];
const WRITE = process.env["COWLAB_DOCS"] === "write";
/** Replays of all sets: test/replay/sets.test.ts makes them, and compares what the page says. */
const MADE_ELSEWHERE = /^\$ cowlab replay test\/data\/traces\n/;

interface Block {
  readonly language: string;
  readonly text: string;
  readonly line: number;
}

function blocksOf(page: string): Block[] {
  const text = readFileSync(join(root, page), "utf8");
  return [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, language = "", body = ""], index, all) => ({
    language,
    text: body,
    line: text.slice(0, all[index]?.index).split("\n").length,
  }));
}

/**
 * What a command prints on standard output, made in this process, since starting one for each takes longer than their work. Files that a page
 * made are found by their names.
 */
async function printed(command: string): Promise<string> {
  const [, verb = "", ...words] = command.match(/"[^"]*"|\S+/g)?.map((word) => word.replace(/^"|"$/g, "")) ?? [];
  if (verb === "drivers") return driversText(false);
  if (verb === "replay") {
    const [option, bind = "", ...paths] = words;
    return (option === "--bind" ? replay(paths, { bind: [bind] }) : replay(words, {})).text;
  }
  let out = "";
  const program = new Command();
  const write = (text: string): void => {
    out += text;
  };
  addScenarioCommands(program, write, { NO_COLOR: "1", COLUMNS: "100" });
  const given = words.map((word) => (existsSync(join(folder, word)) ? join(folder, word) : word));
  await program.parseAsync([verb, ...given, ...(verb === "run" ? ["--jobs", "1"] : [])], { from: "user" });
  expect(process.exitCode ?? 0, out).toBe(0);
  return out.replaceAll(`${folder}/`, "");
}

describe.each(PAGES)("%s", (page) => {
  const blocks = blocksOf(page);
  const scenarios = blocks.filter(({ language, text }) => language === "yaml" && text.includes("version: 1"));
  // Files that the page's commands name.
  for (const { text } of scenarios) {
    const name = /^# (\S+\.yaml)$/m.exec(text)?.[1];
    if (name !== undefined) writeFileSync(join(folder, name), text);
  }

  test.each(scenarios.map(({ text, line }) => [line, text] as const))("the scenario at line %i holds", (line, text) => {
    const { drivers } = runScenario(loadScenario(text, `${page}:${line}`), { makeWorld });
    expect(
      drivers.flatMap((run) => [run.stopped, ...run.verdicts.filter(({ ok }) => !ok)].filter((one) => one !== undefined)),
    ).toEqual([]);
  });

  const commands = blocks.filter(({ language, text }) => language === "console" && (WRITE || !MADE_ELSEWHERE.test(text)));
  test.each(commands.map((block) => [block.text.split("\n")[0], block] as const))("%s", async (first = "", block) => {
    const out = await printed(first.replace(/^\$ /, ""));
    const whole = `${first}\n${out.replace(/[ \t]+$/gm, "")}`;
    if (!WRITE) expect(block.text).toBe(whole);
    else if (whole !== block.text) {
      const path = join(root, page);
      writeFileSync(
        path,
        readFileSync(path, "utf8").replace(`\`\`\`console\n${block.text}\`\`\``, () => `\`\`\`console\n${whole}\`\`\``),
      );
    }
  });

  test("every link to a file leads to one", () => {
    const text = readFileSync(join(root, page), "utf8");
    const links = [...text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, path = ""]) => path);
    expect(links.filter((path) => !existsSync(resolve(root, dirname(page), path)))).toEqual([]);
  });
});
