import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { BlockRecord } from "../../sim/core/block-record.ts";
import { Content } from "../../sim/core/content.ts";

/** A content and the plain bytes that it stands for. */
interface Pair {
  readonly content: Content;
  readonly plain: Uint8Array;
}

/** The pattern's bytes for positions 0 to 2,999 of seed n, each asked for alone: what slices must agree with. */
const PATTERNS = [1, 2, -7].map((seed) => ({
  seed,
  plain: Uint8Array.from({ length: 3000 }, (_, at) => Content.pattern(seed, 1, at).byteAt(0)),
}));

function recordOf(plain: Uint8Array): BlockRecord {
  return { kind: "test.block", length: plain.length, encode: () => plain };
}

const plainBytes = fc.uint8Array({ minLength: 1, maxLength: 300 });

const runs: fc.Arbitrary<Pair> = fc.oneof(
  fc.nat(300).map((length) => ({ content: Content.zeros(length), plain: new Uint8Array(length) })),
  plainBytes.map((plain) => ({ content: Content.literal(plain), plain })),
  plainBytes.map((plain) => ({ content: Content.copyOf(plain), plain })),
  plainBytes.map((plain) => ({ content: Content.record(recordOf(plain)), plain })),
  fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 9 }), fc.nat(200), fc.nat(20)).map(([unit, length, phase]) => ({
    content: Content.repeat(unit, length, phase),
    plain: Uint8Array.from({ length }, (_, at) => unit[(at + phase) % unit.length] as number),
  })),
  fc.tuple(fc.constantFrom(...PATTERNS), fc.nat(2000), fc.nat(900)).map(([pattern, offset, length]) => ({
    content: Content.pattern(pattern.seed, length, offset),
    plain: pattern.plain.slice(offset, offset + length),
  })),
);

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

/** Ropes by slicing and joining again and again, with their bytes. */
const pairs: fc.Arbitrary<Pair> = fc.array(fc.tuple(runs, fc.nat(300), fc.nat(300)), { maxLength: 8 }).map((parts) => {
  const cut = parts.map(([pair, from, length]) => ({
    content: pair.content.slice(from, from + length),
    plain: pair.plain.slice(from, from + length),
  }));
  return {
    content: Content.concat(cut.map((part) => part.content)),
    plain: joined(cut.map((part) => part.plain)),
  };
});

describe("Content", () => {
  it("has the length, bytes and single bytes of the plain bytes, however it was sliced and joined", () => {
    fc.assert(
      fc.property(pairs, fc.nat(), ({ content, plain }, at) => {
        expect(content.length).toBe(plain.length);
        expect(content.toBytes()).toEqual(plain);
        if (plain.length > 0) expect(content.byteAt(at % plain.length)).toBe(plain[at % plain.length]);
        expect(content.runs.reduce((sum, run) => sum + run.length, 0)).toBe(plain.length);
        expect(content.runs.every((run) => run.kind !== "rope" && run.length > 0)).toBe(true);
      }),
    );
  });

  it("slices as an array does, with both ends clamped", () => {
    fc.assert(
      fc.property(pairs, fc.nat(1200), fc.nat(1200), ({ content, plain }, start, end) => {
        expect(content.slice(start, end).toBytes()).toEqual(plain.slice(start, Math.max(start, end)));
      }),
    );
  });

  it("is equal to another exactly when the bytes are", () => {
    fc.assert(
      fc.property(pairs, pairs, fc.nat(), (one, other, at) => {
        const same = Buffer.compare(one.plain, other.plain) === 0;
        expect(one.content.equals(other.content)).toBe(same);
        expect(one.content.equals(Content.literal(one.plain.slice()))).toBe(true);
        if (one.plain.length === 0) return;
        const changed = one.plain.slice();
        changed[at % changed.length] = (changed[at % changed.length] as number) ^ 1;
        expect(one.content.equals(Content.literal(changed))).toBe(false);
      }),
    );
  });

  it("writes into an array at a place, and nowhere else", () => {
    fc.assert(
      fc.property(pairs, fc.nat(20), ({ content, plain }, at) => {
        const target = new Uint8Array(plain.length + 40).fill(0xee);
        content.copyTo(target, at);
        expect(target.subarray(at, at + plain.length)).toEqual(plain);
        expect(target.subarray(0, at).every((byte) => byte === 0xee)).toBe(true);
        expect(target.subarray(at + plain.length).every((byte) => byte === 0xee)).toBe(true);
      }),
    );
    expect(() => Content.zeros(3).copyTo(new Uint8Array(4), 2)).toThrow("do not fit");
  });

  it("has the SHA-256 of its bytes, also beyond one piece", () => {
    fc.assert(
      fc.property(pairs, ({ content, plain }) => {
        expect(content.sha256()).toBe(createHash("sha256").update(plain).digest("hex"));
      }),
      { numRuns: 30 },
    );
    const long = Content.concat([Content.pattern(5, 70_001), Content.zeros(3), Content.pattern(6, 66_000, 7)]);
    expect(long.sha256()).toBe(createHash("sha256").update(long.toBytes()).digest("hex"));
  });

  it("joins the slices of one run to that run again", () => {
    fc.assert(
      fc.property(runs, fc.nat(300), ({ content }, at) => {
        const again = Content.concat([content.slice(0, at), content.slice(at)]);
        expect(again.sameSource(content)).toBe(true);
      }),
    );
  });

  it("costs nothing to hold a terabyte, to slice it and to compare it with itself", () => {
    const large = Content.pattern(3, 2 ** 40);
    const again = Content.concat([large.slice(0, 2 ** 39 + 1), large.slice(2 ** 39 + 1)]);
    expect(again.kind).toBe("pattern");
    expect(again.equals(large)).toBe(true);
    expect(large.slice(2 ** 39, 2 ** 39 + 5).toBytes()).toEqual(Content.pattern(3, 5, 2 ** 39).toBytes());
  });

  it("has pattern bytes that do not repeat from one 16 GiB span of positions to the next", () => {
    const here = Content.pattern(1, 64).toBytes();
    expect(Content.pattern(1, 64, 2 ** 34).toBytes()).not.toEqual(here);
    expect(Content.pattern(2, 64).toBytes()).not.toEqual(here);
  });

  it("gives a record back only whole", () => {
    const record = recordOf(new Uint8Array(512).fill(7));
    const whole = Content.record(record);
    expect(whole.wholeRecord()).toBe(record);
    expect(whole.slice(0, 256).wholeRecord()).toBeUndefined();
    expect(Content.concat([whole.slice(0, 256), Content.zeros(256)]).wholeRecord()).toBeUndefined();
    expect(Content.concat([whole.slice(0, 100), whole.slice(100)]).wholeRecord()).toBe(record);
    const other = Content.record(recordOf(new Uint8Array(512).fill(7)));
    expect(Content.concat([whole.slice(0, 256), other.slice(256)]).wholeRecord()).toBeUndefined();
    expect(whole.equals(other)).toBe(true);
  });

  it("throws when bytes are asked of a record without an encoder, or when the encoder gives too few", () => {
    expect(() => Content.record({ kind: "test.bare", length: 8 }).toBytes()).toThrow("test.bare record has no encoder");
    const short = Content.record({ kind: "test.short", length: 8, encode: () => new Uint8Array(7) });
    expect(() => short.toBytes()).toThrow("test.short");
  });

  it("turns bytes that repeat into runs, and reads text back", () => {
    expect(Content.copyOf(new Uint8Array(100)).kind).toBe("zero");
    expect(Content.copyOf(new Uint8Array(100).fill(9)).kind).toBe("repeat");
    expect(Content.repeat(new Uint8Array(4), 100).kind).toBe("zero");
    expect(Content.text("Grüße, 世界").toText()).toBe("Grüße, 世界");
    expect(Content.concat([Content.empty, Content.text("")]).length).toBe(0);
  });
});
