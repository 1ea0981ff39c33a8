/**
 * Tables as the docker command prints them (docker/cli v20.10.27 cli/command/formatter: tabwriter, disk_usage.go, container.go).
 *
 * Interface: ages are told from `now`, seconds since 1970.
 */
import { humanSize } from "../drivers/human-size.ts";
import type { Container, ContainerUsage } from "./containers.ts";
import type { StoredImage } from "./image-store.ts";
import type { ImageUsage } from "./views.ts";

/** text/tabwriter as the command sets it: cells of at least so many columns, the space behind the text among them. */
const CELL_MIN = 10;
const CELL_PADDING = 3;
const ID_DIGITS = 12;
const COMMAND_MAX = 20;

/** Rows under headings; no space behind the last column. */
function dockerTable(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [headings, ...rows];
  const length = (text: string): number => [...text].length;
  const widths = headings.map((_, column) => Math.max(CELL_MIN, ...all.map((row) => length(row[column] ?? "") + CELL_PADDING)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (column === row.length - 1 ? cell : cell + " ".repeat((widths[column] ?? 0) - length(cell))))
      .join("");
  return all.map((row) => `${line(row)}\n`).join("");
}

/** units.HumanDuration. @param seconds - what is less than one, or negative, is "Less than a second" */
export function humanDuration(seconds: number): string {
  const whole = Math.trunc(seconds);
  if (whole < 1) return "Less than a second";
  if (whole < 60) return whole === 1 ? "1 second" : `${whole} seconds`;
  const minutes = Math.trunc(seconds / 60);
  if (minutes < 60) return minutes === 1 ? "About a minute" : `${minutes} minutes`;
  // Hours are rounded, where all else is cut.
  const hours = Math.trunc(seconds / 3600 + 0.5);
  if (hours < 48) return hours === 1 ? "About an hour" : `${hours} hours`;
  const days = Math.trunc(hours / 24);
  if (days < 14) return `${days} days`;
  if (days < 60) return `${Math.trunc(days / 7)} weeks`;
  if (days < 730) return `${Math.trunc(days / 30)} months`;
  return `${Math.trunc(seconds / 3600 / 24 / 365)} years`;
}

function age(created: string, now: number): string {
  const time = Date.parse(created);
  return Number.isNaN(time) ? "N/A" : `${humanDuration(now - Math.floor(time / 1000))} ago`;
}

/** Newest first, as the daemon lists images and containers: of several of one moment the one that was made last. */
function newestFirst<T>(items: readonly T[], createdOf: (item: T) => string): T[] {
  return [...items].reverse().sort((one, other) => Date.parse(createdOf(other)) - Date.parse(createdOf(one)));
}

/** What `docker system df -v` prints: images, containers, volumes and build cache; of the last two there are none here. */
export function systemDfText(images: readonly ImageUsage[], containers: readonly ContainerUsage[], now: number): string {
  const imageRows = newestFirst(images, ({ created }) => created).map((one) => [
    one.repository,
    one.tag,
    one.id.slice(7, 7 + ID_DIGITS),
    age(one.created, now),
    humanSize(one.size, 3),
    humanSize(one.shared),
    humanSize(one.unique),
    String(one.containers),
  ]);
  const containerRows = newestFirst(containers, ({ container }) => container.created).map(({ container, size }) => [
    container.id.slice(0, ID_DIGITS),
    shownImage(container.image, images),
    shownCommand(container),
    "0",
    humanSize(size, 3),
    age(container.created, now),
    "Created",
    container.name,
  ]);
  const columns = "REPOSITORY|TAG|IMAGE ID|CREATED|SIZE|SHARED SIZE|UNIQUE SIZE|CONTAINERS".split("|");
  const ofContainers = "CONTAINER ID|IMAGE|COMMAND|LOCAL VOLUMES|SIZE|CREATED|STATUS|NAMES".split("|");
  const ofCache = "CACHE ID|CACHE TYPE|SIZE|CREATED|LAST USED|USAGE|SHARED".split("|");
  return [
    `Images space usage:\n\n${dockerTable(columns, imageRows)}`,
    `Containers space usage:\n\n${dockerTable(ofContainers, containerRows)}`,
    `Local Volumes space usage:\n\n${dockerTable(["VOLUME NAME", "LINKS", "SIZE"], [])}`,
    `Build cache usage: 0B\n\n${dockerTable(ofCache, [])}`,
  ].join("\n");
}

/** What `docker ps -as` prints. */
export function psText(usage: readonly ContainerUsage[], images: readonly ImageUsage[], now: number): string {
  const rows = newestFirst(usage, ({ container }) => container.created).map(({ container, size, virtual }) => [
    container.id.slice(0, ID_DIGITS),
    shownImage(container.image, images),
    shownCommand(container),
    age(container.created, now),
    "Created",
    "",
    container.name,
    virtual > 0 ? `${humanSize(size, 3)} (virtual ${humanSize(virtual, 3)})` : humanSize(size, 3),
  ]);
  return dockerTable("CONTAINER ID|IMAGE|COMMAND|CREATED|STATUS|PORTS|NAMES|SIZE".split("|"), rows);
}

function shownImage({ config }: StoredImage, images: readonly ImageUsage[]): string {
  const named = images.find(({ id, repository }) => id === config.id && repository !== "<none>");
  return named === undefined ? config.id.slice(7, 7 + ID_DIGITS) : `${named.repository}:${named.tag}`;
}

/** The command, quoted, cut to 20 characters. */
function shownCommand({ command }: Container): string {
  const words = command.map((word, index) => (index > 0 && word.includes(" ") ? `'${word}'` : word)).join(" ");
  const units = [...words];
  return JSON.stringify(units.length > COMMAND_MAX ? `${units.slice(0, COMMAND_MAX - 1).join("")}…` : words);
}
