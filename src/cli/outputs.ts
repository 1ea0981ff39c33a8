/**
 * Where results go: one format on standard output, and any number of files.
 *
 * Interface: the table is written scenario by scenario, as soon as each is known; every other format at the end. In GitHub Actions the step summary
 * is written too, and without a --format the annotations come behind the tables.
 */
import { accessSync, appendFileSync, constants, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { InputError, onFile } from "../node/input-error.ts";
import { writeWhole } from "../node/whole-file.ts";
import { combinationsText } from "../report/combinations.ts";
import { csvText } from "../report/csv.ts";
import { documentText, type RunDocument, runDocument, type ScenarioDocument } from "../report/document.ts";
import { githubText } from "../report/github.ts";
import { junitText } from "../report/junit.ts";
import { markdownText } from "../report/markdown.ts";
import { svgText } from "../report/svg.ts";
import { scenarioText } from "../report/text.ts";
import { suggestion } from "../scenario/suggest.ts";
import { columnsOf } from "./console.ts";
import { UsageError } from "./exit.ts";
import type { ScenarioOptions } from "./settings.ts";

export interface Shown {
  readonly width: number;
  readonly ranked: boolean;
  readonly quiet: boolean;
}

/** Formats of results, by name. */
const FORMATS: Readonly<Record<string, (document: RunDocument, shown: Shown) => string>> = {
  table: (document, shown) => {
    const texts = document.scenarios.map((one) => scenarioText(one, shown)).filter((text) => text !== "");
    return `${texts.join("\n")}${behind(combinationsShown(document, shown))}`;
  },
  json: documentText,
  csv: csvText,
  md: markdownText,
  junit: junitText,
  github: githubText,
  svg: svgText,
};

/** What stands behind the tables of all scenarios. */
function combinationsShown({ scenarios }: RunDocument, { quiet, width }: Shown): string {
  return quiet ? "" : combinationsText(scenarios, width);
}

function behind(text: string): string {
  return text === "" ? "" : `\n${text}`;
}

/** Formats of events, which are written while the scenarios run. */
const EVENT_FORMATS: readonly string[] = ["ndjson", "trace", "blocks"];
/** Other names that people give them. */
const ALIASES: Readonly<Record<string, string>> = { markdown: "md", text: "table", events: "ndjson", xml: "junit" };

/** A format by its name. @throws UsageError for an unknown one */
export function formatNamed(name: string): string {
  const known = [...Object.keys(FORMATS), ...EVENT_FORMATS];
  const plain = Object.hasOwn(ALIASES, name) ? (ALIASES[name] ?? name) : name;
  if (!known.includes(plain)) throw new UsageError(`unknown format "${name}"${suggestion(name, known)}`);
  return plain;
}

/** The format that standard output gets. @throws UsageError where two are asked for, or an unknown one */
export function chosenFormat({ json, format }: Pick<ScenarioOptions, "json" | "format">): string {
  const named = formatNamed(format ?? (json === true ? "json" : "table"));
  if (json === true && named !== "json")
    throw new UsageError(`--json and --format ${format} ask for two forms of the one result`);
  return named;
}

/** The text of a document in a format of results. */
export function formatted(format: string, document: RunDocument, shown: Shown): string {
  const make = FORMATS[format];
  if (make === undefined) throw new UsageError(`the format ${format} is made of events: only a run has them`);
  return make(document, shown);
}

/** A file that results go to. */
export interface OutputFile {
  readonly format: string;
  readonly path: string;
}

/** The `-o FORMAT=FILE` words. */
export function outputFiles(words: readonly string[] | undefined): readonly OutputFile[] {
  return (words ?? []).map((word) => {
    const [format = "", ...rest] = word.split("=");
    if (rest.length === 0 || rest.join("=") === "")
      throw new UsageError(`-o takes FORMAT=FILE, such as md=result.md, not "${word}"`);
    return { format: formatNamed(format), path: rest.join("=") };
  });
}

/**
 * Looks at the files that results go to before anything runs, so that no run is lost for a wrong word.
 * @throws UsageError where two are one, or one is an input; InputError where the folder is not there
 */
export function checkPlaces(paths: readonly string[], inputs: readonly string[]): void {
  const taken = new Set<string>();
  const read = new Set(inputs.map((path) => resolve(path)));
  for (const path of paths) {
    const place = resolve(path);
    if (read.has(place)) throw new UsageError(`${path} is read: it cannot be written too`);
    if (taken.has(place) && !place.startsWith("/dev/")) throw new UsageError(`${path} is named for two outputs`);
    taken.add(place);
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw new InputError(`${path}: it is a directory`);
    onFile(path, () => accessSync(dirname(place), constants.W_OK));
  }
}

/** Whether a format is made of events. */
function isOfEvents(format: string): boolean {
  return EVENT_FORMATS.includes(format);
}

/** Writes a file. @throws InputError with the reason where it cannot be */
export function writeResult(path: string, text: string): void {
  writeWhole(path, [text]);
}

export class Outputs {
  readonly #format: string;
  readonly #files: readonly OutputFile[];
  readonly #shown: Shown;
  /** Whether GitHub Actions is told of failures although nobody chose a format. */
  readonly #annotates: boolean;
  readonly #save: string | undefined;
  readonly #write: (text: string) => void;
  readonly #environment: Readonly<Record<string, string | undefined>>;
  readonly #done: ScenarioDocument[] = [];
  #texts = 0;

  constructor(
    options: ScenarioOptions,
    {
      write,
      ranked,
      environment,
      inputs = [],
    }: {
      readonly write: (text: string) => void;
      readonly ranked: boolean;
      /** Files that are read, which no result may take the place of. */
      readonly inputs?: readonly string[];
      readonly environment: Readonly<Record<string, string | undefined>>;
    },
  ) {
    this.#format = chosenFormat(options);
    this.#files = outputFiles(options.output);
    const isChosen = options.format !== undefined || options.json === true;
    this.#annotates = this.#format === "github" || (!isChosen && environment["GITHUB_ACTIONS"] === "true");
    this.#shown = { width: columnsOf(environment), ranked, quiet: options.quiet === true };
    this.#save = options.save;
    checkPlaces([...this.#files.map(({ path }) => path), ...(options.save === undefined ? [] : [options.save])], inputs);
    this.#write = write;
    this.#environment = environment;
  }

  /** The formats of events that are asked for, with their files; the one on standard output has none. */
  get events(): readonly (OutputFile | { readonly format: string; readonly path: undefined })[] {
    const files = this.#files.filter(({ format }) => isOfEvents(format));
    return isOfEvents(this.#format) ? [...files, { format: this.#format, path: undefined }] : files;
  }

  /** Takes one scenario's result. */
  take(document: ScenarioDocument): void {
    this.#done.push(document);
    if (this.#format !== "table") return;
    const text = scenarioText(document, this.#shown);
    if (text === "") return;
    this.#write(`${this.#texts > 0 ? "\n" : ""}${text}`);
    this.#texts += 1;
  }

  /** Writes what is written at the end. @param more - keys that the document has besides */
  finish(more: Partial<RunDocument> = {}): RunDocument {
    const document = { ...runDocument(this.#done), ...more };
    if (this.#format !== "table" && !isOfEvents(this.#format)) this.#write(formatted(this.#format, document, this.#shown));
    if (this.#format === "table") this.#write(behind(combinationsShown(document, this.#shown)));
    if (this.#format === "table" && this.#annotates) this.#write(githubText(document));
    for (const { format, path } of this.#files)
      if (!isOfEvents(format)) writeResult(path, formatted(format, document, this.#shown));
    if (this.#save !== undefined) writeResult(this.#save, documentText(document));
    const summary = this.#environment["GITHUB_STEP_SUMMARY"];
    if (summary !== undefined && summary !== "" && this.#annotates)
      onFile(summary, () => appendFileSync(summary, summaryText(document)));
    return document;
  }
}

/** GitHub takes a summary of a mebibyte. */
const SUMMARY_MAX = 1_000_000;

function summaryText(document: RunDocument): string {
  const text = markdownText(document);
  return text.length <= SUMMARY_MAX ? text : `${text.slice(0, SUMMARY_MAX)}\n\n…\n`;
}
