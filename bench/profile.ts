/** Where the time of a profiled child went: the functions that a V8 CPU profile caught at work most often, by their own time. */
import { readFileSync } from "node:fs";

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** @returns up to `most` lines: own share of all samples, function, file and line. */
export function hottest(profileFile: string, most: number): string[] {
  const profile = JSON.parse(readFileSync(profileFile, "utf8")) as CpuProfile;
  const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]));
  const own = new Map<string, number>();
  let total = 0;
  profile.samples.forEach((id, index) => {
    const frame = frames.get(id);
    const spent = profile.timeDeltas[index] ?? 0;
    if (frame === undefined || frame.functionName === "(idle)") return;
    const where = frame.url.replace(/^.*\/(?=(?:sim|src|bench|node_modules)\/)/, "").replace(/\?.*$/, "");
    const place = where === "" ? frame.functionName : `${frame.functionName || "(anonymous)"}  ${where}:${frame.lineNumber + 1}`;
    own.set(place, (own.get(place) ?? 0) + spent);
    total += spent;
  });
  return [...own]
    .sort(([, one], [, other]) => other - one)
    .slice(0, most)
    .map(([place, spent]) => `${((100 * spent) / total).toFixed(1).padStart(5)} %  ${place}`);
}
