/**
 * How V8 compiles what passes through much code in few seconds: the command, and a run of the tests.
 */

/**
 * V8 usually spends two fifths of such a run on optimizing: each function together with copies of what it calls. So a function is compiled plainly when
 * it is first called, optimized when it has run twice as long as usual, and then with fewer copies. In somebody's own program, which may run for
 * longer, engines are compiled as that program has it.
 *
 * @returns V8's options, by what its version calls them; none for a version that nobody has measured, for one that it does not know is told on stderr.
 */
export function compilerFlags(): string[] {
  const plainly = ["--always-sparkplug", "--max-inlined-bytecode-size-cumulative=200"];
  const major = Number.parseInt(process.versions.v8, 10);
  if (major === 11) return [...plainly, "--interrupt-budget=135168"];
  return major === 12 || major === 13 ? [...plainly, "--invocation-count-for-turbofan=6000"] : [];
}
