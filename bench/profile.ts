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

interface OwnTimes {
  /** Own time by function, file and line. */
  readonly own: ReadonlyMap<string, number>;
  readonly total: number;
}

function ownTimes(profileFile: string): OwnTimes {
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
  return { own, total };
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1).padStart(5)} %`;
}

/** @returns up to `most` lines: own share of all samples, function, file and line. */
export function hottest(profileFile: string, most: number): string[] {
  const { own, total } = ownTimes(profileFile);
  return [...own]
    .sort(([, one], [, other]) => other - one)
    .slice(0, most)
    .map(([place, spent]) => `${percent(spent / total)}  ${place}`);
}

/** The share of each part, by where the code of its functions is; a function counts with the first part that fits. */
export function sharesOf(profileFile: string, parts: readonly (readonly [name: string, place: RegExp])[]): string[] {
  const { own, total } = ownTimes(profileFile);
  const shares = new Map(parts.map(([name]) => [name, 0]));
  for (const [place, spent] of own) {
    const part = parts.find(([, pattern]) => pattern.test(place))?.[0];
    if (part !== undefined) shares.set(part, (shares.get(part) ?? 0) + spent);
  }
  return [...shares].map(([name, spent]) => `${percent(spent / total)}  ${name}`);
}
