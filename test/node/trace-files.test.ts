import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, expect, test } from "vitest";
import { InputError } from "../../src/node/input-error.ts";
import { traceFiles } from "../../src/node/trace-files.ts";

const folder = mkdtempSync(join(tmpdir(), "cowlab-trace-files-"));
afterAll(() => rmSync(folder, { recursive: true }));

function fileOf(name: string, bytes: Uint8Array | string): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

test("a packed trace is read as it was packed", () => {
  expect(traceFiles.read(fileOf("whole.ndjson.gz", gzipSync("text")))).toBe("text");
});

const PACKED = gzipSync("a text that is long enough to be cut in two");

test.each([
  ["cut", PACKED.subarray(0, 20), "unexpected end of file"],
  ["empty", "", "unexpected end of file"],
  ["plain", "no gzip data", "incorrect header check"],
])("packed data that are damaged are told with their file and why: %s", (name, bytes, reason) => {
  const path = fileOf(`${name}.ndjson.gz`, bytes);
  expect(() => traceFiles.read(path)).toThrow(new InputError(`${path}: the gzip data are damaged: ${reason}`));
});
