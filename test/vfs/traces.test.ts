import { existsSync, readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { testHost } from "./host.ts";
import { runTrace } from "./trace.ts";

const FOLDER = process.env["COWLAB_TRACES"] ?? "../shared/traces";
const SET = `${FOLDER}/pjdfstest-vfs-ext4`;

const RECORDED = "test/data/vfs";

test.each(readdirSync(RECORDED))("tmpfs answers %s as the kernel's did: odd paths, kinds, owners and flags", (file) => {
  const { steps, differences } = runTrace(testHost({ mode: 0o755 }), `${RECORDED}/${file}`);
  expect(steps).toBeGreaterThan(100);
  expect(differences).toEqual([]);
});

/** What only ext4 answers: its largest file is 16 TiB, that of tmpfs has no such limit. */
const EXT4_LIMIT = /EFBIG/;

test.runIf(existsSync(SET))("tmpfs answers pjdfstest's calls as the kernel's ext4 did", () => {
  for (const file of readdirSync(SET)) {
    if (EXT4_LIMIT.test(readFileSync(`${SET}/${file}`, "utf8"))) continue;
    const { steps, differences } = runTrace(testHost({ mode: 0o755 }), `${SET}/${file}`);
    expect(steps).toBeGreaterThan(0);
    expect(differences, file).toEqual([]);
  }
});
