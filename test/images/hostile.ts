/**
 * Archives and configurations made to hurt: a generator of the classes of spec/reliability.md. Each case is a layer, an archive or a
 * configuration that is right but for one thing.
 */
import type { HostileCase } from "./hostile-archive.ts";
import { byteCases } from "./hostile-bytes.ts";
import { documentCases } from "./hostile-documents.ts";
import { entryCases } from "./hostile-entries.ts";

/** Every case. */
export function hostileCases(): readonly HostileCase[] {
  return [...entryCases(), ...byteCases(), ...documentCases()];
}
