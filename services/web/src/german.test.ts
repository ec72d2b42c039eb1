/** The page for a browser in German: other texts than in English, and German dates and numbers. */
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import openapi from "../../../images/get-api-document/openapi.json";
import type { Image } from "./api/client";
import { TEXTS as CONSOLE } from "./console/text";
import { type Finding, FINDINGS } from "./orders/findings";
import { REJECTIONS } from "./photos/rejection";
import { PROBLEMS } from "./problems";
import { TEXTS } from "./text";

/** Words that are the same in both languages. */
const SAME = new Set([
  "Code", "Name", "ISO", "Format", "N", "S", "W", "p50", "p99", "Status", "Image",
]);

beforeAll(() => {
  vi.resetModules();
  vi.stubGlobal("navigator", { language: "de-AT" });
});

afterAll(() => vi.unstubAllGlobals());

it("has another text for each English one", () => {
  for (const { en, de } of [TEXTS, CONSOLE, REJECTIONS, PROBLEMS, FINDINGS]) {
    const known: Record<string, string> = de;
    const english = Object.entries(en).filter(([key, text]) => known[key] === text && !SAME.has(text));
    expect(english).toEqual([]);
    // Values are filled in by name.
    const names = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(([name]) => name).sort();
    for (const [key, text] of Object.entries(en)) expect(names(known[key] ?? "")).toEqual(names(text));
  }
});

it("says why a photo was rejected, for each reason of the API, and what to do", async () => {
  const { rejectionText } = await import("./photos/rejection");
  const [{ enum: reasons = [] } = {}] = openapi.components.schemas.ImageSummary.properties.reason.anyOf;
  expect(Object.keys(REJECTIONS.de).sort()).toEqual([...reasons].sort());
  expect(rejectionText({ reason: "truncated" })).toContain("Laden Sie das Original noch einmal hoch");
  expect(rejectionText({ reason: null })).toBe(TEXTS.de.rejected);
  for (const text of Object.values(REJECTIONS.de)) expect(text).toMatch(/Sie /);
  for (const text of Object.values(REJECTIONS.en)) expect(text).toMatch(/[.:,] (and )?(U|u|Choose|Export|Save|save|Make|Shorten)/);
});

it("says what is wrong with which line of an order, for each code of the API", async () => {
  const { findingText } = await import("./orders/findings");
  const { enum: codes } = openapi.components.schemas.LineFinding.properties.code;
  const known = Object.keys(FINDINGS.de);
  expect(known.filter((key) => !["line", "smaller", "larger"].includes(key)).sort()).toEqual([...codes].sort());
  const line = {
    number: 2, product_id: "p", product_name: "Print 20 x 30 cm", image_id: "0", quantity: 1, unit_price_minor: 1,
  };
  const text = (finding: Partial<Finding>) =>
    findingText({ line: 2, code: "resolution-low", ...finding }, [line]);
  expect(text({ code: "resolution-too-low", dpi: 80.5, required_dpi: 100, sharp_width_mm: 100, sharp_height_mm: 150 })).toBe(
    "Position 2, Abzug 20 × 30 cm: Das Foto hat auf diesem Abzug 80,5 dpi, nötig sind mindestens 100. "
      + "Wählen Sie einen Abzug von höchstens 10 × 15 cm, oder laden Sie ein größeres Original hoch.",
  );
  expect(text({ dpi: 120, required_dpi: 150 })).toMatch(/ab 150 ist es scharf. Laden Sie ein größeres/);
  expect(text({ code: "photo-rejected", reason: "empty" })).toContain(REJECTIONS.de.empty);
  expect(text({ code: "out-of-stock", available: 3 })).toContain("nur noch für 3 Abzüge");
  expect(text({ code: "of-a-newer-lab" as Finding["code"] })).toBe("");
});

it("labels and formats the facts of a photo", async () => {
  const { factsOf } = await import("./photos/facts");
  const image: Image = {
    id: "0".repeat(32), status: "developed", filenames: ["a.jpg"],
    uploaded_at: "2026-11-28T08:00:00Z", width: 6000, height: 4000,
    facts: {
      format: "jpeg", frames: 1, bytes: 2_412_345, sha256: "ab", camera: "Acme \u202eOne",
      exposure_seconds: 0.004, aperture: 2.8, iso: 1600, focal_length_mm: 35.5,
      taken_at: "2026-08-09T18:30:00", taken_at_source: "modified",
    },
  };
  const facts = new Map(factsOf(image));
  expect(facts.get("Datei geändert")).toMatch(/09\.08\.2026.*18:30/);
  expect([...facts].slice(3)).toEqual([
    ["Kamera", "Acme One"], ["Belichtung", "1/250 s"], ["Blende", "f/2,8"], ["ISO", "1600"],
    ["Brennweite", "35,5 mm"], ["Format", "JPEG"], ["Dateigröße", "2,41 MB"],
  ]);
  expect(factsOf({ ...image, facts: { bytes: 13 } }).at(-1)).toEqual(["Dateigröße", "13 Byte"]);
  const slow = factsOf({ ...image, facts: { exposure_seconds: 2.5, frames: 12 } });
  expect(slow.slice(2)).toEqual([["Belichtung", "2,5 Sek."], ["Einzelbilder", "12"]]);
  expect(facts.get("Pixel")).toMatch(/^6.?000 × 4.?000$/);
});

it("names what every lab sells in German, and what one lab adds as the lab does", async () => {
  const { named } = await import("./products");
  expect(named("Print 10 x 15 cm")).toBe("Abzug 10 × 15 cm");
  expect(named("Mug with a photo")).toBe("Mug with a photo");
});
