/** What loading archives made to hurt asks this machine's kernel for: nothing that writes. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { singleFile } from "../single-file.ts";

const folder = mkdtempSync(join(tmpdir(), "cowlab-hostile-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** One kind of case in a quick run, every kind in a long one. */
const STRACED = process.env["COWLAB_SOAK"] === undefined ? ["a link *"] : ["name *", "folder *", "hard link *", "a link *"];
const hasStrace = spawnSync("strace", ["-V"]).status === 0;

// What an archive wants to write outside would be a call of this machine's kernel.
test.skipIf(!hasStrace)(
  "nothing of this machine is opened for writing, or made (skipped where there is no strace)",
  { timeout: 300_000 },
  () => {
    const program = singleFile(new URL("hostile-outcome.ts", import.meta.url), folder);
    const calls =
      "open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,mknod,mknodat";
    for (const names of STRACED) {
      const command = ["-f", "-qq", "-e", `trace=${calls}`, process.execPath, "--expose-gc", program, "docker", names];
      const { stderr, stdout, status } = spawnSync("strace", command, { encoding: "utf8", maxBuffer: 2 ** 28 });
      expect([status, stdout.trimEnd().split("\n").length > 2]).toEqual([0, true]);
      const made = stderr
        .split("\n")
        .filter((line) => /O_WRONLY|O_RDWR|O_CREAT|\b(?:creat|mkdir|rename|link|symlink|unlink|mknod)\w*\(/.test(line));
      const outside = made.filter((line) => !line.includes("ENOENT") && !/"\/(?:proc|dev|sys)\//.test(line));
      expect(outside).toEqual([]);
    }
  },
);
