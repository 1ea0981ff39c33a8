/** Compressed data opened without the machine's help; the files were made by gzip 1.12, bzip2 1.0.8 and xz 5.4, two streams in each. */
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { compressionOf } from "../../src/archive/compression.ts";
import { ArchiveFault } from "../../src/archive/fault.ts";
import { gunzip } from "../../src/archive/inflate.ts";
import { opened } from "../../src/archive/open-compressed.ts";
import { nodeDecompress } from "../../src/node/decompress.ts";

const LINES = Array.from({ length: 20_000 }, (_, line) => `${(line * line) % 977} ${"ab".repeat(line % 7)}\n`).join("");
const PLAIN = Content.concat([Content.text(LINES), Content.zeros(300_000)]);

function fileOf(kind: string): Uint8Array {
  return readFileSync(new URL(`../data/compressed/two-streams.${kind}`, import.meta.url));
}

describe.each(["gz", "bz2", "xz"])("%s", (kind) => {
  test("gives what was packed, of all streams", async () => {
    const packed = Content.literal(fileOf(kind));
    expect(opened(packed).equals(PLAIN)).toBe(true);
    const name = compressionOf(packed);
    expect(name !== "none" && (await nodeDecompress(packed, name)).equals(PLAIN)).toBe(true);
  });

  test("that is cut or changed is read or refused, and never breaks the reader", () => {
    const packed = fileOf(kind);
    fc.assert(
      fc.property(fc.nat(packed.length - 1), fc.integer({ min: 1, max: 255 }), fc.boolean(), (at, change, cuts) => {
        const other = new Uint8Array(cuts ? packed.subarray(0, at) : packed);
        if (!cuts) other[at] = (other[at] ?? 0) ^ change;
        try {
          opened(Content.literal(other));
        } catch (error) {
          expect(error).toBeInstanceOf(ArchiveFault);
        }
      }),
      { numRuns: 60 },
    );
  });
});

test("whatever zlib packs, gunzip opens", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 2000 }),
    fc.array(fc.constantFrom("a", "b", "abcabc"), { maxLength: 3000 }).map((words) => new TextEncoder().encode(words.join(""))),
  );
  fc.assert(
    fc.property(bytes, fc.integer({ min: 0, max: 9 }), (raw, level) => {
      expect(gunzip(gzipSync(raw, { level })).content.toBytes()).toEqual(raw);
    }),
  );
});
