import fc from "fast-check";
import { expect, test } from "vitest";
import { crc32cBytes, crc32cText } from "../../sim/core/crc32c.ts";

test("a text's CRC is that of its UTF-8 bytes, wherever it leaves ASCII", () => {
  fc.assert(
    fc.property(
      fc.nat(0xffffffff),
      fc.string({ unit: fc.constantFrom("a", "\u0080", "ÿ", "€", "😀") }),
      fc.string({ unit: "grapheme-ascii" }),
      (seed, text, ascii) => {
        for (const whole of [ascii, ascii + text])
          expect(crc32cText(seed, whole)).toBe(crc32cBytes(seed, new TextEncoder().encode(whole)));
      },
    ),
  );
});
