/**
 * `npm start`: the command on the project's scenarios. It is bundled where a source has changed since the last time: Node.js 20 reads no TypeScript,
 * and to translate each file as it is loaded takes longer than to run the scenarios.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const BUNDLE = join(import.meta.dirname, ".start");
/** Holds what the sources were when they were bundled. */
const STAMP = join(BUNDLE, "sources");
const SOURCES = ["sim", "src", "package.json", "package-lock.json", "start.mjs"];

/** Whatever the bundle is made of, by name, size and time of its last change. */
function sources() {
  const hash = createHash("sha256");
  const add = (path) => {
    const about = statSync(join(import.meta.dirname, path));
    if (about.isDirectory()) for (const name of readdirSync(join(import.meta.dirname, path)).sort()) add(`${path}/${name}`);
    else hash.update(`${path} ${about.size} ${about.mtimeMs}\n`);
  };
  for (const path of SOURCES) add(path);
  return hash.digest("hex");
}

function bundled() {
  try {
    return readFileSync(STAMP, "utf8");
  } catch {
    return undefined;
  }
}

const now = sources();
if (bundled() !== now) {
  const { buildSync } = await import("esbuild");
  const entryPoints = ["main", "worker"].map((name) => join(import.meta.dirname, "src", "cli", `${name}.ts`));
  const shape = { bundle: true, splitting: true, format: "esm", platform: "node", packages: "external" };
  buildSync({ ...shape, entryPoints, outdir: BUNDLE, logLevel: "warning" });
  writeFileSync(STAMP, now);
}
process.argv.splice(1, 1, join(BUNDLE, "main.js"), "compare", "scenarios");
await import(new URL(".start/main.js", import.meta.url));
