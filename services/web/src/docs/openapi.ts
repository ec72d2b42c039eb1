/** What the page reads of an OpenAPI 3.1 document, and examples made from its schemas. */

export interface Schema {
  $ref?: string;
  type?: string | string[];
  title?: string;
  description?: string;
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  examples?: unknown[];
  anyOf?: Schema[];
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  format?: string;
}

export interface Parameter {
  name: string;
  in: "path" | "query" | "header";
  required?: boolean;
  description?: string;
  schema: Schema;
}

interface Content {
  content?: Record<string, { schema: Schema }>;
}

export interface Operation extends Record<string, unknown> {
  operationId: string;
  tags: string[];
  summary: string;
  description?: string;
  parameters?: Parameter[];
  requestBody?: Content;
  responses: Record<string, Content & { description: string }>;
  security?: Record<string, string[]>[];
}

export interface Document {
  info: { title: string; version: string; description: string };
  tags: { name: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
}

export interface Endpoint {
  method: string;
  path: string;
  operation: Operation;
}

/** The operations of each tag, in the document's order. */
export function byTag(document: Document): [string, Endpoint[]][] {
  const found = new Map<string, Endpoint[]>(document.tags.map(({ name }) => [name, []]));
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      for (const tag of operation.tags) {
        const endpoints = found.get(tag) ?? [];
        endpoints.push({ method: method.toUpperCase(), path, operation });
        found.set(tag, endpoints);
      }
    }
  }
  return [...found].filter(([, endpoints]) => endpoints.length > 0);
}

/** The schema that a reference names. */
export function resolve(document: Document, schema: Schema): Schema {
  const name = schema.$ref?.split("/").at(-1);
  return name === undefined ? schema : (document.components.schemas[name] ?? {});
}

export function bodySchema(content: Content | undefined): Schema | undefined {
  return content?.content?.["application/json"]?.schema;
}

/** A value that the schema allows, as an example: only what is required, unless it is shown whole. */
export function example(document: Document, given: Schema, whole = false, depth = 0): unknown {
  const schema = resolve(document, given);
  if (schema.examples?.length) return schema.examples[0];
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum[0];
  if (schema.default !== undefined && schema.default !== null) return schema.default;
  const choice = schema.anyOf?.find(({ type }) => type !== "null");
  if (choice) return example(document, choice, whole, depth + 1);
  switch (Array.isArray(schema.type) ? schema.type[0] : schema.type) {
    case "object": {
      if (depth > 6) return {};
      const names = Object.keys(schema.properties ?? {}).filter(
        (name) => whole || schema.required?.includes(name),
      );
      return Object.fromEntries(
        names.map((name) => [name, example(document, schema.properties?.[name] ?? {}, whole, depth + 1)]),
      );
    }
    case "array":
      return depth > 6 ? [] : [example(document, schema.items ?? {}, whole, depth + 1)];
    case "integer":
    case "number":
      return schema.minimum ?? 0;
    case "boolean":
      return false;
    case "null":
      return null;
    default:
      return schema.format === "date-time" ? "2026-11-27T12:00:00.000Z" : "text";
  }
}

/** A schema in few words: its type, bounds and choices. */
export function inWords(document: Document, given: Schema): string {
  const schema = resolve(document, given);
  if (given.$ref && schema.properties) return given.$ref.split("/").at(-1) ?? "";
  if (schema.enum) return schema.enum.map(String).join(" | ");
  if (schema.anyOf) return schema.anyOf.map((one) => inWords(document, one)).join(" | ");
  if (schema.type === "array") return `${inWords(document, schema.items ?? {})}[]`;
  const bounds = [
    [schema.minimum, schema.maximum, ""],
    [schema.minLength, schema.maxLength, " characters"],
  ] as const;
  const [low, high, unit] = bounds.find(([a, b]) => a !== undefined || b !== undefined) ?? [];
  const range = low !== undefined || high !== undefined ? ` ${low ?? 0}–${high ?? "…"}${unit ?? ""}` : "";
  return `${schema.format ?? String(schema.type ?? "any")}${range}`;
}

/** The request's path with its parameters, and its query. */
export function address(path: string, parameters: readonly Parameter[], values: Record<string, string>): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(values[name] ?? ""));
  const query = new URLSearchParams();
  for (const parameter of parameters) {
    const value = values[parameter.name] ?? "";
    if (parameter.in === "query" && value) query.set(parameter.name, value);
  }
  return query.size > 0 ? `${filled}?${query}` : filled;
}

/** The request for a shell. */
export function curl(origin: string, method: string, target: string, body: string, secured: boolean): string {
  const quoted = (value: string) => `'${value.replaceAll("'", "'\\''")}'`;
  return [
    `curl -X ${method} ${quoted(origin + target)}`,
    ...(secured ? [`-H "Authorization: Bearer $TOKEN"`] : []),
    ...(body ? ["-H 'Content-Type: application/json'", `-d ${quoted(body)}`] : []),
  ].join(" \\\n  ");
}
