/**
 * Fault plans as a command line gives them: in YAML's short form, as a file writes them.
 */
import { readYaml } from "./document.ts";
import type { PlannedFault } from "./faults.ts";
import { findingsOf } from "./issues.ts";
import { ScenarioError } from "./problem.ts";
import { planSchema } from "./schema.ts";
import { slotsFor } from "./slots.ts";

/** Reads `{ power_cut: write, at: 3 }`. @param file - what problems call it. @throws ScenarioError with every problem found */
export function parsePlan(text: string, file: string): PlannedFault {
  const document = readYaml(text, file);
  if (!("value" in document)) throw new ScenarioError(document);
  const schema = planSchema(slotsFor(new Map()));
  const parsed = schema.safeParse(document.value);
  if (parsed.success) return parsed.data;
  const problems = findingsOf(parsed.error, schema, document.value).map(({ path, key, message }) => {
    const place = key === undefined ? document.placeOf(path) : document.placeOfKey(path, key);
    return { file, ...place, message };
  });
  throw new ScenarioError(problems);
}
