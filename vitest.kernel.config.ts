import type { ViteUserConfig } from "vitest/config";

/** Live comparison with the machine's own kernel, as root on Linux. */
const config: ViteUserConfig = {
  test: { include: ["test/kernel/**/*.test.ts"], testTimeout: 3_600_000, hookTimeout: 60_000 },
};
export default config;
