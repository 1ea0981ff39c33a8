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

test("a path that led to a file through a symbolic link where the file once had a name leads nowhere when the link is gone", () => {
  expectAgreement("overlay2", [
    '{"lab":"layer","name":"L0"}',
    '{"on":"L0","call":"open","path":"/a","flags":["O_WRONLY","O_CREAT"],"mode":"0666","fd":"p"}',
    '{"lab":"layer","name":"L1","parent":"L0"}',
    '{"on":"L1","call":"mkdir","path":"/c","mode":"0777","result":{"ok":true}}',
    '{"on":"L1","call":"link","path":"/a","to":"/e","result":{"ok":true}}',
    '{"on":"L1","call":"rename","path":"/e","to":"/c/e","flags":[],"result":{"ok":true}}',
    '{"on":"L1","call":"unlink","path":"/c/e","result":{"ok":true}}',
    '{"on":"L1","call":"symlink","target":"../a","path":"/c/e","result":{"ok":true}}',
    '{"on":"L1","call":"stat","path":"/c/e"}',
    '{"on":"L1","call":"unlink","path":"/c/e","result":{"ok":true}}',
    '{"on":"L1","call":"lstat","path":"/c/e","result":{"errno":"ENOENT"}}',
  ]);
});

test("fchmod of a removed lower directory on aufs copies a directory without a name", () => {
  expectAgreement("aufs", [
    ...DIRECTORIES,
    ...["a", "b", "c"].map((name) => `{"on":"C","call":"fchmod","fd":"${name}","mode":"0700","result":{"ok":true}}`),
    '{"on":"C","call":"readdir","path":"/","result":{"value":[["b","dir"],["c","dir"]]}}',
  ]);
});
