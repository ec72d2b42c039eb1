/** The names of products, payment methods and sizes that every lab begins with. Those that a lab
 * adds are shown as the lab calls them. */
import { language } from "./text";

/** Of terraform/lab/products.yaml: what it is, then its size. */
const PRODUCT = /^(Print|Poster|Fine art) (\d+) x (\d+) cm$/;

const de: Readonly<Record<string, string>> = {
  Print: "Abzug",
  Poster: "Poster",
  "Fine art": "Fine-Art-Druck",
  glossy: "glänzend",
  matte: "matt",
  baryta: "Baryt",
  "Sandbox: succeeds": "Testzahlung: gelingt",
  "Sandbox: is declined": "Testzahlung: wird abgelehnt",
  thumb: "klein",
  medium: "mittel",
  large: "groß",
};

/** A name of the lab in the page's language. */
export function named(name: string): string {
  if (language === "en") return name;
  const [, kind = "", width, height] = name.match(PRODUCT) ?? [];
  return kind ? `${de[kind]} ${width} × ${height} cm` : (de[name] ?? name);
}
