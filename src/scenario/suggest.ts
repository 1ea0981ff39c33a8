/**
 * "Did you mean": the known word that a misspelt one was probably meant to be.
 */

/**
 * The number of single changes (a letter put in, taken out, replaced, or two neighbours swapped) that turn one word into the other.
 * Optimal string alignment; O(length × length).
 */
export function editDistance(one: string, other: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let row = 1; row <= one.length; row++) {
    const current = [row];
    for (let column = 1; column <= other.length; column++) {
      const same = one[row - 1] === other[column - 1];
      let best = Math.min((last[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1, (last[column - 1] ?? 0) + (same ? 0 : 1));
      const swapped = row > 1 && column > 1 && one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1];
      if (swapped) best = Math.min(best, (beforeLast[column - 2] ?? 0) + 1);
      current.push(best);
    }
    beforeLast = last;
    last = current;
  }
  return last[other.length] ?? 0;
}

/** A word longer than this is not compared: no known word is near it, and the comparison would be as long as the word. */
const WORD_LENGTH_MAX = 64;

/**
 * The nearest known word, if it is near enough to be meant: one that has all parts of the given one and others (`inodes_allocated_at_steps` for
 * `inodes_at_steps`), else one of whose letters at most a third differ (one in words of 2 to 5), upper and lower case and `-` for `_` aside. Of
 * equally near words the first of the list is taken.
 */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  if (word.length > WORD_LENGTH_MAX) return undefined;
  const plain = fold(word);
  const longer = shortestWithParts(plain, known);
  if (longer !== undefined) return longer;
  let best: string | undefined;
  let bestDistance = (plain.length < 2 ? 0 : Math.max(1, Math.floor(plain.length / 3))) + 1;
  for (const candidate of known) {
    const distance = editDistance(plain, fold(candidate));
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** The shortest known word that has the parts of another one, in their order. */
function shortestWithParts(plain: string, known: Iterable<string>): string | undefined {
  const parts = plain.split("_");
  let best: string | undefined;
  for (const candidate of known) {
    let found = 0;
    for (const part of fold(candidate).split("_")) if (part === parts[found]) found += 1;
    if (found === parts.length && (best === undefined || candidate.length < best.length)) best = candidate;
  }
  return best;
}

/** Ends a message about an unknown word: `; did you mean "x"?` where one is near, else the known words if they are few. */
export function suggestion(word: string, known: readonly string[]): string {
  const near = nearest(word, known);
  if (near !== undefined) return `; did you mean "${near}"?`;
  return known.length === 0 || known.length > 12 ? "" : `; known: ${known.join(", ")}`;
}

/** What Docker's own words are here. */
const DOCKER_WORDS: ReadonlyMap<string, string> = new Map([
  ["run", '"sh" has the command of a RUN'],
  ["exec", '"sh" runs a command in the container that "in" names'],
  ["from", '"from" stands beside "layers" in the image'],
  ["arg", '"vars" of the file are named as $name in sizes and scripts'],
  ["history", "{ show: IMAGE, field: created_by } tells what made the layers"],
  ["inspect", "{ show: IMAGE, field: … } tells of an image, { ps: CONTAINER } of a container's size"],
  ["images", "{ show: IMAGE, field: size } tells of one"],
  ["df", "{ show: IMAGE, field: usage } tells what is shared, { du: all } what lies on the disk"],
  ["rm", '"remove" removes a container'],
  ["rmi", '"remove" removes a container, or a layer as IMAGE:N'],
  ["stop", '"remove" removes a container'],
  ["restart", "{ power_cut: now } starts the machine again"],
]);

/** Ends a message about a word of Docker's that is none here. */
export function dockerWord(word: string): string | undefined {
  const meant = DOCKER_WORDS.get(word.toLowerCase());
  return meant === undefined ? undefined : `: ${meant}`;
}

function fold(word: string): string {
  return word.toLowerCase().replaceAll("-", "_");
}
