/**
 * What a .dockerignore leaves out of a build's context (moby v20.10.27 builder/dockerignore, pkg/fileutils PatternMatcher).
 *
 * Rules: a pattern is a path below the context's root; `**` stands for any number of folders; what lies in a folder that matches is left out
 * too; `!` takes in again; the last pattern that says something counts.
 */
import { literal } from "./glob.ts";
import { layerPath } from "./names.ts";

interface Pattern {
  readonly expression: RegExp;
  readonly takesIn: boolean;
}

/** Reads the patterns of a file. Lines that begin with # are for readers. */
export function ignoredBy(text: string): (path: string) => boolean {
  const patterns = text
    .replace(/^\ufeff/, "")
    .split(/\r?\n/)
    .flatMap((line) => (line.startsWith("#") || line.trim() === "" ? [] : [patternOf(line.trim())]));
  return (path) => {
    let ignored = false;
    for (const { expression, takesIn } of patterns) if (takesIn === ignored && matches(expression, path)) ignored = !takesIn;
    return ignored;
  };
}

function patternOf(line: string): Pattern {
  const takesIn = line.startsWith("!");
  const cleaned = layerPath(takesIn ? line.slice(1).trim() : line).slice(1);
  return { expression: expressionOf(cleaned), takesIn };
}

/** Whether a path, or a folder that it lies in, matches. */
function matches(expression: RegExp, path: string): boolean {
  for (let at = path; at !== ""; at = at.slice(0, Math.max(at.lastIndexOf("/"), 0))) if (expression.test(at)) return true;
  return false;
}

/** PatternMatcher's own translation: `[` and `]` stand as they are. */
function expressionOf(pattern: string): RegExp {
  let source = "";
  for (let at = 0; at < pattern.length; at++) {
    const unit = pattern[at] ?? "";
    if (unit === "*" && pattern[at + 1] === "*") {
      at += pattern[at + 2] === "/" ? 2 : 1;
      source += at + 1 >= pattern.length ? ".*" : "(?:.*/)?";
    } else if (unit === "*") source += "[^/]*";
    else if (unit === "?") source += "[^/]";
    else if (unit === "\\") source += literal(pattern[++at] ?? "");
    else source += unit === "[" || unit === "]" || unit === "-" ? unit : literal(unit);
  }
  try {
    return new RegExp(`^${source}$`, "s");
  } catch {
    return /(?!)/;
  }
}
