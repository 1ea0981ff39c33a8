import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KernelAgent, kernelObstacle } from "./agent.ts";
import { MOUNT_CASES } from "./mounts.ts";

const why = kernelObstacle();

describe.skipIf(why !== undefined)("this machine's kernel answers as recorded to", () => {
  let agent: KernelAgent | undefined;
  beforeAll(() => {
    agent = new KernelAgent();
  });
  afterAll(() => agent?.end());

  test.each(MOUNT_CASES)("$name", async ({ steps, answers }) => {
    expect(await agent?.mounts(steps)).toEqual(answers);
  });
});
