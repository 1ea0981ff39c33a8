/** The program bundled as by `npm start`: a process of it begins in a fraction of the time that the sources take. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";

export const ROOT: string = fileURLToPath(new URL("../..", import.meta.url));
let made: string | undefined;

/** The path of the program's entry; made where this process has not made it yet, within the checkout, whose package.json has the version. */
export function bundledProgram(): string {
  if (made !== undefined) return made;
  const outdir = join(ROOT, ".start", `tests-${process.env["VITEST_POOL_ID"] ?? process.pid}`);
  const entryPoints = ["main", "worker"].map((name) => join(ROOT, "src", "cli", `${name}.ts`));
  const shape = { bundle: true, splitting: true, format: "esm", platform: "node", packages: "external" } as const;
  buildSync({ ...shape, entryPoints, outdir, logLevel: "warning" });
  made = join(outdir, "main.js");
  return made;
}
