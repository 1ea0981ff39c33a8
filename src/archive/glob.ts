/**
 * Patterns of paths as Go's filepath.Match takes them: `*` and `?` stay within a name, `[a-z]` and `[^a]` are sets, `\` takes away a meaning.
 */

/** A pattern as a regular expression over the whole path; undefined of one that filepath.Match refuses. */
export function globExpression(pattern: string): RegExp | undefined {
  let source = "";
  for (let at = 0; at < pattern.length; at++) {
    const unit = pattern[at] ?? "";
    if (unit === "*") source += "[^/]*";
    else if (unit === "?") source += "[^/]";
    else if (unit === "[") {
      const set = setAt(pattern, at);
      if (set === undefined) return undefined;
      source += set.source;
      at = set.end;
    } else if (unit !== "\\") source += literal(unit);
    else if (at + 1 === pattern.length) return undefined;
    else source += literal(pattern[++at] ?? "");
  }
  return expression(source);
}

/** A set that begins at `[`. */
function setAt(pattern: string, begin: number): { readonly source: string; readonly end: number } | undefined {
  let at = begin + 1;
  const isNegated = pattern[at] === "^";
  if (isNegated) at += 1;
  let source = "";
  for (; at < pattern.length; at++) {
    const unit = pattern[at] ?? "";
    if (unit === "]" && source !== "") return { source: `(?!/)[${isNegated ? "^" : ""}${source}]`, end: at };
    if (unit === "]" || (unit === "-" && source === "")) return undefined;
    if (unit === "-" && !source.endsWith("-")) source += "-";
    else source += literal(unit === "\\" ? (pattern[++at] ?? "") : unit);
  }
  return undefined;
}

/** A character that means itself. */
export function literal(unit: string): string {
  return unit.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&");
}

function expression(source: string): RegExp | undefined {
  try {
    return new RegExp(`^${source}$`, "s");
  } catch {
    return undefined;
  }
}
