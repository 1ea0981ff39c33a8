/** Histories of test/cow/btrfs-history.ts asked of this machine's kernel, each on a btrfs of its own on a file, in a mount namespace of its own. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Answer, History } from "../cow/btrfs-history.ts";

const PROGRAM = fileURLToPath(new URL("btrfs-history.py", import.meta.url));

/** What the kernel tells; it commits when it is told to, however slow the machine is. */
export function askKernel(history: History): Answer[] {
  const there = mkdtempSync(join(tmpdir(), "cowlab-btrfs-"));
  const options = ["loop", "commit=600", ...(history.options ? [history.options] : [])].join(",");
  // A history that ends with a power cut has no mount left.
  const script = `cd "$1" && truncate -s ${history.size}M image && mkfs.btrfs -q image >/dev/null && mkdir m && mount -o ${options} image m && python3 "$2" history m; umount m 2>/dev/null`;
  try {
    writeFileSync(join(there, "history"), JSON.stringify(history));
    const { stdout, stderr } = spawnSync("unshare", ["--mount", "sh", "-c", script, "sh", there, PROGRAM], { encoding: "utf8" });
    if (stdout === "") throw new Error(stderr);
    return JSON.parse(stdout) as Answer[];
  } finally {
    rmSync(there, { recursive: true, force: true });
  }
}

const ASKED_MAX = 4;

/** sync(2) of another process commits every btrfs of the machine: what differs is asked again, and is a difference if it differs each time. */
export function askAgain(expectSame: () => void): void {
  for (let asked = 1; ; asked++) {
    try {
      expectSame();
      return;
    } catch (different) {
      if (asked === ASKED_MAX) throw different;
    }
  }
}
