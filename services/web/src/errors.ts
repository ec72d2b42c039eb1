import { ApiError, type FieldCode } from "./api/client";
import { problemText } from "./problems";
import { later, text } from "./text";

/** The labels of the API's fields that a customer fills in, by the last part of their name. */
const FIELDS = {
  email: "email",
  password: "passwordRule",
  new_password: "passwordRule",
  current_password: "currentPassword",
  code: "code",
  name: "name",
  filename: "fileName",
  line1: "line1",
  line2: "line2",
  postcode: "postcode",
  city: "city",
  country: "country",
  payment_method: "payment",
  product_id: "product",
  quantity: "quantity",
} as const;

/** Mistakes that have a text of their own; the others are named by their field. */
const REASONS: Partial<Record<FieldCode, "notOnSale" | "severalCurrencies" | "totalTooHigh">> = {
  "not-on-sale": "notOnSale",
  "several-currencies": "severalCurrencies",
  "total-too-high": "totalTooHigh",
};

/** What a person reads of an error. */
export function messageOf(error: unknown): string {
  if (!(error instanceof ApiError)) return text("error");
  if (error.status === 0) return text("offline");
  const known = problemText(error.slug);
  if (known === undefined) return `${text(error.transient ? "busy" : "error")} (HTTP ${error.status})`;
  const values: Record<string, string> = { later: later(error.retryAfterSeconds), ...error.values };
  const said = known.replace(/\{(\w+)\}/g, (_, name: string) => values[name] ?? "");
  return [said, ...new Set([...error.fields].flatMap(fieldText))].join(" ");
}

/** What is wrong with a field, such as `lines[1].product_id`: its line, and its label or the reason.
 * Nothing for a field that no form has. */
function fieldText([path, code]: [string, FieldCode]): string[] {
  const index = path.match(/^lines\[(\d+)\]/)?.[1];
  const line = index === undefined ? "" : `${text("line", { number: Number(index) + 1 })}: `;
  const reason = REASONS[code];
  if (reason !== undefined) return [line + text(reason)];
  const name = path.split(".").at(-1) ?? "";
  const known: Partial<Record<string, (typeof FIELDS)[keyof typeof FIELDS]>> = FIELDS;
  const key = known[name];
  return key === undefined ? [] : [`${line}${text(key)}.`];
}
