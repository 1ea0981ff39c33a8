/**
 * How long blocks become by LZ4, LZJB and ZLE: as long as OpenZFS's own code made the same blocks (test/oracle/zfs-compressors.py).
 */
import { readFileSync } from "node:fs";
import { deflateSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { compressedData, compressedLength, isAllZero, storedSize } from "../../sim/cow/zfs/compress.ts";
import { lz4Length, lzjbLength, zleLength } from "../../sim/cow/zfs/lz.ts";

describe("gzip and zstd", () => {
  const text = readFileSync(new URL("../../docs/fidelity.md", import.meta.url)).subarray(0, 131_072);
  const data = JSON.stringify(Array.from({ length: 4000 }, (_, at) => ({ at, name: `n${(at * 7919) % 997}` })));
  const samples = [text, Buffer.from(data).subarray(0, 131_072), text.subarray(0, 16_384)];

  test.each([1, 4, 6, 9])("gzip-%i makes of text and data about what zlib makes", (level) => {
    for (const raw of samples) {
      const real = deflateSync(raw, { level }).length;
      const made = compressedLength(raw, raw.length, `gzip-${level}`);
      expect(Math.abs(made - real) / real).toBeLessThan(0.2);
    }
  });

  test("are as long by the default's name as by its level, and shorter the higher the level", () => {
    const made = (how: Parameters<typeof compressedLength>[2]): number => compressedLength(text, text.length, how);
    expect([made("gzip"), made("zstd"), made("zstd-fast")]).toEqual([made("gzip-6"), made("zstd-3"), made("zstd-fast-1")]);
    const rising = (["zstd-19", "zstd-9", "zstd", "zstd-fast", "zstd-fast-10", "zstd-fast-100"] as const).map(made);
    expect(rising).toEqual([...rising].sort((one, other) => one - other));
    expect(made("gzip-9")).toBeLessThan(made("gzip-1"));
  });

  test("leave a block as it is that does not lose an eighth, and make little of what repeats", () => {
    const noise = Content.pattern(1, 4096).toBytes();
    expect(compressedLength(noise, 4096, "gzip")).toBe(4096);
    const repeated = Content.repeat(new TextEncoder().encode("the quick brown fox jumps over the lazy dog\n"), 131_072);
    expect(compressedData(repeated, "zstd")).toBeLessThan(112);
    expect(compressedData(repeated, "gzip")).toBeLessThan(512);
  });
});

/** Seed, length, and how long LZ4, LZJB and ZLE made the block; 0: not compressed. */
type Answer = readonly [seed: number, length: number, lz4: number, lzjb: number, zle: number];

const recorded = JSON.parse(readFileSync(new URL("../data/vectors/zfs-compressors.json", import.meta.url), "utf8")) as {
  readonly blocks: readonly Answer[];
};

/** The recorder's numbers of a seed, each below a limit. */
function below(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state >>> 16) % limit;
  };
}

/** The recorder's block of a seed: stretches of letters, of what was told before, and of one byte. */
function block(seed: number, length: number): Uint8Array {
  const words = below(seed);
  const alphabet = 2 + words(255);
  const reach = 1 << (4 + words(13));
  const longest = 1 << (2 + words(10));
  const fresh = words(4);
  const out = new Uint8Array(length + longest);
  let at = 0;
  while (at < length) {
    const kind = words(6);
    const end = at + 1 + words(longest);
    if (kind < 1 + fresh || at === 0) while (at < end) out[at++] = words(alphabet);
    else if (kind < 5) {
      const back = 1 + words(Math.min(reach, at));
      for (; at < end; at++) out[at] = out[at - back] as number;
    } else {
      out.fill(words(alphabet), at, end);
      at = end;
    }
  }
  return out.subarray(0, length);
}

/** The same with zeros here and there: of the seeds from HOLED of each length on. */
function holed(seed: number, length: number): Uint8Array {
  const words = below(seed + 1);
  const out = block(seed, length);
  for (let at = 0; at < length; ) {
    const end = Math.min(length, at + 1 + words(300));
    if (words(2) === 1) out.fill(0, at, end);
    at = end;
  }
  return out;
}

const HOLED = 50;

function recordedBlock(seed: number, length: number): Uint8Array {
  return (seed >= 100 * length + HOLED ? holed : block)(seed, length);
}

const roomIn = (length: number): number => length - (length >> 3);
const LENGTHS = [...new Set(recorded.blocks.map(([, length]) => length))];
const LONG = LENGTHS.filter((length) => length >= 512);
const SHORT = LENGTHS.filter((length) => length < 512);

describe.each([
  ["LZ4", lz4Length, 2],
  ["LZJB", lzjbLength, 3],
  ["ZLE", zleLength, 4],
] as const)("%s", (_, lengthOf, column) => {
  test.each([["fewer than 40 bytes", SHORT] as const, ...LONG.map((length) => [`${length} bytes`, [length]] as const)])(
    "makes blocks of %s as long as OpenZFS does, or leaves them as they are where it does",
    (_words, lengths) => {
      for (const [seed, length, ...made] of recorded.blocks.filter(([, length]) => lengths.includes(length)))
        expect([seed, lengthOf(recordedBlock(seed, length), length, roomIn(length))]).toEqual([seed, made[column - 2]]);
    },
  );

  test("looks at the bytes from their place in the buffer on, and at none behind", () => {
    const part = new Uint8Array(600);
    part.set(block(51_205, 512), 50);
    part.fill(1, 562);
    expect(lengthOf(part.subarray(50), 512, roomIn(512))).toBe(recorded.blocks.find(([seed]) => seed === 51_205)?.[column]);
  });
});

test("LZ4 makes a block that ends in zeros as long, told where they begin or not", () => {
  for (let zeros = 1; zeros < 600; zeros += 37) {
    const whole = new Uint8Array(4096 + zeros);
    whole.set(block(zeros, 4096));
    const expected = lz4Length(whole, whole.length, whole.length);
    expect([zeros, lz4Length(whole, whole.length, whole.length, 4096)]).toEqual([zeros, expected]);
  }
});

describe("a compressed block", () => {
  test.each(["lz4", "lzjb", "zle"] as const)("by %s is kept where it leaves an eighth free, else as it was", (how) => {
    for (const [seed, length, lz4, lzjb, zle] of recorded.blocks) {
      if (length !== 4096) continue;
      const made = { lz4, lzjb, zle }[how];
      expect(compressedLength(recordedBlock(seed, length), length, how)).toBe(made === 0 ? length : made);
      expect(compressedLength(recordedBlock(seed, length), length, "off")).toBe(length);
    }
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
    const packed = lz4Length(text.toBytes(), 4096, roomIn(4096));
    expect(packed).toBeLessThan(100);
    expect([compressedData(text, "lz4"), compressedData(text, "off")]).toEqual([packed, 4096]);
    const record = Content.record({ kind: "x", length: 4096 });
    expect(
      [record, Content.concat([text, record]), Content.pattern(1, 4096)].map((content) => compressedData(content, "lz4")),
    ).toEqual([4096, 8192, 4096]);
  });
});
