/**
 * Results as SVG pictures, made of nothing but rectangles, lines and text: bars of every figure, and the stack of layers with its containers.
 *
 * Interface: the same document gives the same bytes; every text is escaped; a picture has a title and a description, and says nothing by colour alone.
 */
import { figureText } from "../scenario/figures.ts";
import { columnFigure, type DriverDocument, type RunDocument, type ScenarioDocument, titleOf } from "./document.ts";
import { xmlText } from "./escape.ts";
import { isUnfinished, ranked } from "./rank.ts";
import { textWidth } from "./table.ts";

const CHARACTER = 7.2;
const LINE = 20;
const BAR_WIDTH = 360;
const MARGIN = 16;
const STYLE =
  "<style>text{font:12px ui-monospace,Menlo,Consolas,monospace;fill:#1b1f24}.h{font-weight:bold}.d{fill:#57606a}.b{fill:#4c78a8}.n{fill:#b3541e}.l{fill:#dbe6f1;stroke:#4c78a8}.c{fill:#fde9d9;stroke:#b3541e}</style>";

/** A part of a picture, and how much room it takes. */
interface Piece {
  readonly lines: readonly string[];
  readonly width: number;
  readonly height: number;
}

function text(x: number, y: number, content: string, name = ""): string {
  return `<text x="${x}" y="${y}"${name === "" ? "" : ` class="${name}"`}>${xmlText(content)}</text>`;
}

/** One column's bars, least first; a negative figure is drawn with a mark of its own and its sign, and of a driver that stopped before none. */
function bars(scenario: ScenarioDocument, column: ScenarioDocument["columns"][number], top: number): Piece {
  const drivers = ranked({ ...scenario, columns: [column] });
  const drawnOf = (driver: DriverDocument): number => (isUnfinished(driver, column.name) ? 0 : columnFigure(driver, column.name));
  const most = Math.max(1, ...drivers.map((driver) => Math.abs(drawnOf(driver))));
  const left = MARGIN + Math.ceil(Math.max(...drivers.map(({ id }) => textWidth(id)), 6) * CHARACTER) + 8;
  const lines = [text(MARGIN, top + 14, column.title, "h")];
  drivers.forEach((driver, index) => {
    const y = top + LINE * (index + 1);
    const value = drawnOf(driver);
    const width = value === 0 ? 0 : Math.max(1, Math.round((Math.abs(value) / most) * BAR_WIDTH));
    lines.push(
      text(MARGIN, y + 14, driver.id),
      `<rect x="${left}" y="${y + 3}" width="${width}" height="14" class="${value < 0 ? "n" : "b"}"/>`,
      text(left + width + 6, y + 14, isUnfinished(driver, column.name) ? "– stopped" : figureText(value, column.unit)),
    );
  });
  return { lines, width: left + BAR_WIDTH + 110, height: LINE * (drivers.length + 1) + 12 };
}

/** The images' layers, the base below, with the containers that stand on them. */
function layerStack({ images, containers }: ScenarioDocument, top: number): Piece {
  const lines: string[] = [];
  let x = MARGIN;
  let height = 0;
  for (const image of images) {
    const on = containers.filter((container) => container.image === image.name);
    const rows = [
      ...on.map(({ name }) => ({ label: `container ${name}`, kind: "c" })),
      ...[...image.layers].reverse().map((label) => ({ label, kind: "l" })),
    ];
    const shown = rows.map(({ label, kind }) => ({ label: label.length > 48 ? `${label.slice(0, 47)}…` : label, kind }));
    const width = Math.ceil(Math.max(textWidth(image.name) + 6, ...shown.map(({ label }) => textWidth(label))) * CHARACTER) + 16;
    lines.push(text(x, top + 14, `image ${image.name}`, "h"));
    shown.forEach(({ label, kind }, index) => {
      const y = top + LINE * (index + 1);
      lines.push(`<rect x="${x}" y="${y}" width="${width}" height="${LINE - 2}" class="${kind}"/>`, text(x + 8, y + 13, label));
    });
    x += width + 24;
    height = Math.max(height, LINE * (shown.length + 1) + 16);
  }
  return { lines, width: x, height };
}

function picture(scenario: ScenarioDocument, top: number): Piece {
  const lines = [text(MARGIN, top + 14, titleOf(scenario), "h")];
  let y = top + LINE + 8;
  let width = MARGIN * 2 + textWidth(titleOf(scenario)) * CHARACTER;
  for (const piece of [
    (at: number) => layerStack(scenario, at),
    ...scenario.columns.map((column) => (at: number) => bars(scenario, column, at)),
  ]) {
    const drawn = piece(y);
    lines.push(...drawn.lines);
    y += drawn.height;
    width = Math.max(width, drawn.width);
  }
  return { lines, width, height: y - top + 12 };
}

/** A whole picture with its text twin. On a screen that is narrower than the picture all of it is there, smaller. */
export function svgDocument(title: string, description: string, { lines, width, height }: Piece): string {
  const [w, h] = [Math.ceil(width), Math.ceil(height)];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${w}" height="${h}" viewBox="0 0 ${w} ${h}" style="max-width:100%;height:auto" role="img">`,
    `<title>${xmlText(title)}</title><desc>${xmlText(description)}</desc>`,
    STYLE,
    `<rect width="${w}" height="${h}" fill="#ffffff"/>`,
    ...lines,
    "</svg>",
    "",
  ].join("\n");
}

/** All scenarios, one below the other. */
export function svgText({ scenarios }: RunDocument): string {
  const lines: string[] = [];
  let [width, height] = [0, MARGIN];
  for (const scenario of scenarios) {
    const drawn = picture(scenario, height);
    lines.push(...drawn.lines);
    width = Math.max(width, drawn.width);
    height += drawn.height;
  }
  const description = scenarios.map((one) => `${titleOf(one)}: ${one.about.split("\n\n")[0] ?? ""}`).join("\n");
  return svgDocument("cowlab: figures by driver", description, { lines, width, height });
}
