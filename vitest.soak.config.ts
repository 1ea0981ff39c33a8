import type { ViteUserConfig } from "vitest/config";

const config: ViteUserConfig = {
  test: { include: ["test/soak/**/*.test.ts"], testTimeout: 3_600_000 },
};
export default config;
