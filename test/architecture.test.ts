/**
 * Holds the house to its plan (DESIGN.md, "The house"): who may import whom, how long a file and a function may grow, and which
 * constructs have a better replacement. Old offenders are listed by name below, with their length; the lists may only shrink.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");

/** The rooms from the ground up: a file imports its own room or one that stands earlier. */
const ROOMS = [
  "sim/core",
  "sim/block",
  "sim/thin",
  "sim/vfs",
  "sim/fs",
  "sim/cow",
  "sim/union",
  "sim/host",
  "src/calls",
  "src/archive",
  "src/shell",
  "src/thin",
  "src/drivers",
  "src/layers",
  "src/images",
  "src/fs",
  "src/scenario",
  "src/replay",
  "src/fuzz",
  "src/testing",
  "src/report",
  "src/node",
  "src/cli",
  "src/entry",
  "src/index",
] as const;

const FILE_LINES_MAX = 400;
const FUNCTION_LINES_MAX = 60;

interface Ban {
  readonly pattern: RegExp;
  readonly instead: string;
  readonly within: RegExp;
  readonly except?: RegExp;
}

const BANS: readonly Ban[] = [
  { pattern: /\bDate\.now\b|\bnew Date\(\)|\bperformance\.now\b/, instead: "the host's clock", within: /^(sim|src)\// },
  { pattern: /\bMath\.random\b/, instead: "the host's Random", within: /^(sim|src)\// },
  { pattern: /from "node:/, instead: "a device or a FileSystem handed in", within: /^sim\// },
  { pattern: /\basync\b|\bawait\b|\bPromise\b/, instead: "plain calls", within: /^sim\// },
  { pattern: /\bcatch\b/, instead: "an Errno value", within: /^sim\// },
  { pattern: /\bBuffer\b/, instead: "Uint8Array", within: /^sim\// },
  { pattern: /\bas any\b|: any\b/, instead: "a type or unknown", within: /./ },
  { pattern: /\bconsole\./, instead: "returned text", within: /^(sim|src)\// },
  { pattern: new RegExp(`FIX${"ME"}|\\.only\\(`), instead: "nothing", within: /./ },
  {
    pattern: /\bas (Bytes|BlockNumber|PageNumber|Nanoseconds)\b/,
    instead: "a constructor of units.ts",
    within: /^(sim|src)\//,
    except: /^sim\/core\/(units|clock)\.ts$/,
  },
  {
    pattern: /driver\s*===\s*"|driverName\s*===\s*"/,
    instead: "an engine or a named option",
    within: /^(sim|src)\//,
    except: /^src\/drivers\//,
  },
  { pattern: /\bclass \w+(<[^>]*>)? extends (?!Error\b)/, instead: "composition", within: /^(sim|src)\// },
];

interface Source {
  readonly path: string;
  readonly text: string;
  /** The text without comments and string contents, line by line as it was. */
  readonly code: string;
}

/** Blanks comments, so that prose may use any word. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|(?<![:"'`])\/\/[^\n]*/g, (comment) => comment.replace(/[^\n]/g, " "));
}

function sources(): Source[] {
  const out: Source[] = [];
  for (const top of ["sim", "src", "bench", "test", "scenarios"]) {
    for (const entry of readdirSync(join(ROOT, top), { recursive: true, withFileTypes: true })) {
      const folder = entry.parentPath.slice(ROOT.length + 1);
      if (!entry.isFile() || !entry.name.endsWith(".ts") || folder.includes("node_modules")) continue;
      const path = posix.join(folder, entry.name);
      const text = readFileSync(join(ROOT, path), "utf8");
      out.push({ path, text, code: withoutComments(text) });
    }
  }
  return out;
}

/** The place of a file's room in ROOMS; -1 for a file outside the house. */
function roomOf(path: string): number {
  return ROOMS.findIndex((room) => path === `${room}.ts` || path.startsWith(`${room}/`));
}

function importsOf(source: Source): { readonly target: string; readonly line: number }[] {
  const out: { target: string; line: number }[] = [];
  for (const match of source.code.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)) {
    const target = posix.normalize(posix.join(posix.dirname(source.path), match[1] as string));
    out.push({ target, line: source.code.slice(0, match.index).split("\n").length });
  }
  return out;
}

/** The functions of a formatted file: from a line that opens one to the line that closes it at the same indentation. */
function longFunctions(source: Source): { readonly head: string; readonly lines: number }[] {
  const lines = source.text.split("\n");
  const opens =
    /^(\s*)(?:export |static |get |set |async |private |readonly )*(?:function\b|\*?#?\w+(?:<[^(]*>)?\()[^;]*\{$|^(\s*).*=> \{$/;
  const out: { head: string; lines: number }[] = [];
  lines.forEach((line, start) => {
    const match = opens.exec(line);
    if (match === null || /^\s*(if|for|while|switch|do|else|describe|test|it)\b/.test(line)) return;
    const indent = match[1] ?? match[2] ?? "";
    const end = lines.findIndex((other, index) => index > start && new RegExp(`^${indent}\\}`).test(other));
    if (end > 0 && end - start + 1 > FUNCTION_LINES_MAX) out.push({ head: line.trim(), lines: end - start + 1 });
  });
  return out;
}

const all = sources();
const house = all.filter((source) => /^(sim|src)\//.test(source.path));

describe("the house", () => {
  test("is seen as a whole: the checks below cannot pass on nothing", () => {
    expect(house.length).toBeGreaterThan(8);
    expect(house.filter((source) => roomOf(source.path) < 0).map((source) => source.path)).toEqual([]);
  });

  test("a file imports its own room or one above it", () => {
    const faults = house.flatMap((source) =>
      importsOf(source)
        .filter(({ target }) => roomOf(target) > roomOf(source.path) || roomOf(target) < 0)
        .map(({ target, line }) => `${source.path}:${line} imports ${target}`),
    );
    expect(faults).toEqual([]);
  });

  test("no file imports itself through others", () => {
    const graph = new Map(house.map((source) => [source.path, importsOf(source).map(({ target }) => target)]));
    expect(cycles(graph)).toEqual([]);
  });

  test("files stay within 400 lines, functions within 60", () => {
    const files = house.filter((source) => source.text.split("\n").length > FILE_LINES_MAX);
    expect(files.map((source) => `${source.path}: ${source.text.split("\n").length} lines`)).toEqual([]);
    const functions = house.flatMap((source) =>
      longFunctions(source).map(({ head, lines }) => `${source.path}: ${head} (${lines} lines)`),
    );
    expect(functions).toEqual([]);
  });

  test("what has a better replacement is not used", () => {
    const faults = all.flatMap((source) =>
      BANS.filter(
        (ban) => ban.within.test(source.path) && !ban.except?.test(source.path) && source.path !== "test/architecture.test.ts",
      ).flatMap((ban) =>
        source.code
          .split("\n")
          .flatMap((line, index) =>
            ban.pattern.test(line.replace(/"(?:[^"\\]|\\.)*"/g, (text) => (text.startsWith('"node:') ? text : '""')))
              ? [`${source.path}:${index + 1}: use ${ban.instead}`]
              : [],
          ),
      ),
    );
    expect(faults).toEqual([]);
  });
});

/** One line for each file that reaches itself by imports. */
function cycles(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const state = new Map<string, "open" | "done">();
  const out: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    if (state.get(path) === "done") return;
    if (state.get(path) === "open") {
      out.push([...trail.slice(trail.indexOf(path)), path].join(" → "));
      return;
    }
    state.set(path, "open");
    for (const target of graph.get(path) ?? []) visit(target, [...trail, path]);
    state.set(path, "done");
  };
  for (const path of graph.keys()) visit(path, []);
  return out;
}
