import { expect, test } from "vitest";
import served from "../../../../images/get-api-document/openapi.json";
import { type Document, address, bodySchema, byTag, curl, example, inWords } from "./openapi";

const document = served as unknown as Document;
const endpoints = byTag(document).flatMap(([, found]) => found);

test("every operation is in one group", () => {
  const operations = Object.values(document.paths).flatMap((methods) => Object.keys(methods));
  expect(endpoints.length).toBe(operations.length);
});

test("every body has an example with all required fields", () => {
  for (const { operation } of endpoints) {
    const schema = bodySchema(operation.requestBody);
    if (!schema?.$ref) continue;
    const named = document.components.schemas[schema.$ref.split("/").at(-1) ?? ""];
    expect(Object.keys(example(document, schema) as object)).toEqual(
      expect.arrayContaining(named?.required ?? []),
    );
  }
});

test("an upload's example is one that the API takes", () => {
  const schema = document.components.schemas["UploadRequest"] ?? {};
  expect(example(document, schema)).toEqual({ filename: "harbour.jpg", content_type: "image/avif" });
});

test("choices and bounds are put in words", () => {
  expect(inWords(document, { type: "integer", minimum: 1, maximum: 100 })).toBe("integer 1–100");
  expect(inWords(document, { enum: ["a", "b"] })).toBe("a | b");
  expect(inWords(document, { anyOf: [{ type: "string" }, { type: "null" }] })).toBe("string | null");
});

test("an address has encoded parameters, and only those that are set", () => {
  const parameters = [
    { name: "id", in: "path", schema: {} },
    { name: "limit", in: "query", schema: {} },
    { name: "cursor", in: "query", schema: {} },
  ] as const;
  expect(address("/images/{id}", parameters, { id: "a/b", limit: "5", cursor: "" })).toBe("/images/a%2Fb?limit=5");
});

test("a request for the shell quotes the body", () => {
  expect(curl("https://a", "POST", "/b", `{"c":"it's"}`, false)).toContain(`-d '{"c":"it'\\''s"}'`);
});
