/**
 * The same seed gives the same bytes in every process: under other time zones, languages and hash seeds of V8, and on the other versions of Node
 * that COWLAB_NODES names (paths of programs, separated by colons). COWLAB_SEEDS says how many seeds.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execPath } from "node:process";
import { afterAll, beforeAll, expect, test } from "vitest";
import { singleFile } from "../single-file.ts";

const SEEDS = process.env["COWLAB_SEEDS"] ?? "7";
const NODES = [execPath, ...(process.env["COWLAB_NODES"] ?? "").split(":").filter((path) => path !== "")];
const folder = mkdtempSync(join(tmpdir(), "cowlab-seeds-"));
let program = "";

beforeAll(() => {
  program = singleFile(new URL("seeds-program.ts", import.meta.url), folder);
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true }));

function digest(node: string, environment: Readonly<Record<string, string>>, flags: readonly string[] = []): string {
  const options = { env: { ...process.env, ...environment }, encoding: "utf8" as const };
  return execFileSync(node, [...flags, program, "1", SEEDS], options);
}

test("seeds give the same bytes whatever the time zone, the language, V8's hash seed and the version of Node", {
  timeout: 3_600_000,
}, () => {
  const usual = digest(execPath, { TZ: "UTC", LANG: "C" });
  expect(usual).toMatch(/^[0-9a-f]{64}\n$/);
  const others = NODES.flatMap((node) => [
    digest(node, { TZ: "Pacific/Chatham", LANG: "tr_TR.UTF-8", LC_ALL: "tr_TR.UTF-8" }, ["--hash-seed=12345"]),
    digest(node, { TZ: "America/St_Johns", LANG: "de_DE.UTF-8" }, ["--random-seed=7", "--hash-seed=1"]),
  ]);
  expect(others).toEqual(others.map(() => usual));
});
