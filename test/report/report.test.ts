import { describe, expect, test } from "vitest";
import type { SimEvent } from "../../sim/core/events.ts";
import { documentText, runDocument, scenarioDocument } from "../../src/report/document.ts";
import { explainText } from "../../src/report/explain.ts";
import { svgText } from "../../src/report/svg.ts";
import { tableLines, textWidth } from "../../src/report/table.ts";
import { scenarioText } from "../../src/report/text.ts";
import { bytesText, countText, exactText, spanText } from "../../src/scenario/figures.ts";
import { loadScenario } from "../../src/scenario/load.ts";
import { runScenario, type ScenarioRun } from "../../src/scenario/run.ts";
import { worldWithout } from "../scenario/world-without.ts";

const TEXT = `version: 1
name: report
about: What a report looks like
drivers: [vfs, { id: vfs+all, driver: vfs, options: { copy: all } }, aufs]
host: { backing: tmpfs }
images:
  app:
    layers:
      - - { write: /f, size: 1MiB }
        - { setxattr: /f, name: user.k, value: v }
containers: { a: { image: app } }
steps:
  - { id: xattr, in: a, do: { getxattr: /f, name: user.k }, expect: { value: v } }
compare: { metrics: [data_copied_at_create, inodes_allocated], reference: vfs }
`;

function result(): ScenarioRun {
  return runScenario(loadScenario(TEXT, "f.yaml"), { makeWorld: worldWithout("aufs") });
}

function compareText(run: ScenarioRun): string {
  return scenarioText(scenarioDocument(run));
}

function compareJson(runs: readonly ScenarioRun[]): string {
  return documentText(runDocument(runs.map(scenarioDocument)));
}

describe("the comparison of drivers", () => {
  test("shows the table, what failed with its place, and the answers that differ", () => {
    expect(compareText(result())).toMatchInlineSnapshot(`
      "report
      What a report looks like
      tmpfs in memory · memory 2 GiB · Linux 6.18 · seed 1

               data copied           vs
      driver     at create  inodes  vfs  expected
      ───────  ───────────  ──────  ───  ───────────
      vfs            1 MiB       6   1×  1 of 1 FAIL
      vfs+all        1 MiB       6   1×  1 ok

      aufs: not there yet

      Why (data copied at create):
        vfs, vfs+all: 1 MiB when containers were created: 1 file of whole trees
          copied, 1 MiB allocated, 2 inodes

      Failed expectations:
        vfs: step xattr, answer: expected v, found ENODATA
          f.yaml:13:71  → cowlab explain f.yaml --step xattr --driver vfs

      Answered differently:
        xattr: getxattr /f name=user.k in a
          vfs      ENODATA
          vfs+all  v
      "
    `);
  });

  test("fits a terminal of 80 columns", () => {
    expect(Math.max(...compareText(result()).split("\n").map(textWidth))).toBeLessThanOrEqual(80);
  });

  test("tells of answers that are objects only what differs, and puts an answer below its drivers where there is no room beside them", () => {
    const id = "vfs-with-every-xattr-and-a-name-that-is-long";
    const value = "v".repeat(40);
    const text = `version: 1
name: answers
about: Who answers what
drivers: [vfs, overlay, { id: ${id}, driver: vfs, options: { copy: all } }]
images: { app: { layers: [[{ write: /f, size: 1KiB }, { setxattr: /f, name: user.k, value: ${value} }], [{ mkdir: /d }]] } }
containers: { a: { image: app } }
steps:
  - { id: links, in: a, do: { stat: /f } }
  - { id: list, in: a, do: { listxattr: /f } }
  - { id: value, in: a, do: { getxattr: /f, name: user.k } }
`;
    const lines = compareText(runScenario(loadScenario(text, "f.yaml"), { makeWorld: worldWithout("aufs") })).split("\n");
    expect(lines.slice(lines.indexOf("Answered differently:") + 1)).toEqual([
      "  links: stat /f in a",
      `    vfs, ${id}  nlink 1`,
      `    overlay${" ".repeat(id.length - 2)}  nlink 2`,
      "  list: listxattr /f in a",
      `    vfs${" ".repeat(id.length + 6)}  nothing`,
      `    overlay, ${id}  user.k`,
      "  value: getxattr /f name=user.k in a",
      "    vfs",
      "      ENODATA",
      `    overlay, ${id}`,
      `      ${value}`,
      "",
    ]);
  });

  test("shortens identifiers as Docker does where their line has no room", () => {
    const value = "0123456789ab".padEnd(64, "c");
    const text = `version: 1
name: ids
about: Who answers what
drivers: [vfs, overlay]
images: { app: { layers: [[{ write: /f, size: 1KiB }, { setxattr: /f, name: user.k, value: ${value} }], [{ mkdir: /d }]] } }
containers: { a: { image: app } }
steps: [{ id: value, in: a, do: { getxattr: /f, name: user.k } }]
`;
    const run = scenarioDocument(runScenario(loadScenario(text, "f.yaml"), { makeWorld: worldWithout("aufs") }));
    expect(scenarioText(run, { width: 80 })).toContain(value);
    expect(scenarioText(run, { width: 60 })).toMatch(/0123456789ab…\n/);
  });

  test("as JSON is one document, equal byte by byte between runs", () => {
    const text = compareJson([result()]);
    expect(compareJson([result()])).toBe(text);
    expect(JSON.parse(text)).toMatchObject({
      format: "cowlab-run",
      version: 1,
      scenarios: [{ name: "report", missing: [{ id: "aufs" }] }],
    });
  });
});

test("a table puts numbers to the right, breaks headings at spaces, and counts wide characters as two columns", () => {
  const columns = [
    { heading: "driver", align: "left" },
    { heading: "bytes that were copied", align: "right" },
  ] as const;
  const lines = tableLines(columns, [
    ["vfs", "12"],
    ["日本", "3"],
  ]);
  expect(lines).toEqual([
    "         bytes that",
    "driver  were copied",
    "──────  ───────────",
    "vfs              12",
    "日本              3",
  ]);
});

test("a table that is wider than the terminal makes its headings narrower, then becomes several of about one width, each with the first column", () => {
  const columns = [
    { heading: "driver", align: "left" },
    { heading: "written in steps", align: "right" },
    { heading: "read in steps", align: "right" },
    { heading: "expected", align: "left" },
  ] as const;
  const rows = [["vfs", "12", "3", "1 ok"]];
  expect(tableLines(columns, rows, 32)).toEqual([
    "        written   read",
    "             in     in",
    "driver    steps  steps  expected",
    "──────  ───────  ─────  ────────",
    "vfs          12      3  1 ok",
  ]);
  expect(tableLines(columns, rows, 31)).toEqual([
    "         written  read in",
    "driver  in steps    steps",
    "──────  ────────  ───────",
    "vfs           12        3",
    "",
    "driver  expected",
    "──────  ────────",
    "vfs     1 ok",
  ]);
});

test("sizes name their unit and round only where they say so", () => {
  expect([0, 1023, 4096, 100_000, -4096, 2 ** 28, 1.5 * 2 ** 40].map(bytesText)).toEqual([
    "0 B",
    "1023 B",
    "4 KiB",
    "97.7 KiB",
    "-4 KiB",
    "256 MiB",
    "1.50 TiB",
  ]);
  expect(exactText(100_000, "bytes")).toBe("97.7 KiB (100,000 B)");
  expect([countText(1_234_567), spanText(1500), spanText(2.5e9)]).toEqual(["1,234,567", "1.5 µs", "2.50 s"]);
});

test("a picture draws no figure of a driver that stopped before it was whole", () => {
  const document = scenarioDocument(result());
  const drivers = document.drivers.map((driver, index) =>
    index === 0
      ? { ...driver, stopped: { phase: "create", where: "container a", why: "no space", line: 1, column: 1 } as const }
      : driver,
  );
  const marks = svgText(runDocument([{ ...document, drivers }])).match(/width="0"[^>]*>\n<text[^>]*>– stopped</g);
  expect(marks).toHaveLength(document.columns.length);
  expect(svgText(runDocument([document]))).not.toContain("stopped");
});

test("a picture that is wider than the screen is drawn smaller, with the sides it has", () => {
  const [head = ""] = svgText(runDocument([scenarioDocument(result())])).split("\n");
  const [, width, height, box] =
    /width="(\d+)" height="(\d+)" viewBox="0 0 (\d+ \d+)" style="max-width:100%;height:auto"/.exec(head) ?? [];
  expect(box).toBe(`${width} ${height}`);
});

/** What explain says of a step in which these things happened. */
function explained(events: readonly SimEvent[]): string {
  const document = scenarioDocument(result());
  const [driver] = document.drivers;
  if (driver === undefined) throw new Error("no driver");
  const seen = events.map((event) => ({ driver: "vfs", phase: "steps" as const, step: 0, stamped: { now: 0, step: 1, event } }));
  return explainText({ scenario: document, driver, step: 0, events: seen }, 80);
}

test("explain tells the place of a disk's command so that neighbours differ", () => {
  const places = [0, 4096, 512].map((more) => 4_433_379_328 + more);
  expect(explained(places.map((offset) => ({ op: "deviceWrite", device: "vda", offset, length: 4096 })))).toContain(
    "vda: write 4 KiB at 4,329,472 KiB\n  vda: write 4 KiB at 4,329,476 KiB\n  vda: write 4 KiB at 4,433,379,840 B\n",
  );
});

test("explain tells how much of a read was ahead, and why only where something was", () => {
  const read = { op: "cacheMiss", filesystem: "ext4:vda", inode: 12, page: 0, pages: 4 } as const;
  const asked = explained([{ ...read, ahead: 0 }]);
  expect(asked).toContain("ext4:vda: reads 4 pages of inode 12 from page 0\n");
  expect(asked).not.toContain("cache.readahead");
  const ahead = explained([{ ...read, ahead: 3 }]);
  expect(ahead).toContain("ext4:vda: reads 4 pages of inode 12 from page 0, 3 of them ahead\n");
  expect(ahead).toContain("cache.readahead");
});
