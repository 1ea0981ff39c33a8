/**
 * Results as workflow commands of GitHub Actions: an annotation at the line of each failed expectation.
 *
 * GitHub shows ten annotations of a kind a step: nine are written, and one that says how many more there are.
 */
import { type RunDocument, titleOf } from "./document.ts";
import { commandMessage, commandProperty } from "./escape.ts";
import { failuresAlike } from "./text.ts";

const ANNOTATIONS_MAX = 9;

interface Annotation {
  readonly kind: "error" | "warning";
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly title: string;
  readonly message: string;
}

/** One for all drivers that failed alike. */
function annotationsOf({ scenarios }: RunDocument): readonly Annotation[] {
  return scenarios.flatMap((scenario) =>
    (["error", "warning"] as const).flatMap((kind) =>
      failuresAlike(scenario, kind === "warning").map(({ failure: { text, line, column }, ids }) => {
        const title = `${titleOf(scenario)} on ${ids.join(", ")}`;
        return { kind, file: scenario.file, line, column, title, message: text };
      }),
    ),
  );
}

function command({ kind, file, line, column, title, message }: Annotation): string {
  return `::${kind} file=${commandProperty(file)},line=${line},col=${column},title=${commandProperty(title)}::${commandMessage(message)}`;
}

/** The commands, one a line; empty where nothing failed. */
export function githubText(document: RunDocument): string {
  const all = annotationsOf(document);
  const lines = (["error", "warning"] as const).flatMap((kind) => {
    const some = all.filter((one) => one.kind === kind);
    const rest = some.length - ANNOTATIONS_MAX;
    const shown = some.slice(0, ANNOTATIONS_MAX).map(command);
    return rest > 0 ? [...shown, `::${kind}::and ${rest} more; the step summary has them all`] : shown;
  });
  return lines.map((line) => `${line}\n`).join("");
}
