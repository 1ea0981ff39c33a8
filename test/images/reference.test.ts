import { describe, expect, test } from "vitest";
import { parseReference } from "../../src/images/image-store.ts";
import { isTag } from "../../src/images/source-image.ts";

describe("a name and tag, as Docker reads it", () => {
  test.each([
    "app:1",
    "lab/app:v1.2_rc-3",
    "localhost/app:1",
    "localhost:5000/app:1",
    "Registry.example.com:443/lab/a__b/c---d:latest",
    "a.b_c:Tag",
    `${"a".repeat(255)}:1`,
  ])("is %s", (text) => expect(isTag(text)).toBe(true));

  test.each([
    ["without a tag", "app"],
    ["with two tags", "a:b:c"],
    ["with an empty part", "lab//app:1"],
    ["with two dots together", "a..b:1"],
    ["with three underscores together", "a___b:1"],
    ["with a separator at its end", "app-:1"],
    ["with capitals in a folder", "Lab/app:1"],
    ["with a port that is no number", "host:port/app:1"],
    ["with a registry and nothing in it", "localhost:5000/:1"],
    ["with a tag that begins with a dash", "app:-1"],
    ["with a name of more than 255 letters", `${"a".repeat(256)}:1`],
    ["with a tag of more than 128 letters", `app:${"1".repeat(129)}`],
    ["with a line's end", "app:1\n"],
  ])("is none %s", (_, text) => expect(isTag(text)).toBe(false));

  test("is judged in time that does not grow beyond the square of its length", () => {
    expect(isTag(`${"a-".repeat(200_000)}:1`)).toBe(false);
    expect(isTag(`a.${"b".repeat(20_000)}`)).toBe(false);
  });
});

test.each([
  ["docker.io/library/app:1", "app", "1"],
  ["index.docker.io/lab/app", "lab/app", "latest"],
  ["docker.io/app:1", "app", "1"],
  ["library/app:1", "app", "1"],
  ["library/lab/app:1", "library/lab/app", "1"],
  ["example.com/library/app:1", "example.com/library/app", "1"],
  ["localhost:5000/app", "localhost:5000/app", "latest"],
])("%s is the image %s with the tag %s, as Docker shows it", (text, name, tag) => {
  expect(parseReference(text)).toEqual({ name, tag });
});
