import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { loadScenario } from "../../src/scenario/load.ts";
import { ScenarioError } from "../../src/scenario/problem.ts";
import { jsonSchema } from "../../src/scenario/schema.ts";

const GOOD = `version: 1
name: copy-up
about: One byte
sources: [moby#8119]
drivers:
  - overlay2
  - { id: overlay2+metacopy, driver: overlay2, options: { metacopy: on } }
  - vfs
host: { backing: ext4, device: 8GiB, memory: 512MiB }
seed: 7
vars: { n: 4 }
images:
  db:
    layers:
      - { mkdir: /db, mode: 0750 }
      - - { write: /db/data, size: 256MiB, content: random }
containers:
  c1: { image: db }
steps:
  - id: open
    in: c1
    do: { open: /db/data, flags: O_RDWR, as: fd }
    expect: { result: ok }
  - in: c1
    do: { pwrite: $fd, offset: 128MiB, size: 1, fill: 0x5a }
    expect:
      vfs: { data_copied: 0, copy_ups: { max: 3 } }
      overlay2: { data_copied: 256MiB ~5% }
`;

/** The problems of a text, one a line. */
function problemsOf(text: string): string {
  try {
    loadScenario(text, "f.yaml");
  } catch (error) {
    if (error instanceof ScenarioError) return error.message;
    throw error;
  }
  return "";
}

describe("a scenario file", () => {
  test("is read with its defaults, places and quantities", () => {
    const scenario = loadScenario(GOOD, "f.yaml");
    expect(scenario.drivers.map((driver) => driver.id)).toEqual(["overlay2", "overlay2+metacopy", "vfs"]);
    expect(scenario.host).toEqual({ backing: "ext4", device: 2 ** 33, memory: 2 ** 29, kernel: "6.18", docker: "20.10" });
    expect(scenario.images[0]?.layers[0]?.operations).toEqual([
      { kind: "call", step: { call: "mkdir", path: "/db", mode: "0750" } },
    ]);
    expect(scenario.steps[1]).toMatchObject({ id: "step-2", container: "c1", place: { line: 24, column: 5 } });
    const bounds = scenario.steps[1]?.expectations.map(({ driver, what }) => [
      driver,
      what.kind === "amount" ? what.bounds : what,
    ]);
    expect(bounds).toEqual([
      ["overlay2", { min: 2 ** 28 * 0.95, max: 2 ** 28 * 1.05 }],
      ["vfs", { min: 0, max: 0 }],
      ["vfs", { min: Number.NEGATIVE_INFINITY, max: 3 }],
    ]);
  });

  test("names every driver of Docker's when it names none", () => {
    expect(loadScenario(GOOD.replace(/drivers:[^h]*- vfs\n/s, "").replace("seed", "# seed"), "f.yaml").drivers).toHaveLength(7);
  });

  test("may build an image on another, written above or below it", () => {
    const text = GOOD.replace("  db:\n", "  app: { from: db }\n  db:\n");
    expect(loadScenario(text, "f.yaml").images.map((image) => image.name)).toEqual(["db", "app"]);
  });
});

/** What is replaced in GOOD, by what, and what is said about it. */
const FAULTS: readonly (readonly [string, string, string])[] = [
  ["  - overlay2\n", "  - overlya2\n", '6:5: unknown driver "overlya2"; did you mean "overlay2"?'],
  ["size: 256MiB", "size: 256M", '16:36: unknown unit "M"; did you mean "MiB" (powers of 1024) or "MB" (powers of 1000)?'],
  ["size: 256MiB", "size: 256mib", '16:36: unknown unit "mib"; did you mean "MiB"?'],
  ["size: 256MiB", "sizee: 256MiB", '16:30: unknown key "sizee"; did you mean "size"?'],
  ["expect: { result: ok }", "sh: ls", '23:5: unknown key "sh"; it stands below "do": { sh: … }'],
  ["pwrite: $fd", "pwrit: $fd", '25:11: unknown action "pwrit"; did you mean "pwrite"?'],
  ["mkdir: /db", "mkdr: /db", '15:11: unknown action "mkdr"; did you mean "mkdir"?'],
  ["O_RDWR", "O_RDRW", '22:34: unknown flag "O_RDRW"; did you mean "O_RDWR"?'],
  ["data_copied: 0", "data_copid: 0", '27:14: unknown key "data_copid"; did you mean "data_copied"?'],
  ["      vfs:", "      vsf:", '27:7: unknown key "vsf"; did you mean "vfs"?'],
  ["      vfs:", "      zfs:", '27:7: unknown key "zfs"; this file does not run that driver'],
  ["- { mkdir: /db,", '- { mkdir: "/d\\0b",', "15:18: a path has no NUL in it"],
  ["in: c1", "in: c2", '21:9: no container is called "c2"; did you mean "c1"?'],
  ["image: db", "image: dd", '18:16: no image is called "dd"; did you mean "db"?'],
  ["pwrite: $fd", "pwrite: $fx", '25:9: no step before this one opened "$fx" in this container; did you mean "$fd"?'],
  ["mode: 0750", "mode: 0790", '15:29: expected an octal mode such as 0644, found "0790"'],
  ["offset: 128MiB, ", "", '25:9: "offset" is missing'],
  ["version: 1", "version: 2", "1:10: this program reads version 1, not 2"],
  ["result: ok", "error: EXDVE", '23:22: unknown error "EXDVE"; did you mean "EXDEV"?'],
  ["result: ok", "result: EXDEV", '23:23: a result can only be ok, found "EXDEV"; an error is expected as { error: EXDEV }'],
  ["seed: 7", "seed: .nan", '10:7: expected a number, found ".nan"'],
  ["{ max: 3 }", "{ max: 3, mim: 2 }", '27:50: unknown key "mim"; did you mean "min"?'],
  ["8GiB", "99999TiB", '9:32: "99999TiB" is more than 16 TiB'],
  ["8GiB", "9999", "9:32: a disk has whole sectors of 512 bytes, not 9999 bytes"],
  ["8GiB", "-4", "9:32: expected a whole number from 0 on, found -4"],
  ["8GiB", "$m*3", '9:32: no variable is called "$m"; did you mean "$n"?'],
  ["fill: 0x5a", "fill: 0x5a1", '25:55: expected one byte such as 0x5a, found "0x5a1"'],
  ["fill: 0x5a", "fill: 1, text: a", '25:9: "text" stands alone: leave out "size", "fill" and "content"'],
  ["metacopy: on", "metacpy: on", '7:59: the driver overlay2 has no option "metacpy"; did you mean "metacopy"?'],
  [
    "  - vfs",
    "  - { id: vfs, driver: btrfs, options: { metacopy: on } }",
    '8:42: the driver btrfs has no option "metacopy"; known: min_space',
  ],
  ["  - vfs", "  - { id: vfs, driver: zfs, options: { fsname: z } }", '8:40: the driver zfs has no option "fsname"'],
  ["  - vfs", "  - { id: vfs, driver: overlay, options: { index: on } }", '8:44: the driver overlay has no option "index"'],
  ["  - vfs", "  - { id: vfs, driver: vfs, options: { size: much } }", '8:40: size is SIZE, not "much"'],
  [
    "{ mkdir: /db, mode: 0750 }",
    "{ populate: /db, files: 2, sync: true }",
    "15:42: expected a thing to sync, found true; known: filesystem",
  ],
  ["c1: { image: db }", "c1: { image: db, count: 0 }", "18:27: expected 1 to 10,000 containers"],
  ["c1: { image: db }", "c1: { image: db, count: 20000 }", "18:27: expected 1 to 10,000 containers"],
  [
    "c1: { image: db }",
    "c1: { image: db }\n  d: { image: db, count: 2 }\n  d-2: { image: db }",
    '20:8: two containers are called "d-2"',
  ],
  ["c1: { image: db }", "c1: { image: dc, count: 3 }", '18:16: no image is called "dc"; did you mean "db"?'],
  ["c1: { image: db }", "c1: { image: db, count: 3 }", '21:9: no container is called "c1"; did you mean "c1-1"?'],
  ["metacopy: on", "metacopy: yes", '7:59: metacopy is on or off, not "yes"'],
  ["backing: ext4", "backing: ext5", '9:18: unknown backing filesystem "ext5"; did you mean "ext4"?'],
  ["{ mkdir: /db, mode: 0750 }", "{ populate: /db, files: 100000000 }", "15:33: more than 10,000,000 in one folder"],
  ["seed: 7", "seed: 7\nseed: 8", '11:1: the key "seed" is there twice'],
  [
    "do: { open: /db/data, flags: O_RDWR, as: fd }",
    "do: { remove: c2 }",
    '22:9: no container or layer is called "c2"; did you mean "c1"?',
  ],
  [
    "do: { open: /db/data, flags: O_RDWR, as: fd }",
    'do: { remove: "db:3" }',
    '22:9: no container or layer is called "db:3"; did you mean "db:1"?',
  ],
  ["result: ok", "result: ok, message: busy", '23:27: expect one of "result", "error", "message" and "value"'],
  ["about: One byte", "about: *x", '3:8: no anchor is called "x"'],
  ["about: One byte", "about: !js x", "3:8: unresolved tag: !js"],
];

describe("a wrong scenario file", () => {
  test("with one driver's name for the list of them is told both that may stand there", () => {
    const text = GOOD.replace(/drivers:\n.*?- vfs\n/s, "drivers: overlay2\n");
    expect(problemsOf(text).split("\n")[0]).toMatch(/^f\.yaml:\d+:10: expected "all" or a list, found "overlay2"$/);
  });

  test.each(FAULTS)("with %j as %j is refused at its place, with what was meant", (old, made, message) => {
    expect(GOOD).toContain(old);
    const found = problemsOf(GOOD.replace(old, made)).split("\n");
    expect(found.find((line) => line === `f.yaml:${message}`) ?? found).toBe(`f.yaml:${message}`);
  });

  test("of another version has nothing else told of it", () => {
    expect(problemsOf("version: 3\nlater: x\n")).toBe("f.yaml:1:10: this program reads version 1, not 3");
  });

  test("has a wrong variable told once: what follows from it is not", () => {
    const text = GOOD.replace("vars: { n: 4 }", "vars: { n: $m, m: 1, o: 2*$n }").replace("8GiB", "$o");
    expect(problemsOf(text)).toBe('f.yaml:11:12: n: "$m" stands below: a variable may use those above it');
  });

  test("shows all of its problems, in the order of their places", () => {
    const text = GOOD.replace("seed: 7", "sed: 7").replace("O_RDWR", "O_RDW");
    expect(problemsOf(text)).toBe(
      'f.yaml:10:1: unknown key "sed"; did you mean "seed"?\nf.yaml:22:34: unknown flag "O_RDW"; did you mean "O_RDWR"?',
    );
  });

  test("cannot forge a line of output or drive the terminal", () => {
    expect(problemsOf(GOOD.replace("image: db", 'image: "a\\nb\\u001b[2J"'))).toContain("\\n");
    expect(problemsOf(GOOD.replace("image: db", 'image: "a\\u202eb"'))).not.toContain("\u202e");
  });

  test("that builds an image on itself is refused", () => {
    expect(problemsOf(GOOD.replace("  db:\n", "  db:\n    from: db\n"))).toBe(
      'f.yaml:14:11: the image "db" is built from itself',
    );
  });
});

const bomb = `a: &a [${"x,".repeat(9)}x]\n${[..."bcdefghijk"].map((name, index) => `${name}: &${name} [${Array(9).fill(`*${"abcdefghijk"[index]}`).join(",")}]`).join("\n")}`;
const HOSTILE: readonly (readonly [string, string, string])[] = [
  ["brackets", "[".repeat(100_000), "nested deeper"],
  ["dashes in one line", `${"- ".repeat(50_000)}a`, "nested deeper"],
  ["question marks in one line", "? ".repeat(3000), "nested deeper"],
  ["indentation", Array.from({ length: 500 }, (_, depth) => `${" ".repeat(depth)}a:`).join("\n"), "nested deeper"],
  ["aliases of aliases", bomb, "aliases expand to more than 100000 values"],
  ["an alias of itself", "&a [*a]", "nested deeper"],
  ["two megabytes", "a".repeat(2_000_000), "longer than"],
  ["__proto__", "__proto__: { polluted: true }", 'unknown key "__proto__"'],
  ["a list as a key", "? [1, 2]\n: 3\n", "1:3:"],
  ["nothing", "", "the file is empty"],
];

describe("a file made to hurt", () => {
  test.each(HOSTILE)("by %s is refused with a message", (_, text, message) => {
    expect(problemsOf(text)).toContain(message);
    expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false);
  });
});

test("the JSON Schema in schema/ is the one that the program's own schema gives", () => {
  const kept = JSON.parse(readFileSync(new URL("../../schema/scenario-1.json", import.meta.url), "utf8"));
  expect(kept).toEqual(JSON.parse(JSON.stringify(jsonSchema())));
});
