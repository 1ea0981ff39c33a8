/** Renaming a directory, back and forth, with 10 to 100,000 files in it. */
import { Series } from "../measure.ts";
import type { Bench } from "../workload.ts";

const SIZES = [10, 1000, 100_000];
const IN_DIRECTORY = 1000;
const EMPTY = new Uint8Array(0);

export function directoryRename(bench: Bench): void {
  for (const size of SIZES) {
    const count = size <= 1000 && bench.peer.share < 1 ? size : bench.count(size, Math.min(size, 1000));
    const tree = bench.peer.mount(1, (layer) => layer.mkdirp("/home"));
    for (let index = 0; index < count; index++) {
      const parent = `/home/project/${Math.floor(index / IN_DIRECTORY)}`;
      if (index % IN_DIRECTORY === 0) tree.mkdirp(parent);
      tree.writeFile(`${parent}/file-${index}`, EMPTY);
    }
    bench.report(
      new Series(`rename-directory-${size}`).rounds(
        bench.rounds,
        bench.count(1000, 50),
        (from, to) => {
          for (let index = from; index < to; index++) {
            tree.rename("/home/project", "/home/renamed");
            tree.rename("/home/renamed", "/home/project");
          }
        },
        2,
      ),
    );
    tree.dispose();
  }
}
