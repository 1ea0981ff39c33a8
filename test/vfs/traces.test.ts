import { existsSync, readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { testHost } from "./host.ts";
import { runTrace } from "./trace.ts";

const FOLDER = process.env["COWLAB_TRACES"] ?? "../shared/traces";
const SET = `${FOLDER}/pjdfstest-vfs-ext4`;

test.runIf(existsSync(SET))("tmpfs answers pjdfstest's calls as the kernel's ext4 did", () => {
  for (const file of readdirSync(SET)) {
    const host = testHost({ mode: 0o755 });
    const { steps, differences } = runTrace(host, `${SET}/${file}`);
    expect(steps).toBeGreaterThan(0);
    expect(differences, file).toEqual([]);
  }
});
