/** What is wrong with a line of an order and what to do, for each code of the API, in English and
 * German. */
import type { OrderDetails } from "../api/client";
import { rejectionText, type Reason } from "../photos/rejection";
import { named } from "../products";
import { language, number } from "../text";

type Line = OrderDetails["lines"][number];
export type Finding = NonNullable<OrderDetails["history"][number]["findings"]>[number];

const en: Record<Finding["code"], string> & Record<"line" | "smaller" | "larger", string> = {
  line: "Line {line}, {product}:",
  "photo-not-found": "The photo does not exist any more. Upload it and order again.",
  "photo-rejected": "The photo could not be developed. {reason}",
  "resolution-too-low": "The photo has {dpi} dpi on this print, and at least {required} are needed. {advice}",
  "resolution-low": "The photo has {dpi} dpi on this print and may look soft; from {required} on it is sharp. {advice}",
  "out-of-stock": "There is paper for {available} prints only.",
  smaller: "Choose a print of at most {width} × {height} cm, or upload a larger original.",
  larger: "Upload a larger original.",
};

const de: typeof en = {
  line: "Position {line}, {product}:",
  "photo-not-found": "Das Foto gibt es nicht mehr. Laden Sie es hoch und bestellen Sie noch einmal.",
  "photo-rejected": "Das Foto konnte nicht entwickelt werden. {reason}",
  "resolution-too-low": "Das Foto hat auf diesem Abzug {dpi} dpi, nötig sind mindestens {required}. {advice}",
  "resolution-low": "Das Foto hat auf diesem Abzug {dpi} dpi und wirkt vielleicht unscharf; ab {required} ist es scharf. {advice}",
  "out-of-stock": "Papier ist nur noch für {available} Abzüge da.",
  smaller: "Wählen Sie einen Abzug von höchstens {width} × {height} cm, oder laden Sie ein größeres Original hoch.",
  larger: "Laden Sie ein größeres Original hoch.",
};

export const FINDINGS = { en, de } as const;

function fill(text: string, values: Record<string, string>): string {
  return text.replace(/\{(\w+)\}/g, (_, name: string) => values[name] ?? "");
}

/** A finding in the page's language, with the number and the product of its line. Empty for a code
 * that this page does not know, of a newer lab. */
export function findingText(finding: Finding, lines: readonly Line[]): string {
  const texts = FINDINGS[language];
  const known: Partial<Record<string, string>> = texts;
  const said = known[finding.code];
  if (said === undefined) return "";
  const product = lines.find((line) => line.number === finding.line)?.product_name ?? "";
  const { sharp_width_mm: width, sharp_height_mm: height } = finding;
  const advice = width && height
    ? fill(texts.smaller, { width: number(width / 10), height: number(height / 10) })
    : texts.larger;
  const values = {
    line: number(finding.line),
    product: named(product),
    reason: finding.reason ? rejectionText({ reason: finding.reason as Reason }) : "",
    dpi: number(finding.dpi ?? 0),
    required: number(finding.required_dpi ?? 0),
    available: number(finding.available ?? 0),
    advice,
  };
  return `${fill(texts.line, values)} ${fill(said, values)}`;
}
