import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { compare, type Manner } from "../../src/cli/compare.ts";
import { doctor } from "../../src/cli/doctor.ts";
import { driversText } from "../../src/cli/drivers.ts";
import { UsageError } from "../../src/cli/exit.ts";
import { errno, explain, rule } from "../../src/cli/explain.ts";
import { init, validate } from "../../src/cli/files.ts";
import { diff, merge, report } from "../../src/cli/results.ts";
import { overridesOf, type ScenarioOptions } from "../../src/cli/settings.ts";
import { seedFor, shardOf } from "../../src/cli/shard.ts";
import { bundledProgram } from "./bundle.ts";

const folder = mkdtempSync(join(tmpdir(), "cowlab-verbs-"));
afterAll(() => rmSync(folder, { recursive: true }));

const FILE = join(folder, "f.yaml");
writeFileSync(
  FILE,
  `version: 1
name: f
about: a
drivers: [vfs, overlay2]
host: { backing: tmpfs }
matrix: { size: [4KiB, 64KiB], n: [1, 2, 3] }
images: { i: { layers: [[{ mkdir: /d }, { write: /d/f, size: $n*$size, content: random }]] } }
containers: { c: { image: i } }
steps:
  - { id: mv, in: c, do: { sh: "mv /d /g" } }
compare: { metrics: [data_copied_at_create], reference: vfs }
`,
);
const RUN: Manner = { ranked: false, sweeps: false };
const COMPARE: Manner = { ranked: true, sweeps: false };
const SWEEP: Manner = { ranked: false, sweeps: true };

async function cowlab(
  options: ScenarioOptions,
  manner: Manner = RUN,
  environment: Record<string, string> = {},
): Promise<{ code: number; out: string }> {
  let out = "";
  const code = await compare([FILE], { quiet: false, ...options }, manner, { write: (text) => void (out += text), environment });
  return { code, out };
}

describe("run and compare", () => {
  test("run every combination of a matrix; compare puts the least first", async () => {
    const { out } = await cowlab({ parameter: ["n=1", "size=4KiB"] });
    expect(out.split("\n")[0]).toBe("f · size=4KiB · n=1");
    const order = (text: string): string[] => [...text.matchAll(/^(vfs|overlay2) /gm)].map(([, name]) => name ?? "");
    expect(order(out)).toEqual(["vfs", "overlay2"]);
    expect(order((await cowlab({ parameter: ["n=1", "size=4KiB"] }, COMPARE)).out)).toEqual(["overlay2", "vfs"]);
  });

  test("annotate failures in GitHub Actions although no format is chosen, and write the step summary", async () => {
    const failing = join(folder, "failing.yaml");
    writeFileSync(failing, `${readFileSync(FILE, "utf8")}expect: { vfs: { copy_ups: 5 } }\n`);
    const summary = join(folder, "summary.md");
    const environment = { GITHUB_ACTIONS: "true", GITHUB_STEP_SUMMARY: summary };
    const run = async (options: ScenarioOptions): Promise<string> => {
      let out = "";
      const one = { parameter: ["n=1", "size=4KiB"], ...options };
      expect(await compare([failing], one, RUN, { write: (text) => void (out += text), environment })).toBe(1);
      return out;
    };
    const annotation = `::error file=${failing},line=12,col=18,title=f · size=4KiB · n=1 on vfs::copy_ups: expected 5, found 0\n`;
    const both = await run({});
    expect(both.slice(0, 20)).toBe("f · size=4KiB · n=1\n");
    expect(both.slice(-annotation.length)).toBe(annotation);
    expect(readFileSync(summary, "utf8")).toContain("| vfs |");
    expect(await run({ format: "github" })).toBe(annotation);
    expect(await run({ format: "table" })).not.toContain("::error");
  });

  test("take metrics and a reference from the command line, and refuse unknown ones", async () => {
    const { out } = await cowlab({ parameter: ["n=1", "size=4KiB"], metric: ["calls,copy_ups"], reference: "overlay2" });
    expect(out).toMatch(/vs\ndriver +calls +copy-ups +overlay2 /);
    await expect(cowlab({ metric: ["cals"] })).rejects.toThrow('unknown metric "cals"; did you mean "calls"?');
    await expect(cowlab({ reference: "zfs" })).rejects.toThrow(UsageError);
    await expect(cowlab({ format: "jsn" })).rejects.toThrow('unknown format "jsn"; did you mean "json"?');
    await expect(cowlab({ parameter: ["size"] })).rejects.toThrow("-P takes NAME=VALUES");
  });

  test("give the same bytes in another process, with other settings of time zone, language and threads", async () => {
    const one = (await cowlab({ json: true })).out;
    const { spawnSync } = await import("node:child_process");
    const words = [bundledProgram(), "run", FILE, "--json", "--jobs", "2", "--quiet"];
    const env = { ...process.env, TZ: "Pacific/Kiritimati", LANG: "tr_TR.UTF-8", LC_ALL: "tr_TR.UTF-8" };
    const { stdout, stderr } = spawnSync(process.execPath, words, {
      encoding: "utf8",
      env,
      cwd: new URL("../..", import.meta.url),
    });
    expect(stderr).toBe("");
    expect(stdout === one).toBe(true);
  });

  // COWLAB_NODES: other versions of Node on this machine, separated by colons.
  test.each((process.env["COWLAB_NODES"] ?? "").split(":").filter((path) => path !== ""))(
    "give the same bytes on %s",
    async (node) => {
      const one = (await cowlab({ json: true })).out;
      const { spawnSync } = await import("node:child_process");
      const words = [bundledProgram(), "run", FILE, "--json", "--jobs", "1", "--quiet"];
      const { stdout, stderr } = spawnSync(node, words, { encoding: "utf8", cwd: new URL("../..", import.meta.url) });
      expect(stderr).toBe("");
      expect(stdout === one).toBe(true);
    },
  );

  test("write events of all scenarios to files while they run", async () => {
    const [events, trace, blocks] = ["e.ndjson", "t.json", "b.svg"].map((name) => join(folder, name));
    await cowlab({ parameter: ["n=1"], output: [`ndjson=${events}`, `trace=${trace}`, `blocks=${blocks}`] });
    expect(readFileSync(String(events), "utf8")).toContain('"call":"renameat2"');
    expect(JSON.parse(readFileSync(String(trace), "utf8"))).toHaveProperty("traceEvents");
    expect(readFileSync(String(blocks), "utf8")).toContain("</svg>");
  });
});

describe("a sweep", () => {
  test.each([1, 2, 4, 7])("in %i parts is, merged, the same bytes as in one", async (count) => {
    const whole = (await cowlab({ json: true }, SWEEP)).out;
    const paths: string[] = [];
    for (let part = 1; part <= count; part++) {
      const path = join(folder, `part-${count}-${part}.json`);
      await cowlab({ shard: `${part}/${count}`, save: path, quiet: true }, SWEEP);
      paths.unshift(path);
    }
    expect(merge(paths) === whole).toBe(true);
    if (count > 1) expect(() => merge(paths.slice(1))).toThrow(`part ${count} of ${count} is missing`);
  });

  test("knows its part from Kubernetes and Slurm, and says what is missing", () => {
    expect(shardOf(undefined, { JOB_COMPLETION_INDEX: "2", JOB_COMPLETIONS: "5" })).toEqual({ index: 2, count: 5 });
    expect(shardOf(undefined, { SLURM_ARRAY_TASK_ID: "7", SLURM_ARRAY_TASK_COUNT: "4", SLURM_ARRAY_TASK_MIN: "5" })).toEqual({
      index: 2,
      count: 4,
    });
    const steps = { SLURM_ARRAY_TASK_COUNT: "3", SLURM_ARRAY_TASK_MIN: "2", SLURM_ARRAY_TASK_STEP: "2" };
    expect(shardOf(undefined, { SLURM_ARRAY_TASK_ID: "6", ...steps })).toEqual({ index: 2, count: 3 });
    expect(() => shardOf(undefined, { COWLAB_SHARD: "x" })).toThrow(
      'COWLAB_SHARD takes k/n with k from 1 to n, such as 2/8, not "x"',
    );
    expect(shardOf("1/1", { JOB_COMPLETION_INDEX: "2", JOB_COMPLETIONS: "5" })).toEqual({ index: 0, count: 1 });
    expect(shardOf(undefined, {})).toEqual({ index: 0, count: 1 });
    expect(() => shardOf(undefined, { JOB_COMPLETION_INDEX: "2" })).toThrow("JOB_COMPLETIONS is not");
    expect(() => shardOf("3/2", {})).toThrow("--shard takes k/n");
  });

  test("names the values of a range as they would be written", () => {
    expect(overridesOf(["size=4KiB..4MiB*16", "count=1..3+1"])).toEqual(
      new Map([
        ["size", ["4KiB", "64KiB", "1MiB"]],
        ["count", ["1", "2", "3"]],
      ]),
    );
  });

  test("seeds each run from its number in the whole: no two alike among many", () => {
    expect(new Set(Array.from({ length: 10_000 }, (_, index) => seedFor(7, index))).size).toBe(10_000);
    expect(seedFor(7, 0)).not.toBe(seedFor(8, 0));
  });
});

describe("saved runs", () => {
  test("are shown in other formats, and differ where they do", async () => {
    const [one, other] = [join(folder, "one.json"), join(folder, "other.json")];
    await cowlab({ save: one, parameter: ["n=1"] });
    await cowlab({ save: other, parameter: ["n=1"], seed: "99" });
    expect(report(one, { format: "md" }, {}).text).toMatch(/^## f · size=4KiB · n=1/);
    expect(diff([one, one], {})).toEqual({ text: "no difference\n", code: 0 });
    expect(diff([one, other], { tolerance: "10%" }).code).toBe(0);
    expect(() => report(FILE, {}, {})).toThrow("not a JSON document");
  });

  test("that lack a part or have it of another kind are refused with its place; keys of a later version are passed over", async () => {
    const whole = join(folder, "whole-run.json");
    await cowlab({ save: whole, parameter: ["n=1", "size=4KiB"] });
    const broken = join(folder, "broken.json");
    const changed = (text: string, part: string): void => {
      writeFileSync(broken, readFileSync(whole, "utf8").replace(text, part));
      report(broken, { format: "md" }, {});
    };
    const place = "broken.json: not a saved run as this version reads it: ";
    expect(() => changed('"data_copied":', '"copied":')).toThrow(
      `${place}scenarios[0].drivers[0].phases.build.data_copied is missing`,
    );
    expect(() => changed('"ok": true', '"huh": true')).toThrow(
      `${place}scenarios[0].drivers[0].steps[0].answer is none of its forms`,
    );
    expect(() => changed('"columns": [', '"columns": [null,')).toThrow(`${place}scenarios[0].columns[0] is not a mapping`);
    expect(() => changed('"unit": "bytes"', '"unit": "miles"')).toThrow(`${place}scenarios[0].columns[0].unit is none of those`);
    expect(() => changed('"seed": 1', '"seed": 1e400')).toThrow(`${place}scenarios[0].seed is not a whole number`);
    expect(() => changed('"version": 1', '"version": 1, "shard": { "index": -1, "count": 2, "numbers": [] }')).toThrow(
      `${place}shard.index is below 0`,
    );
    expect(() => changed('"version": 1', '"version": 1, "later": {}')).not.toThrow();
  });

  test("are no parts of one sweep where a run is missing between them", async () => {
    const [one, other] = [join(folder, "of-six.json"), join(folder, "of-two.json")];
    await cowlab({ save: one, shard: "1/2" }, SWEEP);
    await cowlab({ save: other, shard: "2/2", parameter: ["n=1"] }, SWEEP);
    expect(() => merge([one, other])).toThrow("parts of different sweeps: together they have no run 4");
  });
});

test("every document begins with its format and version", async () => {
  const saved = join(folder, "told.json");
  const { out } = await cowlab({ save: saved, json: true, parameter: ["n=1", "size=4KiB"] });
  const documents = [
    out,
    report(saved, { json: true }, {}).text,
    diff([saved, saved], { json: true }).text,
    await explain(FILE, { step: "mv", driver: "vfs", json: true }, 80),
    driversText(true),
    doctor(true, {}),
  ];
  for (const text of documents) expect(text).toMatch(/^\{\n {2}"format": "cowlab-[a-z]+",\n {2}"version": 1,\n/);
});

describe("explanations", () => {
  test("of a step have its calls, the rule and where it comes from", async () => {
    const text = await explain(FILE, { step: "mv", driver: "overlay2" }, 80);
    expect(text).toMatch(/renameat2\("\/d", "\/g", RENAME_NOREPLACE\) = EXDEV/);
    expect(text).toMatch(/ovl\.rename\.lower-dir/);
    expect(text).toMatch(/source: fs\/overlayfs\/dir\.c/);
    const json = JSON.parse(await explain(FILE, { step: "1", driver: "vfs", json: true }, 80)) as {
      events: unknown[];
      rules: unknown[];
    };
    expect([json.events.length > 0, json.rules]).toEqual([true, []]);
    await expect(explain(FILE, { step: "mw", driver: "vfs" }, 80)).rejects.toThrow('did you mean "mv"?');
  });

  test("are of the driver with the id that is asked for, where several have its name", async () => {
    const path = join(folder, "twice.yaml");
    const drivers = "[overlay2, { id: old, driver: overlay2 }, { id: a, driver: vfs }, { id: b, driver: vfs }]";
    writeFileSync(path, readFileSync(FILE, "utf8").replace("[vfs, overlay2]", drivers).replace("reference: vfs", "reference: a"));
    expect(await explain(path, { step: "mv", driver: "overlay2" }, 80)).toMatch(/^f.*step mv on overlay2:/);
    expect(await explain(path, { step: "mv", driver: "b" }, 80)).toMatch(/^f.*step mv on b:/);
    await expect(explain(path, { step: "mv", driver: "vfs" }, 80)).rejects.toThrow('not "vfs"; the file has a, b');
  });

  test("of errors and rules are found by name and number", () => {
    expect(errno("18", 80)).toMatch(/^EXDEV \(18\): Invalid cross-device link\n\novl\.rename/);
    expect(errno("enoent", 80)).toBe("ENOENT (2): No such file or directory\n");
    expect(() => errno("EXDEF", 80)).toThrow('did you mean "EXDEV"?');
    expect(rule("ovl.whiteout", 60)).toMatch(/^ovl\.whiteout: /);
    expect(() => rule("ovl.witeout", 80)).toThrow('did you mean "ovl.whiteout"?');
  });
});

describe("files", () => {
  test("begun by init are valid, hold, and are not written over", async () => {
    const path = join(folder, "begun.yaml");
    expect(init(path)).toContain("written");
    expect(() => init(path)).toThrow("is there already");
    expect(await validate([path], {})).toMatchObject({ code: 0, err: "" });
    let out = "";
    expect(await compare([path], {}, RUN, { write: (text) => void (out += text), environment: {} })).toBe(0);
    expect(out).toContain("my-first");
  });

  test("that are wrong have every problem listed, and the good ones beside them too", async () => {
    const path = join(folder, "wrong.yaml");
    writeFileSync(path, "version: 1\nname: w\nabout: a\nstep: []\n");
    const { code, out, err } = await validate([FILE, path], {});
    expect([code, out]).toEqual([2, `${FILE}: f, 1 step, 12 runs\n`]);
    expect(err).toContain(`${path}:4:1: unknown key "step"; did you mean "steps"?`);
  });
});
