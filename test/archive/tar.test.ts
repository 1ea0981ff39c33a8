/**
 * The tar codec: Docker's own layers rewritten byte for byte, random entries there and back, and other programs as judges.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { extract } from "tar-stream";
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { uncompressed } from "../../src/archive/compression.ts";
import { Crc64 } from "../../src/archive/crc64.ts";
import { digestOf, hexOf, portableHasher } from "../../src/archive/digest.ts";
import { ArchiveFault } from "../../src/archive/fault.ts";
import { streamDecompress } from "../../src/archive/stream-decompress.ts";
import { nameBytes, nameText, type TarHeader } from "../../src/archive/tar-header.ts";
import { readTar } from "../../src/archive/tar-read.ts";
import { TarWriter, tarHeader } from "../../src/archive/tar-write.ts";
import { readImages } from "../../src/images/read-images.ts";
import { nodeDecompress } from "../../src/node/decompress.ts";
import { nodeHasher } from "../../src/node/digest.ts";
import { openFiles, readContext, savedArchives } from "../images/material.ts";

function rewritten(tar: Content): Content {
  const writer = new TarWriter();
  for (const { header, content } of readTar(tar, { mode: "strict" })) writer.add(header, content);
  return writer.end();
}

test.each(savedArchives())("%s: layers that Docker made are rewritten byte for byte from what was read", async (path) => {
  const archive = await readImages(await openFiles(path), readContext());
  let layers = 0;
  for (const image of archive.images) {
    for (const [index, layer] of image.layers.entries()) {
      // The base of the lab's images was written by GNU tar.
      if (layer.length % 10_240 === 0) continue;
      expect(rewritten(layer).sha256(), `layer ${index}`).toBe(image.config.diffIds[index]?.slice(7));
      layers += 1;
    }
  }
  expect(layers).toBeGreaterThan(3);
});

const name = fc.oneof(
  fc.stringMatching(/^[a-z.][a-z0-9._ -]{0,30}$/),
  fc.stringMatching(/^[a-zäöü日]{1,60}$/),
  fc.array(fc.stringMatching(/^[a-z]{1,40}$/), { minLength: 1, maxLength: 8 }).map((parts) => parts.join("/")),
  fc
    .uint8Array({ minLength: 1, maxLength: 20 })
    .map((raw) => nameText(raw.map((byte) => (byte === 0 || byte === 0x2f ? 0x61 : byte)))),
);

const entry = fc
  .record({
    name,
    mode: fc.integer({ min: 0, max: 0o7777 }),
    uid: fc.oneof(fc.integer({ min: 0, max: 70_000 }), fc.integer({ min: 0, max: 2 ** 32 - 2 })),
    gid: fc.integer({ min: 0, max: 70_000 }),
    seconds: fc.oneof(fc.integer({ min: 0, max: 2 ** 33 - 1 }), fc.integer({ min: -1000, max: 2 ** 36 })),
    linkname: fc.oneof(fc.constant(""), name),
    content: fc.uint8Array({ maxLength: 1200 }),
    // PAX has no record without a value.
    xattr: fc.option(fc.uint8Array({ minLength: 1, maxLength: 40 })),
  })
  .map(({ seconds, content, xattr, ...rest }) => {
    const header: TarHeader = tarHeader({
      ...rest,
      size: content.length,
      mtime: { seconds, nanoseconds: 0 },
      xattrs: xattr === null ? [] : [["security.capability", xattr]],
    });
    return { header, content: Content.literal(content) };
  });

describe("random entries", () => {
  test("come back as they were written, whatever their names and numbers", () => {
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 8 }), (entries) => {
        const writer = new TarWriter();
        for (const { header, content } of entries) writer.add(header, content);
        const back = [...readTar(writer.end(), { mode: "strict", checksums: true })];
        expect(back.map(({ header }) => header)).toEqual(entries.map(({ header }) => header));
        for (const [index, { content }] of back.entries())
          expect(content.equals(entries[index]?.content ?? Content.empty)).toBe(true);
      }),
    );
  });

  test("what stands before each entry, its content and the rest are the archive", () => {
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 6 }), (entries) => {
        const writer = new TarWriter();
        for (const { header, content } of entries) writer.add(header, content);
        const tar = writer.end();
        const parts: Content[] = [];
        const hasher = portableHasher();
        const reading = { mode: "strict", onBytes: hasher.update, onEnd: (rest: Content) => void parts.push(rest) } as const;
        for (const { before, content } of readTar(tar, reading)) parts.push(before, content);
        expect(Content.concat(parts).sha256()).toBe(tar.sha256());
        expect(hasher.hex()).toBe(tar.sha256());
      }),
    );
  });

  test("are read by tar-stream as they were meant", async () => {
    const run = fc.asyncProperty(fc.array(entry, { maxLength: 5 }), async (entries) => {
      const known = entries.filter(({ header }) => !/[\udc00-\udfff]/.test(header.name + header.linkname));
      const writer = new TarWriter();
      for (const { header, content } of known) writer.add(header, content);
      const reader = extract();
      reader.end(writer.end().toBytes());
      let index = 0;
      for await (const read of reader) {
        const parts: Uint8Array[] = [];
        for await (const part of read) parts.push(part as Uint8Array);
        const { header, content } = known[index++] ?? { header: tarHeader({ name: "" }), content: Content.empty };
        expect(read.header.name).toBe(header.name);
        // tar-stream tells the PAX record uid, and leaves the field as it stands.
        expect(Number((read.header.pax as Record<string, string> | undefined)?.["uid"] ?? read.header.uid)).toBe(header.uid);
        expect(Buffer.concat(parts).equals(Buffer.from(content.toBytes()))).toBe(true);
      }
      expect(index).toBe(known.length);
    });
    await fc.assert(run, { numRuns: 40 });
  });
});

const hasTar = spawnSync("tar", ["--version"], { encoding: "utf8" }).stdout?.includes("GNU") ?? false;

describe.skipIf(!hasTar)("GNU tar (skipped where there is none)", () => {
  test("lists what we write, in all its forms", () => {
    const long = `${"d".repeat(60)}/${"e".repeat(60)}/${"f".repeat(90)}`;
    const names = ["a", "ünïcode", long, "g".repeat(150), `${"h".repeat(120)}/i`];
    const writer = new TarWriter();
    for (const one of names) writer.add(tarHeader({ name: one, size: 3, uid: 2 ** 31 }), Content.text("abc"));
    writer.add(tarHeader({ name: "dir/", mode: 0o40755 }));
    const listed = execFileSync("tar", ["-tf", "-", "--quoting-style=literal"], {
      input: writer.end().toBytes(),
      encoding: "utf8",
    });
    expect(listed.trimEnd().split("\n")).toEqual([...names, "dir/"]);
  });

  test.each(["gnu", "pax", "ustar", "v7", "oldgnu"])("its %s format is read with every field", (format) => {
    const script = `d=$(mktemp -d); cd "$d"; mkdir -p a/b; printf hello > a/b/f; ln a/b/f a/l; ln -s f a/s; tar --format=${format} --owner=7 --group=8 --mtime=@1700000000 --sort=name -cf - a; rm -r "$d"`;
    const tar = Content.literal(execFileSync("sh", ["-c", script], { env: { ...process.env, TAR_OPTIONS: "" } }));
    const read = [...readTar(tar, { mode: "strict" })].map(({ header, content }) => [
      header.name,
      header.typeflag.replace("\0", "0"),
      header.uid,
      header.mtime.seconds,
      header.linkname,
      content.toText(),
    ]);
    expect(read).toEqual([
      ["a/", "5", 7, 1_700_000_000, "", ""],
      ["a/b/", "5", 7, 1_700_000_000, "", ""],
      ["a/b/f", "0", 7, 1_700_000_000, "", "hello"],
      ["a/l", "1", 7, 1_700_000_000, "a/b/f", ""],
      ["a/s", "2", 7, 1_700_000_000, "f", ""],
    ]);
  });
});

test("base-256 numbers of GNU tar are read, negative ones too", () => {
  const writer = new TarWriter();
  writer.add(tarHeader({ name: "x" }));
  const raw = writer.end().toBytes();
  raw.set([0x80, 0, 0, 0, 0, 0, 1, 0], 108);
  raw.set(new Array<number>(11).fill(0xff), 137);
  raw[136] = 0xff;
  const sum = raw.subarray(0, 512).reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte), 0);
  raw.set(new TextEncoder().encode(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
  const [read] = [...readTar(Content.literal(raw), { mode: "strict" })];
  expect(read?.header.uid).toBe(256);
  expect(read?.header.mtime.seconds).toBe(-1);
});

describe("checksums and digests", () => {
  test("CRC-64 agrees with the bit-by-bit definition of ISO 3309", () => {
    const slow = (raw: Uint8Array): string => {
      let crc = 0xffffffffffffffffn;
      for (const byte of raw) {
        crc ^= BigInt(byte);
        for (let bit = 0; bit < 8; bit++) crc = (crc >> 1n) ^ ((crc & 1n) === 1n ? 0xd800000000000000n : 0n);
      }
      return (crc ^ 0xffffffffffffffffn).toString(16).padStart(16, "0");
    };
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(64), (raw, cut) => {
        const crc = new Crc64();
        // Pieces but the last are whole words, as the reader's are.
        const at = Math.min(raw.length, cut - (cut % 4));
        crc.update(raw.subarray(0, at));
        crc.update(raw.subarray(at));
        expect(hexOf(crc.bytes())).toBe(slow(raw));
      }),
    );
  });

  test("the published check value of CRC-64/GO-ISO", () => {
    const crc = new Crc64();
    crc.update(new TextEncoder().encode("123456789"));
    expect(hexOf(crc.bytes())).toBe("b90956c775a41001");
  });

  test("the machine's own SHA-256 and the portable one are the same", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (raw) => {
        expect(digestOf(raw, nodeHasher)).toBe(digestOf(raw, portableHasher));
      }),
    );
  });

  test("a name keeps its bytes whatever they are", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 30 }), (raw) => {
        expect(nameBytes(nameText(raw))).toEqual(raw);
      }),
    );
  });

  describe.each([
    ["zlib", nodeDecompress],
    ["DecompressionStream", streamDecompress],
  ])("gzip opened by %s", (_, decompress) => {
    test("that holds what it says is the same bytes", async () => {
      const raw = Content.pattern(3, 300_000);
      const packed = Content.literal(gzipSync(raw.toBytes()));
      expect((await uncompressed(packed, decompress)).equals(raw)).toBe(true);
    });

    test("that is cut, changed or a bomb is refused", async () => {
      const packed = gzipSync(Content.pattern(3, 300_000).toBytes());
      const changed = new Uint8Array(packed);
      changed[100_000] = (changed[100_000] ?? 0) ^ 0xff;
      const codeOf = async (raw: Uint8Array): Promise<unknown> => {
        const outcome: unknown = await uncompressed(Content.literal(raw), decompress).catch((error: unknown) => error);
        return outcome instanceof ArchiveFault ? outcome.code : outcome;
      };
      expect(await codeOf(packed.subarray(0, 200_000))).toBe("E_COMPRESSION");
      expect(await codeOf(changed)).toBe("E_COMPRESSION");
      expect(await codeOf(gzipSync(new Uint8Array(2 ** 25)))).toBe("E_LIMIT");
    });
  });
});
