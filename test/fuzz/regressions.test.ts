/** What campaigns found, as traces: each step answers as recorded or as the plain tree says, and the books add up after each. */
import { expect, test } from "vitest";
import { replay } from "../../src/replay/replay.ts";
import { parseTrace } from "../../src/replay/trace.ts";

const DIRECTORIES = [
  '{"lab":"layer","name":"L0"}',
  ...["a", "b", "c"].map((name) => `{"on":"L0","call":"mkdir","path":"/${name}","mode":"0755"}`),
  '{"lab":"container","name":"C","parent":"L0"}',
  ...["a", "b", "c"].map((name) => `{"on":"C","call":"open","path":"/${name}","flags":["O_RDONLY"],"fd":"${name}"}`),
  ...["a", "b", "c"].map((name) => `{"on":"C","call":"rmdir","path":"/${name}","result":{"ok":true}}`),
  '{"on":"C","call":"mkdir","path":"/b","mode":"0755"}',
  '{"on":"C","call":"mkdir","path":"/c","mode":"0755"}',
  '{"on":"C","call":"mkdir","path":"/c/x","mode":"0755"}',
];

function expectAgreement(target: string, lines: readonly string[]): void {
  const text = [`{"trace":1,"target":"${target}","backing":"ext4","holdsSeen":false}`, ...lines].join("\n");
  const { differing, broken } = replay([parseTrace("regression", text)], { check: true });
  expect({ differing, broken }).toEqual({ differing: [], broken: [] });
}

test("fchmod of a removed lower directory on overlay2 asks what has its name now, as Linux 6.18 does", () => {
  expectAgreement("overlay2", [
    ...DIRECTORIES,
    '{"on":"C","call":"fchmod","fd":"a","mode":"0700","result":{"errno":"ENOTDIR"}}',
    '{"on":"C","call":"fchmod","fd":"c","mode":"0700","result":{"errno":"ENOTEMPTY"}}',
  ]);
});

test("fchmod of a removed lower directory on aufs copies a directory without a name", () => {
  expectAgreement("aufs", [
    ...DIRECTORIES,
    ...["a", "b", "c"].map((name) => `{"on":"C","call":"fchmod","fd":"${name}","mode":"0700","result":{"ok":true}}`),
    '{"on":"C","call":"readdir","path":"/","result":{"value":[["b","dir"],["c","dir"]]}}',
  ]);
});
