import { expect, it } from "vitest";
import openapi from "../../../images/get-api-document/openapi.json";
import { ApiError } from "./api/client";
import { messageOf } from "./errors";
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
  const fields = new Map([["delivery.postcode", "a postcode"], ["new_password", "longer"]]);
  const invalid = messageOf(new ApiError(400, "invalid-request", "", 0, fields));
  expect(invalid).toContain("Postcode.");
  expect(invalid).toContain("at least 12 characters");
  expect(messageOf(new ApiError(429, "limit-reached", "", 1200))).toContain("in 20 minutes");
  expect(messageOf(new ApiError(502, "", "", 1))).toContain("HTTP 502");
});
