import type { ViteUserConfig } from "vitest/config";

const config: ViteUserConfig = {
  test: { include: ["test/**/*.test.ts"], exclude: ["test/kernel/**"], testTimeout: 60_000 },
};
export default config;
