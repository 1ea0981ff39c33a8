import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KernelOracle, kernelObstacle } from "../../src/node/kernel-oracle.ts";
import { DATA_LAYER_CASES } from "./data-layers.ts";
import { MOUNT_CASES } from "./mounts.ts";

const why = kernelObstacle();

describe.skipIf(why !== undefined)("this machine's kernel answers as recorded to", () => {
  let oracle: KernelOracle | undefined;
  beforeAll(() => {
    oracle = new KernelOracle();
  });
  afterAll(() => oracle?.end());

  test.each([...MOUNT_CASES, ...DATA_LAYER_CASES])("$name", async ({ steps, answers }) => {
    expect(await oracle?.mounts(steps)).toEqual(answers);
  });
});
