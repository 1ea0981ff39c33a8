import type { ViteUserConfig } from "vitest/config";

/** The tests that mutants of the copying engines have to get past: quick ones, many times over. */
const config: ViteUserConfig = {
  test: {
    include: ["test/{thin,union,cow}/**/*.test.ts", "test/fuzz/{campaign,regressions}.test.ts", "test/conformance/**/*.test.ts"],
    testTimeout: 60_000,
    isolate: false,
  },
};
export default config;
