import { describe, expect, test } from "vitest";
import { parseTrace, TraceError } from "../../src/replay/trace.ts";

const HEADER = '{"trace":1,"name":"t","target":"vfs","backing":"tmpfs"}';

describe("a trace file", () => {
  test("is a header and steps with their lines, empty lines left out", () => {
    const text = `${HEADER}\n\n{"lab":"layer","name":"a"}\n{"on":"a","call":"sync","result":{"ok":true}}\n`;
    const trace = parseTrace("f", text);
    expect(trace.header).toEqual({ name: "t", target: "vfs", backing: "tmpfs", mountOptions: "" });
    expect(trace.steps.map(({ line, expected }) => [line, expected])).toEqual([
      [3, undefined],
      [4, { ok: true }],
    ]);
  });

  test("without a backing filesystem is recorded on its target", () => {
    expect(parseTrace("f", '{"trace":1,"target":"ext4"}').header).toMatchObject({ target: "ext4", backing: "ext4" });
  });

  test.each([
    ["", "f:1: the file is empty"],
    ["{", "f:1: not JSON"],
    ["[]", "f:1: each line must be a JSON object"],
    ['{"on":"a","call":"sync"}', 'f:1: the first line must be a header with "trace": 1'],
    ['{"trace":1}', "f:1: header: target must be a text"],
    [`${HEADER}\n{"lab":"lyaer","name":"a"}`, "f:2: unknown lab step lyaer"],
    [`${HEADER}\n{"lab":"layer"}`, "f:2: layer: name must be a text, it is missing"],
    [`${HEADER}\n{"lab":"container","name":"c"}`, "f:2: container: parent must be a text, it is missing"],
    [`${HEADER}\n{"lab":"tick","ms":-1}`, "f:2: tick: time does not run backwards"],
    [`${HEADER}\n{"lab":"tick","ms":1e30}`, "f:2: tick: at most 9007199254 ms pass at once"],
    [`${HEADER}\n\n{"on":"a"}`, "f:3: a step has lab or call"],
    [`${HEADER}\n{"call":"sync"}`, "f:2: sync: on must be a text, it is missing"],
    [`${HEADER}\n{"lab":"layer","name":"a","prent":"b"}`, "f:2: layer takes name, parent, raw, not prent"],
  ])("that is wrong is told with file and line: %j", (text, message) => {
    expect(() => parseTrace("f", text)).toThrow(TraceError);
    expect(() => parseTrace("f", text)).toThrow(message);
  });
});
