import { expect, it } from "vitest";
import openapi from "../../../images/get-api-document/openapi.json";
import { ApiError, type FieldCode } from "./api/client";
import { messageOf } from "./errors";
import { type Finding, findingText } from "./orders/findings";
import { PROBLEMS } from "./problems";

/** The requests of the page, from its sources: method and path. */
function requests(): [string, string][] {
  const sources = import.meta.glob<string>(["./**/*.ts", "./**/*.tsx", "!./**/*.test.ts"], {
    query: "?raw", import: "default", eager: true,
  });
  return Object.values(sources).flatMap((source) =>
    [...source.matchAll(/api\.([A-Z]+)\(\s*"([^"]+)"/g)].map(
      ([, method = "", path = ""]): [string, string] => [method.toLowerCase(), path],
    ),
  );
}

it("has a text for each problem of each request of the page", () => {
  const paths: Record<string, Record<string, { responses: Record<string, { description: string }> }>> =
    openapi.paths;
  const slugs = new Set<string>();
  const asked = requests();
  for (const [method, path] of asked) {
    for (const { description } of Object.values(paths[path]?.[method]?.responses ?? {})) {
      for (const [, slug = ""] of description.matchAll(/urn:darkroom:problem:([a-z-]+)/g)) slugs.add(slug);
    }
  }
  expect(asked.length).toBeGreaterThan(30);
  // Made by the page itself.
  slugs.add("too-large");
  expect(Object.keys(PROBLEMS.en).sort()).toEqual([...slugs].sort());
});

it("says which fields are invalid, and when to try again", () => {
  const fields = new Map<string, FieldCode>([
    ["delivery.postcode", "invalid"], ["new_password", "invalid"],
  ]);
  const invalid = messageOf(new ApiError(400, "invalid-request", "", 0, fields));
  expect(invalid).toContain("Postcode.");
  expect(invalid).toContain("at least 12 characters");
  const lines = new Map<string, FieldCode>([
    ["lines[1].product_id", "not-on-sale"], ["lines[2].quantity", "invalid"], ["lines", "total-too-high"],
  ]);
  expect(messageOf(new ApiError(400, "invalid-request", "", 0, lines))).toBe(
    "Please check what you entered. Line 2: This product is not on sale any more. Take it out of "
      + "the cart. Line 3: Number. The order costs more than one payment can charge. Split it into several orders.",
  );
  expect(messageOf(new ApiError(429, "limit-reached", "", 1200))).toContain("in 20 minutes");
  expect(messageOf(new ApiError(502, "", "", 1))).toContain("HTTP 502");
});

it("says what is wrong with which line of an order", () => {
  const line = {
    number: 3, product_id: "p", product_name: "Print 20 x 30 cm", image_id: "0", quantity: 1, unit_price_minor: 1,
  };
  const text = (finding: Omit<Finding, "line">) => findingText({ line: 3, ...finding }, [line]);
  expect(text({ code: "photo-not-found" })).toBe(
    "Line 3, Print 20 x 30 cm: The photo does not exist any more. Upload it and order again.",
  );
  const low = { code: "resolution-low", dpi: 120.5, required_dpi: 150 } as const;
  expect(text({ ...low, sharp_width_mm: 130, sharp_height_mm: 180 })).toMatch(
    /has 120.5 dpi .* from 150 on it is sharp. Choose a print of at most 13 × 18 cm/,
  );
});
