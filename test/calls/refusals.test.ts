/**
 * What Linux 6.18 refuses: calls with every wrong flag, kind, range, caller and descriptor in turn, beside some that are right, on each filesystem
 * and in a container over a layer (test/data/refusals, recorded by the oracle). Every answer and what the tree is afterwards must be the kernel's.
 */
import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { traceFiles } from "../../src/node/trace-files.ts";
import { replay } from "../../src/replay/replay.ts";
import { parseTrace, type Trace } from "../../src/replay/trace.ts";

const FOLDER = "test/data/refusals";
/** A set's folder, and the answers about one thing in it. */
const RECORDED = readdirSync(FOLDER).flatMap((set) => readdirSync(`${FOLDER}/${set}`).map((file) => ({ set, file })));

const WHAT: Readonly<Record<string, string>> = {
  attributes: "modes, owners, times and access, by kind, descriptor and caller",
  clones: "copies and clones, by kind, way of opening and overlap",
  ends: "holes and zeros that end at, before and behind the end of the file",
  names: "names made, removed, linked and renamed onto what is there, with slashes, dots and flags",
  opens: "opens, by flags, kind, mode and caller",
  others: "locks, advice, flags, execve, sendfile and handles, by kind and caller",
  positions: "reads, writes, seeks, maps and truncates at any position of anything",
  space: "fallocate, by mode, range, kind and way of opening",
  xattrs: "extended attributes, by name, flags, size, kind and caller",
};

function recorded(set: string, topic: string): Trace {
  return parseTrace(`${set}/${topic}`, traceFiles.read(`${FOLDER}/${set}/${topic}.ndjson.gz`));
}

/** Steps that differ from the recording, none of which must be one that cannot be made. */
function differences(trace: Trace): unknown[] {
  const result = replay([trace]);
  expect(result.steps).toBeGreaterThan(100);
  expect([result.notRun, result.broken]).toEqual([[], []]);
  return result.differing.map(({ line, step, expected, got }) => ({ line, step, expected, got }));
}

describe.each(Object.entries(WHAT))("%s: %s", (topic) => {
  const sets = RECORDED.filter(({ file }) => file === `${topic}.ndjson.gz`).map(({ set }) => set);
  test.each(sets)("%s answers as the kernel's", (set) => {
    expect(differences(recorded(set, topic))).toEqual([]);
  });
});

test("every recording is one of those", () => {
  expect([...new Set(RECORDED.map(({ file }) => file.replace(".ndjson.gz", "")))].sort()).toEqual(Object.keys(WHAT).sort());
});

/** aufs says ESTALE by fstat of a folder that was removed from the branch that alone had it: its entry there got a passing name (h_d_revalidate, aufs 6.1). */
function isStaleFolder(differing: unknown): boolean {
  const { step, got } = differing as { readonly step: Record<string, unknown>; readonly got: unknown };
  return step["call"] === "fstat" && step["fd"] === "gone" && JSON.stringify(got) === '{"errno":"ESTALE"}';
}

/** What this kernel has not: where the VFS alone decides, the answers are another filesystem's. */
const ALIKE = [
  { target: "zfs", backing: "zfs", as: "tmpfs", topics: ["attributes", "clones", "opens", "positions", "xattrs"] },
  { target: "aufs", backing: "ext4", as: "overlay2", topics: ["attributes", "clones"] },
];

describe.each(ALIKE)("$target answers as $as, in what the VFS decides", ({ target, backing, as, topics }) => {
  test.each(topics)("%s", (topic) => {
    const trace = recorded(as, topic);
    const differing = differences({ ...trace, header: { ...trace.header, target, backing } });
    expect(differing.filter((one) => !(target === "aufs" && isStaleFolder(one)))).toEqual([]);
  });
});
