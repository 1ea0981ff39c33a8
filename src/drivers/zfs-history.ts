/** The commands that a pool's history tells: those that changed something, as they were typed (zpool_log_history). */
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import { withCommand } from "../../sim/cow/zfs/pool-notes.ts";
import type { Host } from "../../sim/host.ts";
import type { ToolAnswer } from "./tool-words.ts";

/** Commands that only look, or change nothing that the pool knows. */
const LOOKS: ReadonlySet<string> = new Set(["list", "get", "history", "status", "holds", "mount", "unmount", "umount", "sync"]);

/** Notes a command that worked. @param words - with the tool's name and the command's before them. @returns what it was told */
export function noted(host: Host, pool: Pool | undefined, words: readonly string[], told: ToolAnswer): ToolAnswer {
  const [, verb = ""] = words;
  const isDry = (verb === "create" || verb === "destroy") && words.some((word) => /^-[a-zA-Z]*n/.test(word));
  if (pool === undefined || "err" in told || isDry || LOOKS.has(verb)) return told;
  pool.meta.notes = withCommand(pool.meta.notes, words.join(" "), host.clock.time().seconds);
  return told;
}
