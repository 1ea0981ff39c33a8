/** tar on archives that are compressed: those of test/data/docker/copy/context.tar.gz. */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { Random } from "../../sim/core/random.ts";
import { createHost } from "../../sim/host.ts";
import { O_CREAT } from "../../sim/vfs/filesystem.ts";
import { readTar } from "../../src/archive/tar-read.ts";
import { writePath } from "../../src/calls/write-all.ts";
import { parseScript, SyntaxFault } from "../../src/shell/parse.ts";
import { type Outcome, runScript } from "../../src/shell/run.ts";
import { must } from "../drivers/docker-host.ts";

const CONTEXT = gunzipSync(readFileSync(new URL("../data/docker/copy/context.tar.gz", import.meta.url)));

function ran(text: string): Outcome {
  const { task } = createHost();
  for (const { header, content } of readTar(Content.literal(CONTEXT), { mode: "docker" }))
    if (header.name.startsWith("pack.tar")) must(writePath(task, `/${header.name}`, { flags: O_CREAT, mode: 0o644 }, content));
  const script = parseScript(text);
  if (script instanceof SyntaxFault) throw new Error(script.message);
  return runScript(script, { task, random: new Random(1), variables: new Map(), onCall: undefined });
}

test.each([
  "tar xf /pack.tar",
  "tar xzf /pack.tar.gz",
  "tar -xf /pack.tar.bz2",
  "tar -xJf /pack.tar.xz",
  "cat /pack.tar.gz | tar xz -f -",
])("%s unpacks it", (command) => {
  const { stdout, stderr } = ran(`mkdir /x && cd /x && ${command} && cat q in/p && tar tf /pack.tar.gz`);
  expect([stdout, stderr]).toEqual(["q\np\n./\n./in/\n./in/p\n./q\n", ""]);
});

test("what is compressed and damaged is refused, and so is packing with compression", () => {
  expect(ran("truncate -s 100 /pack.tar.gz && tar xzf /pack.tar.gz")).toMatchObject({
    status: 2,
    stderr: "tar: Child returned status 1\ntar: Error is not recoverable: exiting now\n",
  });
  expect(ran("tar czf /new.tar.gz /pack.tar")).toMatchObject({ status: 2 });
});
