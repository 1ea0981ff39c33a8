import { Ajv } from "ajv";
import { describe, expect, test } from "vitest";
import { loadScenario, loadScenarios } from "../../src/scenario/load.ts";
import { makeWorld } from "../../src/scenario/machine.ts";
import { ScenarioError } from "../../src/scenario/problem.ts";
import { type RunEvent, runScenario, type ScenarioRun } from "../../src/scenario/run.ts";
import { jsonSchema } from "../../src/scenario/schema.ts";

function file(drivers: string, rest: string): string {
  return `version: 1
name: f
about: a
drivers: [${drivers}]
host: { backing: ext4, device: 1GiB }
images: { i: { layers: [{ sh: "mkdir -p /d/e && echo one > /d/f && chmod 600 /d/f" }] } }
containers: { c: { image: i } }
${rest}`;
}

function run(drivers: string, rest: string, onEvent?: (event: RunEvent) => void): ScenarioRun {
  return runScenario(loadScenario(file(drivers, rest), "f.yaml"), { makeWorld, onEvent });
}

function problems(rest: string): string {
  try {
    loadScenarios(file("overlay2", rest), "f.yaml");
  } catch (error) {
    if (error instanceof ScenarioError) return error.message;
    throw error;
  }
  return "";
}

describe("a script in a scenario", () => {
  test("pays for mv's fall-back where the rename gives EXDEV, and not where it works", () => {
    const { drivers } = run(
      "overlay2, btrfs",
      `steps: [{ id: m, in: c, do: { sh: "mv /d /g && cat /g/f" }, expect: { value: one } }]`,
    );
    const [overlay2, btrfs] = drivers.map(({ steps }) => steps[0]?.figures);
    expect(drivers.map(({ verdicts }) => verdicts.map(({ ok }) => ok))).toEqual([[true], [true]]);
    expect(overlay2?.calls).toBeGreaterThan(50);
    expect(overlay2?.refused).toBeGreaterThan(3);
    expect(btrfs?.calls).toBeLessThan(10);
  });

  test("tells its status, what it wrote and what it complained about; another status than 0 is a failure", () => {
    const { drivers } = run(
      "overlay2",
      `steps:
  - { id: a, in: c, do: { sh: "echo x; mv /nothing /y" }, expect: { status: 1, stdout: x, stderr: "cannot stat '/nothing'", message: exit 1 } }
  - { id: b, in: c, do: { sh: "mv /nothing /y" }, expect: { result: ok } }`,
    );
    expect(drivers[0]?.verdicts.map(({ what, ok }) => [what, ok])).toEqual([
      ["answer", true],
      ["status", true],
      ["stdout", true],
      ["stderr", true],
      ["answer", false],
    ]);
  });

  test("tells of each call, in order, with the driver, the phase and the step at work", () => {
    const calls: string[] = [];
    run("overlay2", `steps: [{ id: m, in: c, do: { sh: "mv /d /g" } }]`, ({ driver, phase, step, stamped: { event } }) => {
      if (event.op === "call" && phase === "steps")
        calls.push(`${driver} ${step} ${event.process}: ${event.call} = ${event.result}`);
    });
    expect(calls.slice(0, 3)).toEqual([
      "overlay2 0 c: renameat2 = EXDEV",
      "overlay2 0 c: openat = ENOENT",
      "overlay2 0 c: newfstatat = 0",
    ]);
  });

  test("is refused where it has an unknown command, option or variable, or is no command line", () => {
    expect(problems(`steps: [{ in: c, do: { sh: "mvv /a /b" } }]`)).toBe(
      'f.yaml:8:28: this shell has no command "mvv"; did you mean "mv"?',
    );
    expect(problems(`steps: [{ in: c, do: { sh: "rm --recursiv /a" } }]`)).toMatch(
      /rm: no option --recursiv is known; did you mean "--recursive"\?/,
    );
    expect(problems(`vars: { size: 1 }\nsteps: [{ in: c, do: { sh: "truncate -s $siz /a" } }]`)).toMatch(
      /no variable is called "\$siz"; did you mean "\$size"\?/,
    );
    expect(problems(`steps: [{ in: c, do: { sh: "cat /a &" } }]`)).toMatch(
      /a command in the background is not part of this shell/,
    );
    expect(problems(`steps: [{ in: c, do: { sh: "echo 'a" } }]`)).toMatch(/quote ' is not closed/);
  });

  test("reads the file's variables as $name", () => {
    const { drivers } = run(
      "vfs",
      `vars: { size: 2*4KiB }\nsteps: [{ in: c, do: { sh: "truncate -s $size /x && stat -c %s /x" }, expect: { value: "8192" } }]`,
    );
    expect(drivers[0]?.verdicts).toMatchObject([{ ok: true }]);
  });
});

describe("expectations", () => {
  test("under warn are judged, and do not take the place of those under expect", () => {
    const { drivers } = run(
      "vfs",
      `steps: [{ in: c, do: { sh: "true" }, expect: { each: { calls: 0 } }, warn: { calls: 3, vfs: { refused: { min: 1 } } } }]`,
    );
    expect(drivers[0]?.verdicts.map(({ what, ok, soft }) => [what, ok, soft])).toEqual([
      ["calls", true, false],
      ["calls", false, true],
      ["refused", false, true],
    ]);
  });

  test.each(["100 ~10%", "100 ±10%", "100+-10%", "{ min: 90, max: 110 }", "10*11", "100"])("reads the amount %s", (text) => {
    const [scenario] = loadScenarios(file("vfs", `steps: [{ in: c, do: { sh: "true" }, expect: { calls: ${text} } }]`), "f.yaml");
    const what = scenario?.steps[0]?.expectations[0]?.what;
    const bounds = text === "100" ? { min: 100, max: 100 } : text === "10*11" ? { min: 110, max: 110 } : { min: 90, max: 110 };
    expect(what).toMatchObject({ kind: "amount", bounds });
  });
});

describe("a matrix", () => {
  const text = file(
    "vfs",
    `matrix: { size: [4KiB, 2*4KiB], n: [1, 2] }\nvars: { all: $size*$n }\nsteps: [{ in: c, do: { truncate: /d/f, size: $all } }]`,
  );

  test("makes a scenario of every combination, the last parameter the fastest", () => {
    expect(loadScenarios(text, "f.yaml").map(({ parameters }) => parameters)).toEqual([
      { size: "4KiB", n: "1" },
      { size: "4KiB", n: "2" },
      { size: "2*4KiB", n: "1" },
      { size: "2*4KiB", n: "2" },
    ]);
    expect(loadScenarios(text, "f.yaml").map(({ steps }) => steps[0]?.operation)).toMatchObject(
      [4096, 8192, 8192, 16384].map((len) => ({ step: { len } })),
    );
  });

  test("gives way to values from outside, for its parameters and for variables", () => {
    const overrides = new Map([
      ["n", ["3"]],
      ["all", ["1", "2"]],
    ]);
    expect(loadScenarios(text, "f.yaml", overrides).map(({ parameters }) => parameters)).toEqual([
      { size: "4KiB", n: "3", all: "1" },
      { size: "4KiB", n: "3", all: "2" },
      { size: "2*4KiB", n: "3", all: "1" },
      { size: "2*4KiB", n: "3", all: "2" },
    ]);
    expect(() => loadScenarios(text, "f.yaml", new Map([["siz", ["1"]]]))).toThrow(
      /no parameter or variable is called "siz"; did you mean "size"\?/,
    );
  });

  test("is refused where a value is none", () => {
    expect(problems(`matrix: { n: [1, 4 Kb] }\nsteps: []`)).toMatch(/^f\.yaml:8:18: n: unknown unit "Kb"/);
    expect(problems(`matrix: { n: 3 }\nsteps: []`)).toMatch(/^f\.yaml:8:14: expected a list of values, found 3/);
  });
});

describe("the host", () => {
  test("mounts its backing filesystem with the options that are given, so that containers can have sizes", () => {
    const text = `version: 1
name: f
about: a
drivers: [overlay2]
host: { backing: xfs, mount: pquota, device: 1GiB, docker: "20.10", kernel: "6.18" }
images: { i: { layers: [{ mkdir: /d }] } }
containers: { c: { image: i, size: 2MiB } }
steps: [{ in: c, do: { write: /d/f, size: 3MiB }, expect: { error: ENOSPC } }]`;
    const { drivers } = runScenario(loadScenario(text, "f.yaml"), { makeWorld });
    expect(drivers[0]).toMatchObject({ stopped: undefined, verdicts: [{ ok: true }] });
  });

  test("is refused with a Docker or a kernel that is not known", () => {
    expect(problems("steps: []")).toBe("");
    expect(() => loadScenario(file("vfs", "steps: []").replace("device: 1GiB", 'docker: "1.9"'), "f.yaml")).toThrow(
      /no Docker "1.9" is known; known: 17.06, 18.09, 20.10, 24.0, 29/,
    );
    expect(() => loadScenario(file("vfs", "steps: []").replace("device: 1GiB", 'kernel: "6.19"'), "f.yaml")).toThrow(
      /no kernel "6.19" is known; known: the releases from 4.0 to 6.18/,
    );
  });
});

test("the JSON Schema accepts what the language accepts, and refuses unknown keys", () => {
  const validate = new Ajv({ strict: false, allErrors: true }).compile(jsonSchema() as object);
  const good = {
    version: 1,
    name: "f",
    about: "a",
    matrix: { n: [1, "4KiB"] },
    host: { docker: "20.10", mount: "pquota" },
    images: { i: { layers: [{ sh: "mkdir /d" }] } },
    containers: { c: { image: "i", size: "$n" } },
    steps: [{ in: "c", do: { sh: "mv /a /b" }, expect: { status: 1 }, warn: { overlay2: { stderr: "x" } } }],
    warn: { calls: { max: 3 } },
  };
  expect(validate(good)).toBe(true);
  expect(validate({ ...good, matrx: {} })).toBe(false);
  expect(validate({ ...good, steps: [{ do: { shh: "x" } }] })).toBe(false);
});
