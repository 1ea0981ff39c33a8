/**
 * Zstandard frames: what zstd(1) packed at each level is opened to the same bytes, and what is damaged is refused.
 */
import { execFileSync, spawnSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { ArchiveFault } from "../../src/archive/fault.ts";
import { unpackZstd } from "../../src/archive/zstd.ts";
import { runs } from "../runs.ts";

function opened(raw: Uint8Array): Content {
  return unpackZstd(Content.literal(raw));
}

function codeOf(raw: Uint8Array): string | undefined {
  try {
    opened(raw);
    return undefined;
  } catch (error) {
    if (error instanceof ArchiveFault) return error.code;
    throw error;
  }
}

const bytes = (text: string): Uint8Array => Uint8Array.from(atob(text), (unit) => unit.charCodeAt(0));
/** Of zstd 1.5.4, level 19. */
const HELLO = bytes("KLUv/QRozQAAmGhlbGxvICwgd29ybGQgd29ybGQBAJlLEdGXwP8=");

test("a frame of zstd(1) is its text; frames follow each other, and those that are to be skipped are", () => {
  const text = "hello hello hello hello, world world";
  expect(opened(HELLO).toText()).toBe(text);
  const skipped = Uint8Array.of(0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3);
  expect(opened(Uint8Array.from([...HELLO, ...skipped, ...HELLO])).toText()).toBe(text + text);
  expect(opened(new Uint8Array(0)).length).toBe(0);
});

test("blocks of plain bytes and of one byte", () => {
  const frame = (...blocks: number[]): Uint8Array => Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x00, ...blocks);
  expect(opened(frame(0x10, 0, 0, 0x61, 0x62, 0x2b, 0, 0, 0x63)).toText()).toBe("abccccc");
});

describe("what is not as the format has it is refused", () => {
  test.each([
    ["another beginning", Uint8Array.of(1, 2, 3, 4, 5, 6)],
    ["a window of 2 GiB", Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 1, 0, 0)],
    ["a dictionary", Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x01, 0x00, 7, 1, 0, 0)],
    ["a block of the fourth kind", Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x00, 7, 0, 0)],
    ["an end within a block", HELLO.slice(0, -8)],
    ["an end within the header", HELLO.slice(0, 5)],
    ["a bit that nobody has given a meaning", Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x08, 0x00, 1, 0, 0)],
  ])("%s", (_, raw) => {
    expect(codeOf(raw)).toBe("E_COMPRESSION");
  });

  test("a bomb of single bytes is stopped", () => {
    const blocks = Array.from({ length: 200 }, () => [0x02, 0x00, 0x10, 0]).flat();
    expect(codeOf(Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38, ...blocks, 1, 0, 0))).toBe("E_LIMIT");
  });
});

const hasZstd = spawnSync("zstd", ["--version"]).status === 0;

describe.skipIf(!hasZstd)("zstd(1) (skipped where it is not installed)", () => {
  // Of a length that it is not told zstd expects the worst, and fills tables of hundreds of MiB for it.
  const pack = (raw: Uint8Array, ...flags: readonly string[]): Uint8Array =>
    new Uint8Array(execFileSync("zstd", ["-q", "-c", `--size-hint=${raw.length}`, ...flags], { input: raw, maxBuffer: 2 ** 26 }));

  /** Text, tables, runs and noise, as layers have them. */
  const mixed = Content.concat([
    Content.text(Array.from({ length: 4000 }, (_, at) => `line ${at} of ${(at * 7919) % 997}\n`).join("")),
    Content.zeros(300_000),
    Content.pattern(5, 200_000),
    Content.repeat(Content.pattern(6, 777).toBytes(), 400_000),
    Content.text(JSON.stringify(Object.fromEntries(Array.from({ length: 900 }, (_, at) => [`key${at}`, at * at])))),
  ]).toBytes();

  test.each([
    ["--fast=5"],
    ["-1"],
    ["-3"],
    ["-9"],
    ["-19"],
    ["--ultra", "-22"],
    ["-3", "--long=27"],
    ["-3", "--no-check", "--no-content-size"],
  ])("packed with %s %s, it is the same bytes", (...flags) => {
    const raw = opened(pack(mixed, ...flags)).toBytes();
    expect(Buffer.compare(raw, mixed)).toBe(0);
  });

  test("random pieces over and over, of any length", () => {
    const piece = fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 300 }));
    const run = fc.property(fc.array(piece, { maxLength: 12 }), fc.constantFrom("-1", "-5", "-15"), (pieces, level) => {
      const raw = Uint8Array.from(pieces.flatMap(([unit, times]) => new Array<number[]>(times).fill([...unit]).flat()));
      expect(Buffer.compare(opened(pack(raw, level)).toBytes(), raw)).toBe(0);
    });
    fc.assert(run, runs(25));
  });

  test("a frame with any bytes changed is refused or gives bytes, and never anything else", () => {
    const frame = pack(mixed.subarray(0, 20_000), "-9");
    const change = fc.tuple(fc.nat(frame.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 5 }), (changes) => {
        const raw = frame.slice();
        for (const [at, byte] of changes) raw[at] = byte;
        expect(["E_COMPRESSION", "E_LIMIT", undefined]).toContain(codeOf(raw));
      }),
      runs(200),
    );
  });
});
