/**
 * How long blocks become by LZ4 and LZJB: as long as what plain compressors make of them by the same rules (module/zfs/lz4.c, lzjb.c of OpenZFS 2.1), whose
 * bytes unpack to the block again.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { Random } from "../../sim/core/random.ts";
import { compressedData, compressedLength, isAllZero, storedSize } from "../../sim/cow/zfs/compress.ts";
import { lz4Length, lzjbLength } from "../../sim/cow/zfs/lz.ts";
import { runs } from "../runs.ts";

/** The bytes that LZ4 makes: sequences of a token, literals, a distance and a length. */
function lz4(raw: Uint8Array): number[] {
  const out: number[] = [];
  const seen = new Map<number, number>();
  const word = (at: number): number => new DataView(raw.buffer, raw.byteOffset).getUint32(at, true);
  const hash = (at: number): number => Math.imul(word(at), 2_654_435_761) >>> 19;
  const extra = (length: number): void => {
    for (let left = length - 15; left >= 0; left -= 255) out.push(Math.min(left, 255));
  };
  const sequence = (from: number, to: number, match: { distance: number; length: number } | undefined): void => {
    const [literals, matched] = [to - from, (match?.length ?? 4) - 4];
    out.push((Math.min(literals, 15) << 4) | Math.min(matched, 15));
    extra(literals);
    out.push(...raw.subarray(from, to));
    if (match === undefined) return;
    out.push(match.distance & 255, match.distance >> 8);
    extra(matched);
  };
  let [anchor, at, attempts] = [0, 0, 67];
  while (at <= raw.length - 12) {
    const [slot, here] = [hash(at), at];
    const known = seen.get(slot);
    seen.set(slot, at);
    at += attempts++ >> 6;
    if (known === undefined || here - known > 65_535 || word(known) !== word(here)) continue;
    let begin = here;
    const distance = here - known;
    while (begin > anchor && begin > distance && raw[begin - 1] === raw[begin - 1 - distance]) begin--;
    let end = here + 4;
    while (end < raw.length - 5 && raw[end] === raw[end - distance]) end++;
    sequence(anchor, begin, { distance, length: end - begin });
    anchor = end;
    [at, attempts] = [end, 67];
    if (end <= raw.length - 12) seen.set(hash(end - 2), end - 2);
  }
  sequence(anchor, raw.length, undefined);
  return out;
}

function unpackLz4(packed: readonly number[]): number[] {
  const out: number[] = [];
  let at = 0;
  const next = (): number => packed[at++] as number;
  const lengthFrom = (nibble: number): number => {
    let length = nibble;
    if (nibble === 15)
      for (let more = 255; more === 255; ) {
        more = next();
        length += more;
      }
    return length;
  };
  while (at < packed.length) {
    const token = next();
    for (let left = lengthFrom(token >> 4); left > 0; left--) out.push(next());
    if (at >= packed.length) break;
    const distance = next() + next() * 256;
    for (let left = lengthFrom(token & 15) + 4; left > 0; left--) out.push(out[out.length - distance] as number);
  }
  return out;
}

/** The bytes that LZJB makes: a map of eight bits before each eight items, an item a byte or a match of two bytes. */
function lzjb(raw: Uint8Array): number[] {
  const out: number[] = [];
  const seen = new Map<number, number>();
  let [map, bit] = [0, 8];
  for (let at = 0; at < raw.length; bit++) {
    if (bit === 8) {
      [map, bit] = [out.length, 0];
      out.push(0);
    }
    const three = (from: number): number =>
      ((raw[from] as number) << 16) + ((raw[from + 1] as number) << 8) + (raw[from + 2] as number);
    let length = 0;
    let distance = 0;
    if (at <= raw.length - 66) {
      let hash = three(at);
      hash += hash >> 9;
      hash += hash >> 5;
      const slot = hash & 1023;
      distance = (at - (seen.get(slot) ?? 0)) & 1023;
      seen.set(slot, at);
      if (distance > 0 && distance <= at && three(at) === three(at - distance))
        for (length = 3; length < 66 && raw[at + length] === raw[at + length - distance]; ) length++;
    }
    if (length === 0) out.push(raw[at++] as number);
    else {
      out[map] = (out[map] as number) | (1 << bit);
      out.push(((length - 3) << 2) | (distance >> 8), distance & 255);
      at += length;
    }
  }
  return out;
}

function unpackLzjb(packed: readonly number[]): number[] {
  const out: number[] = [];
  let map = 0;
  for (let at = 0, bit = 8; at < packed.length; bit++) {
    if (bit === 8) {
      [map, bit] = [packed[at++] as number, 0];
    }
    const first = packed[at++] as number;
    if ((map & (1 << bit)) === 0) {
      out.push(first);
      continue;
    }
    const distance = ((first & 3) << 8) | (packed[at++] as number);
    for (let left = (first >> 2) + 3; left > 0; left--) out.push(out[out.length - distance] as number);
  }
  return out;
}

/** Bytes in which some stretches are told once more, near or far, and some are a byte over and over. */
const BLOCK = fc
  .array(
    fc.record({
      fresh: fc.uint8Array({ maxLength: 40 }),
      back: fc.integer({ min: 1, max: 2000 }),
      length: fc.integer({ min: 0, max: 300 }),
      again: fc.integer({ min: 0, max: 3 }),
    }),
    { maxLength: 20, size: "max" },
  )
  .map((parts) => {
    const bytes: number[] = [];
    for (const { fresh, back, length, again } of parts) {
      bytes.push(...fresh);
      if (again > 0 && bytes.length > 0)
        for (let n = 0; n < length; n++) bytes.push(bytes[Math.max(0, bytes.length - (again === 1 ? 1 : back))] as number);
    }
    return Uint8Array.from(bytes);
  });

function randomBytes(length: number, seed: number): Uint8Array {
  const random = new Random(seed);
  return Uint8Array.from({ length }, () => random.below(256));
}

/** A stretch of `length` random bytes that is told again `distance` behind itself. */
function toldAgain(distance: number, length: number): Uint8Array {
  const raw = randomBytes(distance + length + 64, distance);
  raw.copyWithin(distance, 0, length);
  return raw;
}

describe("LZ4", () => {
  const expectAsLong = (raw: Uint8Array): void => {
    const packed = lz4(raw);
    expect(unpackLz4(packed)).toEqual([...raw]);
    // ZFS writes the length before it.
    expect(lz4Length(raw, raw.length)).toBe(4 + packed.length);
  };

  test("makes a block as long as its sequences are", () => {
    fc.assert(
      fc.property(BLOCK, (raw) => expectAsLong(raw)),
      runs(40),
    );
  });

  test.each([11, 12, 13, 14, 16, 17, 18, 19, 20, 22, 30, 33])(
    "has a match in %i equal bytes as soon as its rules allow one",
    (length) => {
      expectAsLong(new Uint8Array(length).fill(7));
    },
  );

  test.each([65_534, 65_535, 65_536])("reaches back 65,535 bytes: a stretch told again after %i", (distance) => {
    // Told twice where it begins, so that the places which the search passes over do not matter.
    const raw = toldAgain(distance, 900);
    expect(lz4Length(raw, raw.length)).toBe(4 + lz4(raw).length);
  });

  test.each([269, 270, 271, 524, 525, 526])(
    "tells the length of %i literals and of a match as long in further bytes",
    (length) => {
      expectAsLong(Uint8Array.from([...randomBytes(length, length), ...new Uint8Array(length + 10)]));
    },
  );

  test("makes a block that ends in zeros as long as its sequences are, told where they begin or not", () => {
    fc.assert(
      fc.property(BLOCK, fc.integer({ min: 0, max: 600 }), (raw, zeros) => {
        const whole = new Uint8Array(raw.length + zeros);
        whole.set(raw);
        const expected = 4 + lz4(whole).length;
        expect(lz4Length(whole, whole.length, raw.length)).toBe(expected);
        expect(lz4Length(whole, whole.length)).toBe(expected);
      }),
      runs(40),
    );
  });

  test("looks at the bytes from their place in the buffer on, and at none behind", () => {
    const whole = randomBytes(600, 3);
    whole.copyWithin(300, 50, 200);
    const part = whole.subarray(50, 450);
    expect(lz4Length(part, 300)).toBe(4 + lz4(whole.slice(50, 350)).length);
  });
});

describe("LZJB", () => {
  const expectAsLong = (raw: Uint8Array): void => {
    const packed = lzjb(raw);
    expect(unpackLzjb(packed)).toEqual([...raw]);
    expect(lzjbLength(raw, raw.length)).toBe(packed.length);
  };

  test("makes a block as long as its items are", () => {
    fc.assert(
      fc.property(BLOCK, (raw) => expectAsLong(raw)),
      runs(40),
    );
  });

  test.each([65, 66, 67, 68, 130, 131, 132, 133, 134])(
    "has matches of up to 66 bytes, none in the last 65: %i equal bytes",
    (length) => {
      expectAsLong(new Uint8Array(length).fill(7));
      expectAsLong(new Uint8Array(length));
    },
  );

  test.each([1022, 1023, 1024, 1025])("reaches back 1,023 bytes: a stretch told again after %i", (distance) => {
    expectAsLong(toldAgain(distance, 200));
  });
});

describe("a compressed block", () => {
  test.each(["lz4", "lzjb"] as const)("by %s is kept where it saves an eighth, and not a byte less", (how) => {
    const packed = (raw: Uint8Array): number => (how === "lz4" ? 4 + lz4(raw).length : lzjb(raw).length);
    const random = randomBytes(4096, 1);
    const withRandom = (count: number): Uint8Array => Uint8Array.from(random, (byte, at) => (at < count ? byte : 0));
    let count = how === "lz4" ? 3450 : 3050;
    expect(packed(withRandom(count))).toBeLessThan(3584);
    while (packed(withRandom(count + 1)) <= 3584) count += 1;
    expect(compressedLength(withRandom(count), 4096, how)).toBe(packed(withRandom(count)));
    expect(compressedLength(withRandom(count + 1), 4096, how)).toBe(4096);
    expect(compressedLength(withRandom(count), 4096, "off")).toBe(4096);
  });

  test("takes whole units of the device, and no more than it took before", () => {
    expect([storedSize(1, 4096, 512), storedSize(512, 4096, 512), storedSize(513, 4096, 512)]).toEqual([512, 512, 1024]);
    expect(storedSize(3000, 3072, 4096)).toBe(3072);
  });

  test("is a hole where every byte is zero, whoever wrote them", () => {
    const zeros = Content.literal(new Uint8Array(600));
    const one = Content.literal(Uint8Array.of(0, 0, 1));
    expect([Content.zeros(9), zeros, Content.concat([zeros, Content.zeros(5)]), Content.empty].map(isAllZero)).toEqual([
      true,
      true,
      true,
      true,
    ]);
    const others = [
      one,
      Content.concat([Content.zeros(5), one]),
      Content.pattern(1, 9),
      Content.text("x"),
      Content.concat([one, zeros]),
    ];
    expect(others.map(isAllZero)).toEqual(new Array(5).fill(false));
  });

  test("of data is as long as the compressor makes it; what was compressed by somebody else stays as long as it is", () => {
    const text = Content.repeat(new TextEncoder().encode("again "), 4096);
    const packed = 4 + lz4(text.toBytes()).length;
    expect([compressedData(text, "lz4"), compressedData(text, "off")]).toEqual([packed, 4096]);
    const record = Content.record({ kind: "x", length: 4096 });
    expect(
      [record, Content.concat([text, record]), Content.pattern(1, 4096)].map((content) => compressedData(content, "lz4")),
    ).toEqual([4096, 8192, 4096]);
  });
});
