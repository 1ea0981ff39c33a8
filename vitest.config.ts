import type { ViteUserConfig } from "vitest/config";
import { compilerFlags } from "./src/cli/compiler-flags.ts";

const config: ViteUserConfig = {
  // Files of one worker share their modules: no test keeps anything in one, and warm code runs a third faster.
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/kernel/**"],
    testTimeout: 60_000,
    // Vitest keeps a core for itself where nothing is said: on two cores that is half of them.
    maxWorkers: "100%",
    isolate: false,
    // A tenth less of CPU time.
    execArgv: compilerFlags(),
    coverage: { provider: "v8", include: ["sim/**/*.ts"], reporter: ["text-summary", "json-summary", "html"] },
  },
};
export default config;
