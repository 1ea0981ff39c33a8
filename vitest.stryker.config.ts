import { relative } from "node:path";
import type { ViteUserConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";
import { SLOW } from "./test/mutants/slow-tests.ts";

const ALL = ["test/{thin,union,cow}/**/*.test.ts", "test/fuzz/{campaign,regressions}.test.ts", "test/conformance/**/*.test.ts"];

/** The files that were quickest in an earlier run first: a mutant is done with at the first test that fails. */
class QuickestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const { cache, config } = this.ctx;
    const durationOf = ({ project, moduleId }: TestSpecification): number =>
      cache.getFileTestResults(`${project.name}:${relative(config.root, moduleId)}`)?.duration ?? 0;
    return files.toSorted((a, b) => durationOf(a) - durationOf(b));
  }
}

const tests = process.env["STRYKER_TESTS"];

/** The tests that mutants of the copying engines have to get past: quick ones, many times over. */
const config: ViteUserConfig = {
  test: {
    include: tests === "slow" ? [...SLOW] : ALL,
    exclude: tests === "quick" ? [...SLOW] : [],
    testTimeout: 60_000,
    isolate: false,
    sequence: { sequencer: QuickestFirst },
  },
};
export default config;
