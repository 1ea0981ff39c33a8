/** What aufs's copy-up writes of a file's data: each block that holds anything, whatever the content is made of (part B, section 13). */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { O_CREAT, O_RDONLY, O_RDWR } from "../../sim/vfs/filesystem.ts";
import { runs } from "../runs.ts";
import { AufsLab, must } from "./aufs-lab.ts";

const BLOCK = 4096;

/** How a piece of a file is given. */
const KINDS = [
  "hole",
  "zeros",
  "literal zeros",
  "repeated",
  "repeated zeros",
  "letters",
  "pattern",
  "last byte",
  "first byte",
  "two zeros",
];

const piece = fc.record({
  kind: fc.constantFrom(...KINDS),
  length: fc.constantFrom(1, 100, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 7),
});

function contentOf(kind: string, length: number): Content {
  switch (kind) {
    case "letters":
      return Content.text("x".repeat(length));
    case "pattern":
      return Content.pattern(7, length);
    case "repeated":
      return Content.repeat(Uint8Array.of(0, 1), length);
    case "repeated zeros":
      return Content.repeat(new Uint8Array(100), length);
    case "zeros":
      return Content.zeros(length);
    case "two zeros":
      return Content.concat([Content.zeros(Math.ceil(length / 2)), Content.literal(new Uint8Array(Math.floor(length / 2)))]);
    default: {
      const given = new Uint8Array(length);
      if (kind === "last byte") given[length - 1] = 1;
      if (kind === "first byte") given[0] = 1;
      return Content.literal(given);
    }
  }
}

test("every block of a file that is not all zeros is written, and the last one if it is not whole, and no other", () => {
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 6 }), fc.nat({ max: 9000 }), (pieces, cut) => {
      const lab = new AufsLab();
      const low = lab.branch("low");
      const fd = must(lab.task.open(`${low}/f`, O_CREAT | O_RDWR, 0o644));
      let size = 0;
      for (const { kind, length } of pieces) {
        if (kind !== "hole") must(lab.task.pwrite(fd, contentOf(kind, length), size));
        size += length;
      }
      must(lab.task.ftruncate(fd, size));
      const whole = must(lab.task.pread(fd, size, 0)).toBytes();
      const { task, fs } = lab.over([low]);
      // Sometimes only the beginning is kept.
      const kept = cut % 2 === 0 ? size : Math.min(size, cut);
      must(kept === size ? task.chmod("/f", 0o600) : task.truncate("/f", kept));
      const copy = must(task.open("/f", O_RDONLY));
      expect(must(task.pread(copy, size, 0)).toBytes()).toEqual(whole.subarray(0, kept));
      const starts = Array.from({ length: Math.ceil(kept / BLOCK) }, (_, block) => block * BLOCK);
      const full = starts.filter(
        (start) => start + BLOCK > kept || whole.subarray(start, start + BLOCK).some((byte) => byte !== 0),
      );
      expect(must(task.stat("/f"))).toMatchObject({ size: kept, blocks: full.length * (BLOCK / 512) });
      expect(fs.counters.copiedBytes).toBe(full.reduce((sum, start) => sum + Math.min(BLOCK, kept - start), 0));
    }),
    runs(25),
  );
});
