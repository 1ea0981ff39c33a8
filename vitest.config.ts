import type { ViteUserConfig } from "vitest/config";

const config: ViteUserConfig = {
  test: { include: ["test/**/*.test.ts"], exclude: ["test/soak/**"], testTimeout: 60_000 },
};
export default config;
