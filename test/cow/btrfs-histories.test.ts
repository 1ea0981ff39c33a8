/**
 * Short histories of changes on a real btrfs with quotas (Linux 6.18, btrfs-progs 6.2: test/data/btrfs/histories.ndjson, recorded with
 * test/kernel/btrfs-history.py): what each call comes to, what stat tells of its paths, what is used when everything is written, and, where that was watched, what is written of it.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type Answer, Historian, type History } from "./btrfs-history.ts";

interface Recorded extends History {
  readonly name: string;
  /** Figures that are the last ones again are not repeated. */
  readonly answers: readonly (Omit<Answer, "fig"> & { readonly fig: Answer["fig"] | "same" })[];
}

const RECORDED = readFileSync(new URL("../data/btrfs/histories.ndjson", import.meta.url), "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as Recorded);

for (const recorded of RECORDED) {
  test(recorded.name, () => {
    let figures: Answer["fig"] = null;
    const told = new Historian(recorded).run();
    for (const [index, { r, st, fig, w }] of recorded.answers.entries()) {
      if (fig !== "same" && fig !== null) figures = fig;
      const what = `step ${index} ${JSON.stringify(recorded.steps[index - 1])}`;
      expect(told[index], what).toEqual({ r, st, fig: fig === null ? null : figures, w });
    }
  });
}
