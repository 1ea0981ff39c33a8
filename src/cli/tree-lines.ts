/**
 * Trees as text. What stands alone on something is drawn below it without a step to the right, so that a chain of a hundred layers is as wide as one;
 * only where it forks are there branches. Between trees stands an empty line.
 */

/** @param shown - a node's own text, one line */
export function treeLines<T>(
  roots: readonly T[],
  childrenOf: (node: T) => readonly T[],
  shown: (node: T) => string,
): readonly string[] {
  const lines: string[] = [];
  const draw = (node: T, first: string, rest: string): void => {
    lines.push(first + shown(node));
    const children = childrenOf(node);
    for (const [index, child] of children.entries()) {
      const isLast = index === children.length - 1;
      if (children.length === 1) draw(child, rest, rest);
      else draw(child, `${rest}${isLast ? "└─ " : "├─ "}`, `${rest}${isLast ? "   " : "│  "}`);
    }
  };
  for (const [index, root] of roots.entries()) {
    if (index > 0) lines.push("");
    draw(root, "", "");
  }
  return lines;
}
