/**
 * Results as workflow commands of GitHub Actions: an annotation at the line of each failed expectation.
 *
 * GitHub shows ten annotations of a kind a step: nine are written, and one that says how many more there are.
 */
import type { RunDocument } from "./document.ts";
import { commandMessage, commandProperty } from "./escape.ts";

const ANNOTATIONS_MAX = 9;

interface Annotation {
  readonly kind: "error" | "warning";
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly title: string;
  readonly message: string;
}

function annotationsOf({ scenarios }: RunDocument): readonly Annotation[] {
  return scenarios.flatMap(({ file, name, drivers }) =>
    drivers.flatMap(({ id, stopped, expectations }): readonly Annotation[] => {
      const title = `${name} on ${id}`;
      const stop =
        stopped === undefined
          ? []
          : [
              {
                kind: "error",
                file,
                line: stopped.line,
                column: stopped.column,
                title,
                message: `stopped at ${stopped.where}: ${stopped.why}`,
              } as const,
            ];
      const unmet = expectations.filter(({ ok, unreached }) => !ok && unreached !== true);
      return [
        ...stop,
        ...unmet.map(({ step, what, expected, found, soft, line, column }): Annotation => {
          const where = step === undefined ? what : `step ${step}, ${what}`;
          return {
            kind: soft === true ? "warning" : "error",
            file,
            line,
            column,
            title,
            message: `${where}: expected ${expected}, found ${found}`,
          };
        }),
      ];
    }),
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
