/** The kernel's answers, step by step: every trace of overlay2 that says nothing about the filesystem below. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { replay } from "./lab.ts";

const FOLDER = process.env["COWLAB_TRACES"] ?? "../shared/traces";

/** Steps whose answers are the filesystem's below: recorded on ext4, replayed on tmpfs. */
const BACKING =
  /"call":"(f?truncate)".*"len":999999999999999|ZERO_RANGE|COLLAPSE_RANGE|INSERT_RANGE|"what":"(getflags|setnoatime)"/;

const SETS = [
  "rules-overlay2-ext4",
  "copy-up-overlay2-ext4",
  "copy-up-overlay2-ext4-index-on",
  "copy-up-overlay2-ext4-metacopy-on",
  "random-overlay2-ext4",
  "random-overlay2-ext4-raw",
  "random-overlay2-ext4-raw-redirect_dir-on",
  "random-overlay2-ext4-redirect_dir-on",
  "random-overlay2-ext4-metacopy-on",
  "random-overlay2-ext4-xino-on",
  "rename-off",
  "rename-redirect_dir-on",
];
/** The longer sets: every how manyth trace is replayed here. */
const SAMPLED = 8;

describe.skipIf(!existsSync(FOLDER))("an overlay answers as the kernel did", () => {
  for (const set of SETS) {
    test(`in ${set}`, () => {
      const files = readdirSync(join(FOLDER, set)).sort();
      const chosen = files.length > 20 ? files.filter((_, index) => index % SAMPLED === 0) : files;
      const wrong: string[] = [];
      for (const file of chosen) {
        // What comes after such a step in the same tree may be its consequence.
        const apart = new Set<string>();
        for (const difference of replay(join(FOLDER, set, file)).differences) {
          const step = JSON.parse(difference.step) as { on?: string; name?: string };
          const tree = step.on ?? step.name ?? "";
          if (BACKING.test(difference.step)) apart.add(tree);
          else if (!apart.has(tree)) wrong.push(`${file}:${difference.line} ${difference.step}`);
        }
      }
      expect(wrong).toEqual([]);
    });
  }
});
