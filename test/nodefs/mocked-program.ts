/** A program of ES modules that imports node:fs itself. */
import { readFileSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";

const STATE = "/etc/app.json";

export function load(): unknown {
  return JSON.parse(readFileSync(STATE, "utf8"));
}

export async function save(state: unknown): Promise<void> {
  await writeFile(`${STATE}.new`, JSON.stringify(state));
  await rename(`${STATE}.new`, STATE);
}
