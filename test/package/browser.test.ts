/**
 * The core in a browser: bundled without anything of Node's, it runs a scenario in headless Chromium and tells the same as here.
 */
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { build } from "esbuild";
import { expect, test } from "vitest";
import { loadScenario, makeWorld, runScenario, scenarioDocument, scenarioText } from "../../src/index.ts";

interface Page {
  addScriptTag(options: { content: string }): Promise<unknown>;
  evaluate(expression: string): Promise<unknown>;
}

interface Browser {
  newPage(): Promise<Page>;
  close(): Promise<void>;
}

/** playwright-core without its types, which need those of a browser's page. */
interface Playwright {
  readonly chromium: { launch(options: { executablePath: string; args: readonly string[] }): Promise<Browser> };
}

const CHROMIUM = process.env["COWLAB_CHROMIUM"] ?? "/usr/bin/chromium";
const FILE = new URL("../../scenarios/rename-dir-lower.yaml", import.meta.url);

/** The core as one script that sets `cowlab`. Node's modules are refused: the platform is the browser. */
async function bundle(): Promise<string> {
  const result = await build({
    entryPoints: [new URL("../../src/index.ts", import.meta.url).pathname],
    bundle: true,
    write: false,
    format: "iife",
    globalName: "cowlab",
    platform: "browser",
    target: "chrome120",
    logLevel: "silent",
    metafile: true,
  });
  const inputs = Object.keys(result.metafile.inputs);
  expect(inputs.filter((path) => path.startsWith("node:") || path.startsWith("src/node/"))).toEqual([]);
  return result.outputFiles[0]?.text ?? "";
}

test("the core bundles for a browser: nothing that it reaches is Node's", async () => {
  expect((await bundle()).length).toBeGreaterThan(100_000);
});

test.skipIf(!existsSync(CHROMIUM))(
  `a scenario runs in ${CHROMIUM} and prints the same table (skips where it is not installed)`,
  async () => {
    const text = readFileSync(FILE, "utf8");
    const { chromium } = createRequire(import.meta.url)("playwright-core") as Playwright;
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu"] });
    try {
      const page = await browser.newPage();
      await page.addScriptTag({ content: await bundle() });
      // The function's text is all that reaches the page: it knows nothing of this file.
      const there = await page.evaluate(`((text) => {
      const { loadScenario, runScenario, scenarioDocument, scenarioText, makeWorld } = cowlab;
      return scenarioText(scenarioDocument(runScenario(loadScenario(text, "rename-dir-lower.yaml"), { makeWorld })));
    })(${JSON.stringify(text)})`);
      const here = scenarioText(scenarioDocument(runScenario(loadScenario(text, "rename-dir-lower.yaml"), { makeWorld })));
      expect(there).toBe(here);
    } finally {
      await browser.close();
    }
  },
);
