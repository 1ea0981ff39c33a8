import { describe, expect, test, vi } from "vitest";
import { Task } from "../../sim/vfs/task.ts";
import { type CommandResult, runReplayCommand } from "../../src/replay/command.ts";

const HEADER = '{"trace":1,"name":"t","target":"vfs","backing":"tmpfs"}';
const LAYER = '{"lab":"layer","name":"a"}';

function run(texts: Record<string, string[]>, json = false): CommandResult {
  const files = {
    find: (path: string) => (path === "." ? Object.keys(texts) : Object.keys(texts).filter((name) => name === path)),
    read: (path: string) => `${(texts[path] ?? []).join("\n")}\n`,
  };
  return runReplayCommand(["."], { files, json });
}

describe("the replay command", () => {
  test("exits 0 when every recorded result agrees", () => {
    const mkdir = '{"on":"a","call":"mkdir","path":"/d","result":{"ok":true}}';
    expect(run({ f: [HEADER, LAYER, mkdir] })).toEqual({ text: "agree 1 of 1 steps in 1 traces\n", exitCode: 0 });
  });

  test("exits 4 and shows file, line, step and both results when one differs", () => {
    const mkdir = '{"on":"a","call":"mkdir","path":"/d","result":{"errno":"ENOSPC"}}';
    expect(run({ f: [HEADER, LAYER, mkdir] })).toEqual({
      text: `f:3: {"on":"a","call":"mkdir","path":"/d"}
  expected {"errno":"ENOSPC"}
  got      {"ok":true}
agree 0 of 1 steps in 1 traces
`,
      exitCode: 4,
    });
  });

  test("counts a trace of a driver that is not there as differing, in one line", () => {
    const header = '{"trace":1,"target":"unionfs","backing":"ext9"}';
    const sync = '{"on":"a","call":"sync","result":{"ok":true}}';
    expect(run({ f: [header, LAYER, sync, sync], g: [header, LAYER, sync] })).toEqual({
      text: "cannot run unionfs on ext9: 2 traces, 3 steps\nagree 0 of 3 steps in 2 traces\n",
      exitCode: 4,
    });
  });

  test("exits 4 for a trace without results that cannot be run, or not to its end", () => {
    const header = '{"trace":1,"target":"unionfs","backing":"ext9"}';
    expect(run({ f: [header, LAYER] })).toEqual({
      text: "cannot run unionfs on ext9: 1 trace, 0 steps\nagree 0 of 0 steps in 1 traces\n",
      exitCode: 4,
    });
    const layers = Array.from({ length: 140 }, (_, at) => `{"lab":"layer","name":"l${at + 1}","parent":"l${at}"}`);
    const deep = run({ f: ['{"trace":1,"target":"overlay2","backing":"ext4"}', '{"lab":"layer","name":"l0"}', ...layers] });
    expect(deep).toEqual({
      text: "cannot run overlay2 on ext4 (max depth exceeded): 1 trace, 0 steps\nagree 0 of 0 steps in 1 traces\n",
      exitCode: 4,
    });
    expect(run({ f: [HEADER, LAYER] }).exitCode).toBe(0);
  });

  test("makes a step without a result and does not compare it", () => {
    const steps = [
      '{"on":"a","call":"mkdir","path":"/d"}',
      '{"on":"a","call":"readdir","path":"/","result":{"value":[["d","dir"]]}}',
    ];
    expect(run({ f: [HEADER, LAYER, ...steps] }).text).toBe("agree 1 of 1 steps in 1 traces\n");
  });

  test.each([
    ["6.18.44", 3],
    ["6.1.176", 2],
    ["2.6.32", 3],
  ])("runs on the kernel that the header names, %s, or on the default one where that is none of these", (kernel, agreeing) => {
    const chmod = '{"on":"a","call":"chmod","path":"/d","mode":"0700","result":{"ok":true}}';
    const times = (result: string): string => `{"on":"a","call":"times","path":"/d","of":"ctime","key":"k","result":${result}}`;
    const steps = ['{"on":"a","call":"mkdir","path":"/d"}', times('{"ok":true}'), chmod, times('{"value":"later"}')];
    const header = `{"trace":1,"target":"ext4","kernel":"${kernel}"}`;
    // Two changes within a tick have the same time before 6.13.
    expect(run({ f: [header, LAYER, ...steps] }).text).toContain(`agree ${agreeing} of 3 steps`);
  });

  test.each([
    ['{"on":"b","call":"sync","result":{"ok":true}}', "f:3: there is no layer or container b\n"],
    ['{"on":"a","call":"snyc","result":{"ok":true}}', "f:3: unknown call snyc\n"],
    [LAYER, "f:3: there is a layer or container a already\n"],
    ['{"lab":"layer","name":"c","parent":"b"}', "f:3: there is no layer or container b\n"],
    ['{"lab":"layer","name":"c","raw":true}', "f:3: vfs has no raw layers\n"],
  ])("exits 2 for a file that is no trace: %s", (step, text) => {
    expect(run({ f: [HEADER, LAYER, step] })).toEqual({ text, exitCode: 2 });
  });

  test("exits 2 for a path where nothing is", () => {
    const files = { find: (path: string) => (path === "empty" ? [] : undefined), read: () => "" };
    expect(runReplayCommand(["no"], { files })).toEqual({ text: "cowlab: no: no such file or directory\n", exitCode: 2 });
    expect(runReplayCommand(["empty"], { files })).toEqual({
      text: "cowlab: empty: no *.ndjson or *.jsonl file in this folder\n",
      exitCode: 2,
    });
  });

  test("prints one JSON document when asked, long numbers with all their digits", () => {
    const open = '{"on":"a","call":"open","path":"/f","flags":["O_CREAT","O_WRONLY"],"fd":"f"}';
    const times = '{"on":"a","call":"utimens","path":"/f","atime":1900000000000000001,"mtime":1}';
    const atime = '{"on":"a","call":"atime","path":"/f","result":{"value":1900000000000000002}}';
    const { text, exitCode } = run({ f: [HEADER, LAYER, open, times, atime] }, true);
    expect(exitCode).toBe(4);
    expect(text).toContain('"value": 1900000000000000001');
    expect(JSON.parse(text)).toMatchObject({
      format: "cowlab-replay",
      version: 1,
      traces: 1,
      steps: 1,
      agree: 0,
      differing: [{ file: "f", line: 5 }],
      notRun: [],
    });
  });

  test("exits 70 and names trace and line where an engine breaks, and still counts the other traces", () => {
    const mkdir = '{"on":"a","call":"mkdir","path":"/d","result":{"ok":true}}';
    const sync = '{"on":"a","call":"sync","result":{"ok":true}}';
    const spy = vi.spyOn(Task.prototype, "syncfs").mockImplementation(() => {
      throw new TypeError("x is undefined");
    });
    try {
      const traces = { f: [HEADER, LAYER, mkdir, sync, mkdir], g: [HEADER, LAYER, mkdir] };
      const { text, exitCode } = run(traces);
      expect(exitCode).toBe(70);
      expect(text.split("\n").slice(-3)).toEqual([
        "f:4: bug of cowlab: TypeError: x is undefined",
        "agree 2 of 4 steps in 2 traces",
        "",
      ]);
      const broken = [{ file: "f", line: 4, message: "TypeError: x is undefined" }];
      expect(JSON.parse(run(traces, true).text)).toMatchObject({ agree: 2, broken });
    } finally {
      spy.mockRestore();
    }
  });

  test("shows long results from where they begin to differ", () => {
    const make = (name: string): string => `{"on":"a","call":"mkdir","path":"/${name}"}`;
    const names = Array.from({ length: 40 }, (_, index) => `name-${10 + index}`);
    const value = JSON.stringify([...names.slice(0, 39), "other"].map((name) => [name, "dir"]));
    const list = `{"on":"a","call":"readdir","path":"/","result":{"value":${value}}}`;
    const [, expected, got] = run({ f: [HEADER, LAYER, ...names.map(make), list] }).text.split("\n");
    expect(expected).toMatch(/^ {2}expected ….*"name-48","dir"\],\["other","dir"\]\]\}$/);
    expect(got).toMatch(/^ {2}got {6}….*\["name-49","dir"\]\]\}$/);
  });

  test("gives the same text for the same traces, time after time", () => {
    const traces = { f: [HEADER, LAYER, '{"on":"a","call":"stat","path":"/","result":{"ok":true}}'] };
    expect(run(traces)).toEqual(run(traces));
  });
});
