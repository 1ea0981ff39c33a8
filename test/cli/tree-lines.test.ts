import { expect, test } from "vitest";
import { treeLines } from "../../src/cli/tree-lines.ts";

interface Node {
  readonly name: string;
  readonly children: readonly Node[];
}

const node = (name: string, ...children: Node[]): Node => ({ name, children });
const drawn = (...roots: Node[]): readonly string[] =>
  treeLines(
    roots,
    ({ children }) => children,
    ({ name }) => name,
  );

test("a chain goes straight down, however long it is", () => {
  const chain = Array.from({ length: 125 }).reduce<Node>((below, _) => node("layer", below), node("top"));
  expect(drawn(chain)).toEqual([...new Array<string>(125).fill("layer"), "top"]);
});

test("a fork has branches, whose chains stand under them", () => {
  expect(drawn(node("base", node("lib", node("a", node("a1")), node("b", node("b1"), node("b2")))))).toEqual([
    "base",
    "lib",
    "├─ a",
    "│  a1",
    "└─ b",
    "   ├─ b1",
    "   └─ b2",
  ]);
});

test("an empty line stands between trees", () => {
  expect(drawn(node("one", node("two")), node("three"))).toEqual(["one", "two", "", "three"]);
});
