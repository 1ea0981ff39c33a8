import { Ajv } from "ajv";
import { describe, expect, test } from "vitest";
import { BlockMaps } from "../../src/report/block-map.ts";
import { combinationsText } from "../../src/report/combinations.ts";
import { csvText } from "../../src/report/csv.ts";
import { changesBetween, changesText } from "../../src/report/diff.ts";
import { documentText, type RunDocument, runDocument, scenarioDocument } from "../../src/report/document.ts";
import { csvField } from "../../src/report/escape.ts";
import { explainText } from "../../src/report/explain.ts";
import { githubText } from "../../src/report/github.ts";
import { junitText } from "../../src/report/junit.ts";
import { markdownText } from "../../src/report/markdown.ts";
import { eventLine } from "../../src/report/ndjson.ts";
import { resultSchema } from "../../src/report/result-schema.ts";
import { svgText } from "../../src/report/svg.ts";
import { textWidth } from "../../src/report/table.ts";
import { scenarioText } from "../../src/report/text.ts";
import { TraceWriter } from "../../src/report/trace.ts";
import { loadScenario, loadScenarios } from "../../src/scenario/load.ts";
import { makeWorld } from "../../src/scenario/machine.ts";
import { type RunEvent, runScenario } from "../../src/scenario/run.ts";
import { EVENTS, writeMillion } from "./million-events.ts";

/** How many pieces of a long document are written for one that is parsed. */
const KEPT_ONE_IN = 20;

interface PerfettoEvent {
  readonly ph: string;
  readonly name: string;
  readonly pid: number;
  readonly tid?: number;
  readonly ts?: number;
  readonly dur?: number;
  readonly s?: string;
  readonly args: Readonly<Record<string, unknown>>;
}

/**
 * What Perfetto would not show of a trace as it is meant, by the rules of its own importer (src/trace_processor/importers: json_trace_tokenizer.cc,
 * json_trace_parser_impl.cc, common/slice_tracker.cc): events are sorted by time; a span that begins within another of its track and ends behind it is
 * dropped; a mark is a span of no length; a track that nobody named has a number alone; a counter is a number by the name of its argument.
 * @param whole - how nanoseconds are made of microseconds
 */
function lossesOf(events: readonly PerfettoEvent[], whole: (nanoseconds: number) => number): string[] {
  const losses: string[] = [];
  const named = new Set<string>();
  const stacks = new Map<string, { end: number; isMark: boolean }[]>();
  const counters = new Map<string, number>();
  for (const { ph, name, pid, tid, args } of events)
    if (ph === "M" && typeof args["name"] === "string") named.add(name === "process_name" ? `${pid}` : `${pid} ${tid}`);
  const timed = events.filter(({ ph }) => ph !== "M").map((event) => ({ event, at: whole((event.ts ?? -1) * 1000) }));
  for (const { event, at } of timed.sort((one, other) => one.at - other.at)) {
    const { ph, name, pid, tid, dur, s, args } = event;
    const track = `${pid} ${tid}`;
    if (!["X", "i", "C"].includes(ph) || at < 0 || !(pid > 0)) losses.push(`${name} at ${at} is no event`);
    if (!named.has(`${pid}`) || (ph !== "C" && !named.has(track))) losses.push(`${name} at ${at} has no named track`);
    if (ph === "C") {
      for (const [key, value] of Object.entries(args)) {
        const counter = `${pid} ${name} ${key}`;
        if (typeof value !== "number" || value < (counters.get(counter) ?? 0)) losses.push(`${counter} goes back at ${at}`);
        counters.set(counter, Number(value));
      }
      continue;
    }
    if ((ph === "X" && !(dur !== undefined && dur >= 0)) || (ph === "i" && s !== "t"))
      losses.push(`${name} at ${at} has no length`);
    const length = whole((dur ?? 0) * 1000);
    const stack = stacks.get(track) ?? [];
    stacks.set(track, stack);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      if (top.end > at || (top.end === at && top.isMark && length === 0)) break;
      stack.pop();
    }
    if (stack.some(({ end }) => at < end && at + length > end)) losses.push(`${name} at ${at} overlaps its elder on ${track}`);
    else stack.push({ end: at + length, isMark: length === 0 });
  }
  return losses;
}

/** A document of trace events, or a part of one. */
interface Written {
  readonly traceEvents: readonly unknown[];
}

/** Names that act on who reads them unescaped: a terminal, a browser, a spreadsheet, an XML parser, a workflow. */
const HOSTILE = [
  "\u001b]0;x\u0007",
  "<img src=x onerror=alert(1)>",
  "=1+1",
  "]]>&amp;",
  "\u202etxt.exe",
  "a|b`c*",
  "::error::x",
  "\u0000",
  "%0A::warning::y",
];

const TEXT = `version: 1
name: formats
about: "What each format shows | of a run"
drivers: [overlay2, vfs]
host: { backing: tmpfs }
images: { i: { layers: [{ sh: "mkdir /d; echo x > /d/f" }] } }
containers: { c: { image: i } }
steps:
  - { id: mv, in: c, do: { sh: "mv /d /g" }, expect: { result: ok, calls: { max: 3 } } }
  - { id: name, in: c, do: { stat: HOSTILE }, expect: { error: EXDEV }, warn: { error: EIO } }
compare: { metrics: [data_copied, calls], reference: vfs }
`;

function run(name = "/nothing", onEvent?: (event: RunEvent) => void, cost?: string): RunDocument {
  const plain = loadScenario(TEXT.replace("HOSTILE", JSON.stringify(name)), "f.yaml");
  const host = cost === undefined ? plain.host : { ...plain.host, cost, backing: "ext4" };
  const scenario = { ...plain, host };
  return runDocument([scenarioDocument(runScenario(scenario, { makeWorld, onEvent }))]);
}

const document = run();
const hostile = HOSTILE.map((name) => run(`/${name.replaceAll("\u0000", "\\0")}`));

describe("a run's document", () => {
  test("fits its published schema", () => {
    const validate = new Ajv({ strict: false, allErrors: true }).compile(resultSchema() as object);
    validate(JSON.parse(documentText(document)));
    expect(validate.errors).toBeNull();
    expect(validate({ ...document, extra: 1 })).toBe(false);
  });

  test("read back and told again is the same text", () => {
    const again = JSON.parse(documentText(document)) as RunDocument;
    const [one, other] = [document.scenarios[0], again.scenarios[0]];
    if (one === undefined || other === undefined) throw new Error("no scenario");
    expect(scenarioText(other)).toBe(scenarioText(one));
  });

  test("differs from another run in what differs, within a tolerance", () => {
    expect(changesBetween(document, run(), 0)).toEqual([]);
    const [first] = document.scenarios;
    if (first === undefined) throw new Error("no scenario");
    const drivers = first.drivers.map((driver) => ({ ...driver, total: { ...driver.total, calls: driver.total.calls * 1.1 } }));
    const changed = runDocument([{ ...first, drivers }]);
    expect(changesBetween(document, changed, 0.05)).toHaveLength(2);
    expect(changesBetween(document, changed, 0.2)).toEqual([]);
    expect(changesText(changesBetween(document, runDocument([]), 0))).toBe("formats: not in the second run\n");
    expect(changesText(changesBetween(runDocument([]), document, 0))).toBe("formats: not in the first run\n");
  });

  test("is compared step by step by their ids: one that was put in is told alone", () => {
    const [first] = document.scenarios;
    if (first === undefined) throw new Error("no scenario");
    const drivers = first.drivers.slice(0, 1).map(({ steps, ...driver }) => {
      const [step] = steps;
      return { ...driver, steps: step === undefined ? [] : [{ ...step, id: "step-1", answer: { errno: "EIO" } }, ...steps] };
    });
    const more = runDocument([{ ...first, drivers }]);
    const less = runDocument([{ ...first, drivers: first.drivers.slice(0, 1) }]);
    expect(changesText(changesBetween(less, more, 0))).toBe(`formats, ${drivers[0]?.id}: step 1: not in the first run\n`);
    expect(changesText(changesBetween(more, less, 0))).toBe(`formats, ${drivers[0]?.id}: step 1: not in the second run\n`);
  });
});

test("the table says why, from what was counted, and where to read more of a failure", () => {
  const [scenario] = document.scenarios;
  if (scenario === undefined) throw new Error("no scenario");
  const text = scenarioText(scenario, { ranked: true });
  expect(text).toMatch(/Why \(data copied\):\n {2}overlay2: no data copied: 1 copy-up/);
  expect(text).toMatch(/vfs: \d+ B.*when containers were created/);
  expect(text).toContain("cowlab explain f.yaml --step mv --driver overlay2");
  expect(text).toMatch(/Warnings:\n {2}overlay2, vfs: step name, answer: expected EIO, found ENOENT/);
  expect(scenarioText(scenario, { quiet: true }).split("\n")[2]).toMatch(
    /overlay2: step mv, calls: expected at most 3, found \d+/,
  );
});

function textOf(yaml: string): string {
  return scenarioText(scenarioDocument(runScenario(loadScenario(yaml, "f.yaml"), { makeWorld })));
}

const HEAD = "version: 1\nname: told\nabout: x\nhost: { backing: tmpfs }\ndrivers: [overlay2, overlay, vfs]\n";

test("drivers that fail alike share the lines, and one of them is named for explain", () => {
  const text = textOf(`${HEAD}images: { i: { layers: [{ write: /f, size: 1KiB }] } }
containers: { c: { image: i } }
steps:
  - { id: gone, in: c, do: { stat: /gone }, expect: { result: ok } }
  - { id: quiet, in: c, do: { sh: "true" }, expect: { stdout: word } }
`);
  expect(text).toContain(
    [
      "  overlay2, overlay, vfs: step gone, answer: expected ok, found ENOENT",
      "    f.yaml:9:55  → cowlab explain f.yaml --step gone --driver overlay2",
      '  overlay2, overlay, vfs: step quiet, stdout: expected word, found ""',
    ].join("\n"),
  );
});

test("a driver that stopped shows no figures of what it did not finish, and what to do where a folder is missing", () => {
  const text = textOf(`${HEAD}images: { i: { layers: [{ write: /d/f, size: 1KiB }] } }
containers: { c: { image: i } }
steps: []
compare: { metrics: [data_copied_at_build, calls], reference: vfs }
`);
  expect(text).toMatch(/vfs +– +– +– +stopped: build/);
  expect(text.replace(/\n +/g, " ")).toContain("write /d/f: ENOENT: there is no folder /d yet; { sh: mkdir -p /d } makes it");
});

test("the reasons are of the first figure in which drivers differ; a level is told by where it rose last", () => {
  const scenario = `${HEAD.replace("tmpfs", "ext4")}images: { i: { layers: [{ write: /f, size: 1MiB }] } }
containers: { a: { image: i }, b: { image: i } }
steps:
  - { id: empty, do: { drop_caches: 1 } }
  - { id: first, in: a, do: { read: /f } }
  - { id: other, in: b, do: { read: /f } }
`;
  const text = textOf(`${scenario}compare: { metrics: [refused, cached_pages] }\n`).replace(/\n {4}/g, " ");
  expect(text).toContain("Why (cached pages):");
  expect(text).toContain("overlay2, overlay: 256 at step first (read /f): 1 MiB read from the disk");
  expect(text).toContain("vfs: 256 of 512 at step first (read /f): 1 MiB read from the disk");
  expect(textOf(scenario)).not.toContain("modelled");
});

test("what one phase takes and another gives back is told of the first alone, and a part may be more than the whole", () => {
  const text = textOf(`${HEAD}images: { i: { layers: [{ write: /f, size: 1MiB }] } }
containers: { c: { image: i } }
steps:
  - { id: more, in: c, do: { write: /g, size: 3MiB } }
  - { id: gone, in: c, do: { unlink: /g } }
  - { id: old, in: c, do: { unlink: /f } }
compare: { metrics: [space_allocated_at_steps, space_allocated_at_create] }
`).replace(/\n {4}/g, " ");
  expect(text).toContain("Why (allocated in steps):");
  expect(text).toMatch(/overlay: nothing allocated in the steps: .* vfs: 3 MiB \(-1 MiB in all\) at step more/s);
});

test("combinations of parameters stand beside each other in one table", () => {
  const one = (size: string): RunDocument["scenarios"][number] => {
    const scenario = loadScenario(
      `${HEAD}images: { i: { layers: [{ write: /f, size: ${size} }] } }\ncontainers: { c: { image: i } }\nsteps: []\n`,
      "f.yaml",
    );
    return { ...scenarioDocument(runScenario(scenario, { makeWorld })), parameters: { size } };
  };
  expect(combinationsText([one("1KiB"), one("2KiB")], 80).split("\n")).toEqual([
    "told: data copied",
    "",
    "           overlay2  overlay    vfs",
    "─────────  ────────  ───────  ─────",
    "size=1KiB       0 B      0 B  1 KiB",
    "size=2KiB       0 B      0 B  2 KiB",
    "",
  ]);
  expect(combinationsText([one("1KiB")], 80)).toBe("");
});

test("explain tells a refused call although many like it are left out", () => {
  const events: RunEvent[] = [];
  const scenario = loadScenario(
    `${HEAD}images: { i: { layers: [{ mkdir: /d }] } }\ncontainers: { c: { image: i } }\nsteps: [{ in: c, do: { sh: "touch /d/a /d/b /d/c /d/d /d/e /d/f /d/g /d/h; cat /gone; touch /d/i" } }]\n`,
    "f.yaml",
  );
  const result = scenarioDocument(
    runScenario(scenario, {
      makeWorld,
      onEvent: (event) => (event.driver === "vfs" && event.step === 0 ? events.push(event) : 0),
    }),
  );
  const driver = result.drivers.find(({ id }) => id === "vfs");
  if (driver === undefined) throw new Error("no vfs");
  expect(explainText({ scenario: result, driver, step: 0, events }, 80)).toMatch(
    /more of call, and refused:\n {2}openat\("\/gone", O_RDONLY\) = ENOENT/,
  );
});

test("of a combination of parameters that failed explain is given the same, and says which it is of", () => {
  const written = `${HEAD}matrix: { size: [1, 2] }\nimages: { i: { layers: [{ mkdir: /d }] } }\ncontainers: { c: { image: i } }\nsteps:\n  - { id: s, in: c, do: { write: /f, size: $size }, expect: { error: EIO } }\n`;
  const [, scenario] = loadScenarios(written, "f.yaml");
  if (scenario === undefined) throw new Error("one combination");
  const result = scenarioDocument(runScenario(scenario, { makeWorld }));
  expect(scenarioText(result)).toContain("cowlab explain f.yaml --step s --driver overlay2 -P size=2\n");
  const [driver] = result.drivers;
  if (driver === undefined) throw new Error("no driver");
  expect(explainText({ scenario: result, driver, step: 0, events: [] }, 80)).toMatch(/^told · size=2, step s on overlay2: /);
});

test("explain tells an answer of several lines whole, as it stands, and a list entry by entry", () => {
  const scenario = loadScenario(
    `${HEAD}images: { i: { layers: [{ mkdir: /d }] } }\ncontainers: { c: { image: i } }\nsteps:\n  - { in: c, do: { sh: "mkdir /d/a /b; du -b /d; df -T /; ls /" } }\n  - { do: { diff: c } }\n  - { do: { measure: [calls, refused] } }\n`,
    "f.yaml",
  );
  const result = scenarioDocument(runScenario(scenario, { makeWorld }));
  const driver = result.drivers.find(({ id }) => id === "vfs");
  if (driver === undefined) throw new Error("no vfs");
  const [script = "", diff, measure] = [0, 1, 2].map((step) => explainText({ scenario: result, driver, step, events: [] }, 80));
  expect(script).toMatch(/\nAnswer:\n {2}\d+ +\/d\/a\n {2}\d+ +\/d\n {2}Filesystem +Type +.*\n.*\n {2}b\n {2}d\n\nCounted:/);
  expect(diff).toContain("\nAnswer:\n  A /b\n  A /d/a\n  C /d\n\n");
  expect(measure).toContain("measure calls,refused");
});

describe("names out of a file tree", () => {
  test("cannot drive a terminal in a table", () => {
    for (const { scenarios } of hostile)
      for (const scenario of scenarios) expect(scenarioText(scenario)).not.toMatch(/[^\P{Cc}\n]|\p{Cf}/u);
  });

  test("cannot leave a cell of Markdown, nor be HTML", () => {
    for (const one of hostile) {
      const text = markdownText(one);
      expect(text).not.toMatch(/<|[^\P{Cc}\n]|\p{Cf}/u);
      const table = text.split("\n").filter((line) => line.startsWith("|"));
      expect(new Set(table.map((line) => line.replaceAll("\\|", "").split("|").length)).size).toBe(1);
    }
  });

  test("cannot be markup in XML and SVG, which stay well formed", () => {
    for (const one of hostile) for (const text of [junitText(one), svgText(one)]) expectWellFormed(text);
  });

  test("cannot begin a workflow command", () => {
    for (const one of hostile) {
      const lines = githubText(one).trimEnd().split("\n");
      for (const line of lines)
        expect(line).toMatch(/^::(error|warning) file=f\.yaml,line=\d+,col=\d+,title=formats on \w+(%2C \w+)*::[^\p{Cc}]*$/u);
    }
  });

  test("cannot be a workflow command in a table, which GitHub Actions reads too", () => {
    const [scenario] = document.scenarios;
    if (scenario === undefined) throw new Error("no scenario");
    const text = scenarioText({ ...scenario, about: "::error::no ##[group]x\nC++::f 1::2" });
    expect(text).toContain("\n\\x3a:error::no #\\x23[group]x\nC++::f 1::2\n");
  });

  test("cannot be a formula in CSV", () => {
    expect(["=1+1", "+1", "-x", "@a", "-3.5", "a,b", 'q"', " x"].map(csvField)).toEqual([
      '"\'=1+1"',
      '"\'+1"',
      '"\'-x"',
      '"\'@a"',
      "-3.5",
      '"a,b"',
      '"q"""',
      '" x"',
    ]);
    expect(csvText(document).split("\r\n")[0]).toBe("scenario,parameters,seed,driver,part,step,metric,value,unit");
  });
});

/** A small check of XML: tags nest, attributes are quoted, entities are known, no character that XML forbids. */
function expectWellFormed(text: string): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what XML forbids
  expect(text).not.toMatch(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]|&(?!#\d+;)/);
  const open: string[] = [];
  const rest = text.replace(
    /<\?xml[^>]*\?>|<(\/?)([a-z]+)((?:\s+[a-z-]+="[^"<]*")*)\s*(\/?)>/gi,
    (whole, close: string, name: string, _: string, empty: string) => {
      if (whole.startsWith("<?")) return "";
      if (close === "/") expect(open.pop()).toBe(name);
      else if (empty !== "/") open.push(name);
      return "";
    },
  );
  expect(open).toEqual([]);
  expect(rest.replace(/<style>.*?<\/style>/g, "")).not.toMatch(/[<]/);
}

test("at most nine annotations of a kind are written, and how many more there are", () => {
  const [scenario] = document.scenarios;
  const [driver] = scenario?.drivers ?? [];
  if (scenario === undefined || driver === undefined) throw new Error("no scenario");
  const expectations = Array.from({ length: 20 }, (_, line) => ({
    what: "calls",
    ok: false,
    expected: "1",
    found: "2",
    line: line + 1,
    column: 1,
  }));
  const lines = githubText(runDocument([{ ...scenario, drivers: [{ ...driver, expectations }] }]))
    .trimEnd()
    .split("\n");
  expect(lines).toHaveLength(10);
  expect(lines[9]).toMatch(/^::error::and 11 more/);
});

test("a text's width counts what a terminal shows: wide characters two, marks and joiners none", () => {
  expect(
    ["abc", "日本", "e\u0301", "한글", "\u1112\u1161\u11ab", "👨‍👩‍👧", "ｱ", "Ａ", "🇩🇪", "à́", "𠀋", "\u200b"].map(textWidth),
  ).toEqual([3, 4, 1, 4, 2, 2, 1, 2, 2, 1, 2, 0]);
});

describe("events", () => {
  test("come as lines of JSON with their driver, phase, step and virtual time", () => {
    const lines: string[] = [];
    run("/nothing", (event) => void lines.push(eventLine("formats", event)));
    const events = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(events.filter(({ op, phase }) => op === "call" && phase === "steps")[0]).toMatchObject({
      scenario: "formats",
      driver: "overlay2",
      step: 1,
      call: "renameat2",
      result: "EXDEV",
      filesystem: "overlay",
    });
  });

  test("make a trace that a parser reads: processes and tracks are named, times never go back, calls are spans", () => {
    const chunks: string[] = [];
    const trace = new TraceWriter((text) => void chunks.push(text));
    run("/nothing", (event) => trace.add("formats", event));
    trace.end();
    const { traceEvents } = JSON.parse(chunks.join("")) as {
      traceEvents: { ph: string; pid: number; ts?: number; dur?: number; name: string; args: { name?: string } }[];
    };
    expect(traceEvents.filter(({ ph, name }) => ph === "M" && name === "process_name").map(({ args }) => args.name)).toEqual([
      "overlay2 · formats",
      "vfs · formats",
    ]);
    const ends = traceEvents.filter(({ pid, ts }) => pid === 1 && ts !== undefined).map(({ ts = 0, dur = 0 }) => ts + dur);
    expect(ends).toEqual([...ends].sort((one, other) => one - other));
    expect(traceEvents.some(({ ph, name }) => ph === "X" && name === "renameat2")).toBe(true);
  });

  test.each([
    ["rounds", Math.round],
    ["cuts off", Math.trunc],
  ])("are read by Perfetto without loss, where it %s what is less than a nanosecond", (_, whole) => {
    const chunks: string[] = [];
    const trace = new TraceWriter((text) => void chunks.push(text));
    for (const cost of [undefined, "nvme"]) run("/nothing", (event) => trace.add(`formats ${cost ?? ""}`, event), cost);
    // Calls one right behind the other.
    const call = { op: "call", process: "c", filesystem: "tmpfs", call: "stat", arguments: "", result: "0" } as const;
    for (let step = 0; step < 5000; step++) {
      const stamped = { step, now: 7 * step + 7, event: { ...call, since: 7 * step } };
      trace.add("many", { driver: "vfs", phase: "steps", step, stamped });
    }
    trace.end();
    const { traceEvents } = JSON.parse(chunks.join("")) as { traceEvents: PerfettoEvent[] };
    expect(lossesOf(traceEvents, whole)).toEqual([]);
    expect(traceEvents.filter(({ ph }) => ph === "X").length).toBeGreaterThan(5000);
  });

  test("that overlap on a track without nesting are found out", () => {
    const span = (ts: number, dur: number): PerfettoEvent => ({ ph: "X", name: "call", pid: 1, tid: 1, ts, dur, args: {} });
    const named = ["process_name", "thread_name"].map((name) => ({ ph: "M", name, pid: 1, tid: 1, args: { name: "a" } }));
    expect(lossesOf([...named, span(1, 2), span(1.5, 1)], Math.round)).toEqual([]);
    expect(lossesOf([...named, span(1, 2), span(2, 2)], Math.round)).toEqual(["call at 2000 overlaps its elder on 1 1"]);
  });

  test("a million of them are a trace that takes no memory, and reads back as whole objects", () => {
    const pieces: string[] = [];
    let count = 0;
    let lines = 0;
    let peak = 0;
    const rss = process.memoryUsage().rss;
    writeMillion((text) => {
      for (let at = text.indexOf("\n{"); at >= 0; at = text.indexOf("\n{", at + 1)) lines += 1;
      if (++count % KEPT_ONE_IN === 1 || text.endsWith("]}\n")) pieces.push(text);
      peak = Math.max(peak, process.memoryUsage.rss());
    });
    // Pieces hold whole objects: some of them are a smaller document of the same form.
    const { traceEvents } = JSON.parse(pieces.join("")) as Written;
    expect(traceEvents.length).toBe(pieces.join("").split("\n{").length - 1);
    expect(traceEvents.length).toBeGreaterThan(EVENTS / KEPT_ONE_IN);
    // A call, a command of the disk and its counter; and the names of the process and its two tracks.
    expect(lines).toBe(1.5 * EVENTS + 3);
    expect((peak - rss) / 2 ** 20).toBeLessThan(300);
  });

  test("make a map of the disk, one for each driver", () => {
    const maps = new BlockMaps();
    const at = (driver: string, offset: number, phase: "build" | "steps"): void =>
      maps.add(
        "s",
        {
          driver,
          phase,
          step: undefined,
          stamped: { step: 0, now: 0, event: { op: "deviceWrite", device: "vda", offset, length: 4096 } },
        },
        2 ** 30,
      );
    at("vfs", 0, "build");
    at("vfs", 2 ** 30 - 4096, "steps");
    at("zfs", 0, "steps");
    const svg = maps.svg();
    expectWellFormed(svg);
    expect(svg).toContain("s · zfs · vda");
    // Each kind of cell has a pattern of its own, which is told without its colour.
    const strokes = [...svg.matchAll(/<pattern id="(\w+)"[^>]*><rect [^>]*\/>(?:<path d="([^"]*)"[^>]*\/>)?<\/pattern>/g)];
    expect(strokes.map(([, kind]) => kind)).toEqual(["build", "create", "steps", "discarded"]);
    expect(new Set(strokes.map(([, , path]) => path)).size).toBe(4);
    expect(svg.match(/fill="url\(#steps\)"/g)).toHaveLength(3);
  });
});
