import { describe, expect, test } from "vitest";
import { readArchive } from "../../src/node/archive.ts";
import { cleanName } from "../../src/scenario/archive.ts";
import { loadScenario } from "../../src/scenario/load.ts";
import { makeWorld } from "../../src/scenario/machine.ts";
import { type DriverRun, runScenario, type ScenarioRun } from "../../src/scenario/run.ts";
import { DRIVER_NAMES } from "../../src/scenario/schema.ts";
import { worldWithout } from "./world-without.ts";

const HEAD = `version: 1
name: small
about: A small one
drivers: [vfs, aufs]
host: { backing: tmpfs }
images:
  app:
    layers:
      - - { mkdir: /d }
        - { write: /d/f, size: 8KiB, content: random }
        - { write: /greeting, text: "hello" }
containers: { a: { image: app }, b: { image: app } }
`;

function run(steps: string, head: string = HEAD): ScenarioRun {
  return runScenario(loadScenario(`${head}${steps}`, "f.yaml"), { makeWorld: worldWithout("aufs") });
}

/** The answer of `measure: space_allocated`. */
interface MeasuredSpace {
  readonly value: { readonly space_allocated: number };
}

function first(result: ScenarioRun): DriverRun {
  const [driver] = result.drivers;
  if (driver === undefined) throw new Error("no driver ran");
  return driver;
}

describe("a scenario", () => {
  test("runs on the drivers that there are, and names the others", () => {
    const result = run("steps: []\n");
    expect(result.drivers.map((driver) => driver.id)).toEqual(["vfs"]);
    expect(result.missing).toEqual([{ id: "aufs", why: "not there yet" }]);
  });

  test("counts what each phase copied: two containers copy the image once each", () => {
    const { phases } = first(run("steps: []\n"));
    expect([phases.build.data_copied, phases.create.data_copied, phases.steps.data_copied]).toEqual([0, 2 * (8192 + 5), 0]);
  });

  test("gives each step its answer: a value, an error, or ok", () => {
    const { steps } = first(
      run(`steps:
  - { in: a, do: { read: /greeting } }
  - { in: a, do: { rename: /none, to: /b } }
  - { in: a, do: { mkdir: /new } }
  - { in: a, as: { uid: 1000, gid: 1000 }, do: { mkdir: /d/x } }
  - { in: b, do: { stat: /new } }
`),
    );
    expect(steps.map((step) => step.answer)).toEqual([
      { value: { data: "hello" } },
      { errno: "ENOENT" },
      { ok: true },
      { errno: "EACCES" },
      { errno: "ENOENT" },
    ]);
  });

  test("writes through descriptors that it opened by name, until they are closed", () => {
    const { steps } = first(
      run(`steps:
  - { in: a, do: { open: /greeting, flags: O_RDWR, as: f } }
  - { in: a, do: { pwrite: $f, offset: 1, text: "u" } }
  - { in: a, do: { pread: $f, offset: 0, size: 100 } }
  - { in: a, do: { close: $f } }
  - { in: a, do: { pwrite: $f, offset: 0, size: 1 } }
`),
    );
    expect(steps.map((step) => step.answer)).toEqual([
      { ok: true },
      { value: 1 },
      { value: { data: "hullo" } },
      { ok: true },
      { errno: "EBADF" },
    ]);
  });

  test("judges an expectation of a driver's own in the place of the one of each", () => {
    const { verdicts } = first(
      run(`steps:
  - { in: a, do: { rmdir: /d }, expect: { each: { result: ok, data_copied: 0 }, vfs: { error: ENOTEMPTY } } }
  - { in: a, do: { rmdir: /d }, expect: { error: EBUSY } }
expect: { data_copied_at_create: { min: 1 }, calls: 3 }
`),
    );
    expect(verdicts.map(({ what, ok, expected, found }) => [what, ok, expected, found])).toEqual([
      ["data_copied", true, "0 B", "0 B"],
      ["answer", true, "ENOTEMPTY", "ENOTEMPTY"],
      ["answer", false, "EBUSY", "ENOTEMPTY"],
      ["data_copied_at_create", true, "at least 1 B", "16.0 KiB (16,394 B)"],
      ["calls", false, "3", "2"],
    ]);
  });

  test("stops a driver at the layer that cannot be built, and says why", () => {
    const { stopped, verdicts } = first(
      run("steps:\n  - { in: a, do: { stat: /d }, expect: { result: ok } }\n", HEAD.replace("mkdir: /d", "mkdir: /x/y")),
    );
    expect(stopped).toMatchObject({
      phase: "build",
      where: "layer app:1",
      why: "mkdir /x/y: ENOENT: there is no folder /x yet; { sh: mkdir -p /x } makes it",
      place: { line: 9 },
    });
    expect(verdicts).toMatchObject([{ ok: false, reached: false }]);
  });

  test("shows docker diff of a container", () => {
    const { steps } = first(run("steps:\n  - { in: a, do: { unlink: /d/f } }\n  - { do: { diff: a } }\n"));
    expect(steps[1]?.answer).toEqual({ value: ["C /d", "D /d/f"] });
  });

  test("gives a file's space back at its unlink, whatever a step has shown of it before", () => {
    const freed = `steps:
  - { in: a, do: { open: /d/f, flags: O_RDWR, as: f } }
  - { in: a, do: { stat: $f } }
  - { in: a, do: { close: $f } }
  - { in: a, do: { stat: /d/f } }
  - { in: a, do: { unlink: /d/f } }
`;
    expect(first(run(freed)).steps[4]?.figures).toMatchObject({ space_allocated: -8192, inodes_allocated: -1 });
  });

  test("removes containers and layers by the driver, in any order, and once", () => {
    const { steps, stopped } = first(
      run(`steps:
  - { do: { remove: app:1 } }
  - { do: { remove: a } }
  - { do: { remove: a }, expect: { message: has been removed } }
  - { do: { diff: b } }
  - { in: b, do: { stat: /greeting }, expect: { result: ok } }
  - { in: a, do: { stat: /greeting } }
`),
    );
    const gone = { errno: "a has been removed" };
    expect(steps.slice(0, 3).map(({ answer }) => answer)).toEqual([{ ok: true }, { ok: true }, gone]);
    // The layer's tree, a copy of it in each container: 8 KiB and a page each, folders take none on tmpfs.
    expect(steps.slice(0, 2).map(({ figures }) => figures.space_allocated)).toEqual([-3 * 4096, -3 * 4096]);
    expect(steps[3]?.answer).toMatchObject({ errno: expect.stringContaining("no such file or directory") });
    expect(stopped).toMatchObject({ phase: "steps", where: "step 6", why: "a has been removed" });
  });

  test.each(DRIVER_NAMES)("removes a container of %s with all that it took", (driver) => {
    const ext4 = HEAD.replace("drivers: [vfs, aufs]", `drivers: [${driver}]`).replace(
      "{ backing: tmpfs }",
      "{ backing: ext4, device: 2GiB }",
    );
    const text = `${ext4}steps:
  - { in: a, do: { write: /d/big, size: 4MiB, content: random } }
  - { in: a, do: { sync: filesystem } }
  - { do: { measure: space_allocated } }
  - { do: { remove: a } }
  - { do: { tick: 60s } }
  - { do: { measure: space_allocated } }
  - { in: b, do: { read: /greeting } }
`;
    const result = runScenario(loadScenario(text, "f.yaml"), { makeWorld });
    const { steps, stopped } = first(result);
    expect([stopped, steps[3]?.answer, steps[6]?.answer]).toEqual([undefined, { ok: true }, { value: { data: "hello" } }]);
    const [full, empty] = [steps[2], steps[5]].map(
      (step) => (step?.answer as MeasuredSpace | undefined)?.value.space_allocated ?? 0,
    );
    expect((full ?? 0) - (empty ?? 0)).toBeGreaterThanOrEqual(4 * 2 ** 20);
  });

  test("judges an error by words of its text", () => {
    const steps = (words: string): string =>
      `steps:\n  - { do: { diff: a } }\n  - { do: { remove: a } }\n  - { do: { diff: a }, expect: { message: ${words} } }\n`;
    expect(first(run(steps("been removed"))).verdicts).toMatchObject([{ ok: true, expected: "… been removed …" }]);
    expect(first(run(steps("busy"))).verdicts).toMatchObject([{ ok: false, found: "a has been removed" }]);
  });

  test("lets time pass when it is told to", () => {
    const { steps } = first(run("steps:\n  - { do: { tick: 5s } }\n"));
    expect(steps[0]?.figures.modelled_time).toBe(5e9);
  });

  test("gives the same result twice, and other random bytes for another seed", () => {
    const steps = "steps:\n  - { in: a, do: { read: /d/f } }\n";
    const answer = (head: string): string => JSON.stringify(first(run(steps, head)).steps);
    expect(answer(HEAD)).toBe(answer(HEAD));
    expect(answer(`${HEAD}seed: 2\n`)).not.toBe(answer(HEAD));
  });
});

describe("an archive of a root filesystem", () => {
  const archive = new URL("../data/base.tar.gz", import.meta.url).pathname;

  test("becomes an image's first layer, with links, long names and content", async () => {
    const text = `version: 1\nname: n\nabout: a\ndrivers: [vfs]\nhost: { backing: tmpfs }\nimages: { base: { from: base.tar.gz } }\ncontainers: { a: { image: base } }\nsteps:\n  - { in: a, do: { tree: / } }\n`;
    const archives = new Map([["base.tar.gz", await readArchive(archive)]]);
    const result = first(runScenario(loadScenario(text, "f.yaml"), { makeWorld, archives }));
    expect(result.stopped).toBeUndefined();
    const answer = result.steps[0]?.answer;
    const rows = (answer !== undefined && "value" in answer ? answer.value : []) as readonly (readonly unknown[])[];
    const row = (path: string): readonly unknown[] | undefined => rows.find((one) => one[0] === path);
    expect(row("/etc/motd")?.slice(1, 7)).toMatchObject(["file", "0644", 0, 0, 1, { len: 6 }]);
    expect(row("/usr/bin/link")?.[6]).toBe("tool");
    expect(row("/usr/bin/tool")?.[5]).toBe(2);
    expect(row("/usr/bin/tool2")?.[5]).toBe(2);
    expect(rows.some((one) => /long directory name.*\/ünïcode\.txt$/.test(String(one[0])))).toBe(true);
    expect(rows.filter((one) => one[1] === "file")).toHaveLength(11);
  });

  test.each([
    ["./etc/motd", "/etc/motd"],
    ["/etc//./motd", "/etc/motd"],
    ["a/../b", "/b"],
    ["/../etc", "/etc"],
    ["../etc", undefined],
    ["a/../../etc", undefined],
    ["a\0b", undefined],
  ])("keeps the name %j within its root", (name, path) => {
    expect(cleanName(name)).toBe(path);
  });
});

describe("a step that is repeated", () => {
  test("is done as often as it says, and its figures are those of all times together", () => {
    const { steps } = first(
      run(`steps:
  - { in: a, repeat: 100, do: { append: /log, text: "a line\\n" } }
  - { in: a, do: { stat: /log } }
`),
    );
    expect(steps[0]?.figures).toMatchObject({ calls: 100, bytes_written: 700 });
    expect(steps[1]?.answer).toMatchObject({ value: { size: 700 } });
  });

  test("ends where one time fails, and answers what that one did", () => {
    const { steps } = first(
      run(`steps:
  - { in: a, repeat: 10, do: { sh: mkdir /d/e } }
  - { in: a, repeat: 10, do: { rmdir: /d/e } }
`),
    );
    expect(steps[0]?.shell?.stderr).toContain("File exists");
    expect([steps[1]?.answer, steps[1]?.figures.calls]).toEqual([{ errno: "ENOENT" }, 2]);
  });

  test("cannot be done no time", () => {
    expect(() => run("steps:\n  - { in: a, repeat: 0, do: { mkdir: /e } }\n")).toThrow(
      "f.yaml:14:22: expected once or more often",
    );
  });
});
