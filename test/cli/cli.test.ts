import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test, vi } from "vitest";
import { endQuietly, run } from "../../src/cli/program.ts";
import { readWhole } from "../../src/node/input-error.ts";
import { WholeFile } from "../../src/node/whole-file.ts";
import { bundledProgram, ROOT } from "./bundle.ts";

const folder = mkdtempSync(join(tmpdir(), "cowlab-cli-"));
afterAll(() => rmSync(folder, { recursive: true }));

interface Said {
  readonly code: number | string | null;
  readonly out: string;
  readonly err: string;
}

/** On a busy machine a run takes more than a second, and says how far it is. */
function withoutProgress(text: string): string {
  return text.replace(/^cowlab: \d+ of \d+ runs\n/gm, "");
}

/** A command in a process of its own. */
function cowlab(...words: readonly string[]): Said {
  const { status, stdout, stderr } = spawnSync(process.execPath, [bundledProgram(), ...words], { cwd: ROOT, encoding: "utf8" });
  return { code: status, out: stdout, err: withoutProgress(stderr) };
}

/** A command in this process, which is there already: to start one takes longer than most commands. */
async function cowlabHere(...words: readonly string[]): Promise<Said> {
  const { argv, exitCode } = process;
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    vi.spyOn(process[name], "write").mockImplementation((text) => {
      said[name] += String(text);
      return true;
    });
  process.argv = [process.execPath, "cowlab", ...words];
  process.exitCode = 0;
  try {
    await run("0");
    return { code: process.exitCode, out: said.stdout, err: withoutProgress(said.stderr) };
  } finally {
    vi.restoreAllMocks();
    process.stdout.off("error", endQuietly);
    process.argv = argv;
    process.exitCode = exitCode;
  }
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
  const text = readFileSync(join(ROOT, "src/cli/main.ts"), "utf8");
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

  test("ends with 2 and prints no table when one of its files is wrong", async () => {
    const { code, out, err } = await cowlabHere(
      "compare",
      scenario("good", "{ result: ok }"),
      scenario("wrong", "{ reslt: ok }"),
    );
    expect([code, out]).toEqual([2, ""]);
    expect(err).toBe(`${join(folder, "wrong.yaml")}:9:50: unknown key "reslt"; did you mean "result"?\n`);
  });

  test.each([
    [["compar"], /unknown command 'compar'[\s\S]*compare/],
    [["compare", "--drivers", "vsf", "scenarios"], /unknown driver "vsf"; did you mean "vfs"\?/],
  ])("answers %j with what was meant and exit code 2", async (words, message) => {
    const { code, out, err } = await cowlabHere(...words);
    expect([code, out]).toEqual([2, ""]);
    expect(err).toMatch(message);
  });

  test("is quiet when its reader goes away", () => {
    const run = `"${process.execPath}" "${bundledProgram()}" schema | head -c 10; echo " \${PIPESTATUS[0]}"`;
    const { stdout, stderr } = spawnSync("bash", ["-c", run], { cwd: ROOT, encoding: "utf8" });
    expect(stderr).toBe("");
    expect(stdout).toMatch(/ 0\n$/);
  });
});

test("image info prints what docker info would, its warnings on standard error", () => {
  const words = ["image", "info", join(ROOT, "test/data/images/save-overlay.tar.gz"), "--driver", "overlay"];
  expect(cowlab(...words)).toEqual({
    code: 0,
    out: " Images: 2\n Storage Driver: overlay\n  Backing Filesystem: extfs\n  Supports d_type: true\n",
    err: "WARNING: the overlay storage-driver is deprecated, and will be removed in a future release.\n",
  });
  const { out, err } = cowlab(...words, "--json");
  expect([JSON.parse(out), err]).toMatchObject([
    { Images: 2, Driver: "overlay", DriverStatus: [["Backing Filesystem", "extfs"], {}] },
    "",
  ]);
});

describe("input that is wrong", () => {
  const part = join(folder, "part");
  const cases: readonly (readonly [readonly string[], string, RegExp])[] = [
    [["image", "ls", part], "x".repeat(600), /part: E_TAR_\w+: /],
    [
      ["report", part],
      '{"format":"cowlab-run","version":1,"scenarios":[{}]}',
      /part: not a saved run as this version reads it: scenarios\[0\]\.name is missing/,
    ],
    [["validate", part], "version: 1\n---\nversion: 1\n", /part:2:1: source contains multiple documents: a scenario is one/],
    [["frobnicate"], "", /^cowlab: unknown command 'frobnicate' \(cowlab help tells what can be asked\)$/m],
    [["run", "--fromat", "csv"], "", /^cowlab: unknown option '--fromat'; did you mean --format\?$/m],
    [["help", "thin", "chek"], "", /^cowlab: no help on "thin chek"; did you mean "thin check"\?$/m],
    [["run", part, "-o", `md=${part}`], "", /part is read: it cannot be written too/],
    [["run", part, "-o", "md=x", "-o", "csv=./x"], "", /\.\/x is named for two outputs/],
    [["run", part, "--save", join(folder, "none", "x")], "", /none.x: no such file or directory/],
    [["image", "import", "-t", "No Name", part], "", /^cowlab: --tag takes a name such as app:1, not "No Name"$/m],
    [["image", "import", "--driver", "ovl", part], "", /^cowlab: unknown driver "ovl"; known: aufs, /m],
    [["btrfs", "send", folder, "-o", part, "-n", "a/b"], "", /--name takes the name of a subvolume/],
    [["sweep", part, "-P", "size=4KiB..1KiB*2"], "", /-P size: 4KiB\.\.1KiB\*2 has no value/],
    [["sweep", part, "-P", "size=1..9"], "", /-P size: a range has a step, such as 1\.\.9\*2 or 1\.\.9\+1/],
    [["btrfs", "send", folder, "-o", join(folder, "none", "x")], "", /none.x: no such file or directory/],
    [["report", part, "-o", `md=${part}`], "", /part is read: it cannot be written too/],
    [["report", part, "-o", "md=x", "-o", "csv=./x"], "", /\.\/x is named for two outputs/],
    [["run", part, "--json", "--format", "csv"], "", /^cowlab: --json and --format csv ask for two forms of the one result$/m],
    [["report", part, "--json", "--format", "csv"], "", /^cowlab: --json and --format csv ask for two forms/m],
    [["run", scenario("metric", "{ result: ok }"), "--metric", "xyzzy"], "", /"xyzzy"; cowlab help metrics lists them$/m],
    [
      ["explain", scenario("two", "{ result: ok }"), "--step", "s", "--driver", "vfs,zfs"],
      "",
      /^cowlab: explain takes one driver, not "vfs,zfs"$/m,
    ],
    [["errno", "xyzzy"], "", /^cowlab: this simulator has no errno "xyzzy"; it takes a name such as EXDEV, or a number$/m],
    [["help", "xyzzy"], "", /^cowlab: no help on "xyzzy"; cowlab help lists the commands, and its own help the topics$/m],
    [["fuzz", "--ops", "0"], "", /^cowlab: --ops takes a whole number from 1 on, not "0"$/m],
  ];
  test.each(cases)("%j is told in one line with its name, exit code 2", async (words, text, message) => {
    writeFileSync(part, text);
    const { code, out, err } = await cowlabHere(...words);
    expect([code, out]).toEqual([2, ""]);
    expect(err).toMatch(message);
    expect(err.trimEnd().split("\n")).toHaveLength(1);
  });

  test("thin restore without -o says so as the tool does", async () => {
    expect(await cowlabHere("thin", "restore", folder)).toMatchObject({ code: 1, err: "No output file provided.\n" });
  });

  test("a folder in the place of a metadata image is refused as thin tools do", async () => {
    expect(await cowlabHere("thin", "check", folder)).toMatchObject({ code: 1, err: "Not a block device or regular file\n" });
  });
});

test.runIf(process.platform === "linux").each(["schema", "--version"])(
  "cowlab %s tells a full disk under standard output",
  (word) => {
    const { status, stderr } = spawnSync("sh", ["-c", `"${process.execPath}" "${bundledProgram()}" ${word} > /dev/full`], {
      cwd: ROOT,
      encoding: "utf8",
    });
    expect([status, stderr]).toEqual([2, "cowlab: standard output: no space left on device\n"]);
  },
);

test("the completion of bash knows verbs below verbs, lists and names with spaces", () => {
  writeFileSync(join(folder, "a file"), "");
  const script = `eval "$("${process.execPath}" "${bundledProgram()}" completion bash)"
    cd "${folder}"
    try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _cowlab; (IFS=,; echo "\${COMPREPLY[*]}"); }
    try cowlab image ex; try cowlab image export --fo; try cowlab image export --format oc; try cowlab run --drivers zfs,v; try cowlab run "a f"; try cowlab errno EXD`;
  const { stdout } = spawnSync("bash", ["-c", script], { encoding: "utf8" });
  expect(stdout).toBe("export\n--format\noci\nzfs,vfs\na file\nEXDEV\n");
});

test("a file without an end is not read for ever", () => {
  const path = join(folder, "long");
  writeFileSync(path, "x".repeat(100_000));
  expect(readWhole(path, 100_000)).toHaveLength(100_000);
  expect(() => readWhole(path, 99_999)).toThrow(/long: the file is longer than 99999 bytes/);
  if (process.platform === "linux")
    expect(() => readWhole("/dev/zero", 70_000)).toThrow("/dev/zero: the file is longer than 70000 bytes");
  expect(() => readWhole(folder, 1)).toThrow(`${folder}: it is a directory`);
});

test("a file of results is there whole or not at all", () => {
  const path = join(folder, "whole");
  writeFileSync(path, "old");
  const file = new WholeFile(path);
  file.write("ne");
  expect(readFileSync(path, "utf8")).toBe("old");
  file.write("w");
  file.close();
  expect(readFileSync(path, "utf8")).toBe("new");
  expect(() => new WholeFile(folder)).toThrow(/EISDIR/);
});

/** A file whose runs go on long after its first is done: each is short, since a signal is heard between two, and there are many. */
function endless(name: string): string {
  const path = scenario(name, "{ result: ok }");
  const numbers = Array.from({ length: 200 }, (_, at) => at).join(", ");
  const text = readFileSync(path, "utf8").replace("images:", `matrix: { n: [${numbers}] }\nimages:`);
  writeFileSync(path, `${text}  - { in: a, repeat: 5000, do: { stat: / } }\n`);
  return path;
}

test.runIf(process.platform !== "win32").each(["SIGINT", "SIGTERM"] as const)(
  "%s while a file of results is written ends the program by that signal, and leaves no part of the file",
  async (signal) => {
    const trace = join(folder, `${signal}.json`);
    writeFileSync(trace, "old");
    const child = spawn(process.execPath, [bundledProgram(), "run", endless(signal.toLowerCase()), "-o", `trace=${trace}`], {
      cwd: ROOT,
      stdio: "ignore",
    });
    const ended = once(child, "exit");
    while (!existsSync(`${trace}.part`) && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 10));
    child.kill(signal);
    expect(await ended).toEqual([null, signal]);
    expect(readdirSync(folder).filter((name) => name.startsWith(signal))).toEqual([`${signal}.json`]);
    expect(readFileSync(trace, "utf8")).toBe("old");
  },
);

test("a reader that goes away while a file of results is written leaves no part of it", () => {
  const trace = join(folder, "left.json");
  const words = [bundledProgram(), "run", endless("left"), "-o", `trace=${trace}`].map((word) => `"${word}"`).join(" ");
  const { stdout } = spawnSync("bash", ["-c", `"${process.execPath}" ${words} | head -c 4`], { cwd: ROOT, encoding: "utf8" });
  expect([stdout, readdirSync(folder).filter((name) => name.startsWith("left.json"))]).toEqual(["left", []]);
});

test("a copy of the program that no package.json stands above tells that its version is unknown", () => {
  const copy = mkdtempSync(join(tmpdir(), "cowlab-alone-"));
  try {
    // Out of its package nothing says that a .js file is a module. The version is told before any other file is loaded.
    copyFileSync(bundledProgram(), join(copy, "main.mjs"));
    const { status, stdout } = spawnSync(process.execPath, [join(copy, "main.mjs"), "--version"], {
      encoding: "utf8",
      timeout: 10_000,
    });
    expect([status, stdout]).toEqual([0, "unknown\n"]);
  } finally {
    rmSync(copy, { recursive: true });
  }
});
