import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "cowlab-cli-"));
afterAll(() => rmSync(folder, { recursive: true }));

function cowlab(...words: readonly string[]): { code: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--import", "tsx", "src/cli/main.ts", ...words], {
    cwd: root,
    encoding: "utf8",
  });
  // On a busy machine a run takes more than a second, and says how far it is.
  return { code: status, out: stdout, err: stderr.replace(/^cowlab: \d+ of \d+ runs\n/gm, "") };
}

function scenario(name: string, expectation: string): string {
  const path = join(folder, `${name}.yaml`);
  writeFileSync(
    path,
    `version: 1\nname: ${name}\nabout: a\ndrivers: [vfs]\nhost: { backing: tmpfs }\nimages: { i: { layers: [{ mkdir: /d }] } }\ncontainers: { a: { image: i } }\nsteps:\n  - { id: s, in: a, do: { rmdir: /d }, expect: ${expectation} }\n`,
  );
  return path;
}

test("the program's entry loads nothing before it knows that more than its version is asked", () => {
  const text = readFileSync(join(root, "src/cli/main.ts"), "utf8");
  const loaded = [...text.matchAll(/^import .* from "(.*)";$/gm)].map(([, from]) => from ?? "");
  expect(loaded.length).toBeGreaterThan(0);
  expect(loaded.filter((from) => !from.startsWith("node:"))).toEqual([]);
});

describe("the command line", () => {
  test("compares the files of a folder in the order of their names, and two processes print the same bytes", () => {
    scenario("b", "{ result: ok }");
    scenario("a", "{ result: ok }");
    const one = cowlab("compare", folder);
    expect(one).toMatchObject({ code: 0, err: "" });
    expect(one.out.indexOf("a\n")).toBeLessThan(one.out.indexOf("\nb\n"));
    expect(cowlab("compare", folder).out).toBe(one.out);
  });

  test("ends with 1 when an expectation failed, and prints JSON alone on stdout", () => {
    const { code, out, err } = cowlab("compare", "--json", scenario("fails", "{ error: EXDEV }"));
    expect([code, err]).toEqual([1, ""]);
    expect(JSON.parse(out)).toMatchObject({
      scenarios: [{ drivers: [{ expectations: [{ ok: false, expected: "EXDEV", found: "ok" }] }] }],
    });
  });

  test("ends with 2 and prints no table when one of its files is wrong", () => {
    const { code, out, err } = cowlab("compare", scenario("good", "{ result: ok }"), scenario("wrong", "{ reslt: ok }"));
    expect([code, out]).toEqual([2, ""]);
    expect(err).toBe(`${join(folder, "wrong.yaml")}:9:50: unknown key "reslt"; did you mean "result"?\n`);
  });

  test.each([
    [["compar"], /unknown command 'compar'[\s\S]*compare/],
    [["compare", "--drivers", "vsf", "scenarios"], /unknown driver "vsf"; did you mean "vfs"\?/],
  ])("answers %j with what was meant and exit code 2", (words, message) => {
    const { code, out, err } = cowlab(...words);
    expect([code, out]).toEqual([2, ""]);
    expect(err).toMatch(message);
  });

  test("is quiet when its reader goes away", () => {
    const run = `"${process.execPath}" --import tsx src/cli/main.ts schema | head -c 10; echo " \${PIPESTATUS[0]}"`;
    const { stdout, stderr } = spawnSync("bash", ["-c", run], { cwd: root, encoding: "utf8" });
    expect(stderr).toBe("");
    expect(stdout).toMatch(/ 0\n$/);
  });
});
