import type { ViteUserConfig } from "vitest/config";

/** The properties of the suite, many times as often and with fresh seeds: COWLAB_SOAK says how many times. */
const config: ViteUserConfig = {
  test: {
    include: [
      "test/thin/{counted,metadata-blocks}.test.ts",
      "test/**/{model,ext4-model,ext4-random,ext4-crash,crash,space,page-cache,disk,allocator,intervals,content,faults,allocations,model-run,seeds,round-trip,zstd}.test.ts",
    ],
    env: { COWLAB_SOAK: process.env["COWLAB_SOAK"] ?? "100" },
    testTimeout: 24 * 3_600_000,
  },
};
export default config;
