import { ApiError } from "./api/client";
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

/** What a person reads of an error. */
export function messageOf(error: unknown): string {
  if (!(error instanceof ApiError)) return text("error");
  if (error.status === 0) return text("offline");
  const known = problemText(error.slug);
  if (known === undefined) return `${text(error.transient ? "busy" : "error")} (HTTP ${error.status})`;
  const values: Record<string, string> = { later: later(error.retryAfterSeconds), ...error.values };
  const said = known.replace(/\{(\w+)\}/g, (_, name: string) => values[name] ?? "");
  return [said, ...new Set([...error.fields.keys()].flatMap(fieldText))].join(" ");
}

/** The label of an invalid field, such as `delivery.postcode`; none for one that no form has. */
function fieldText(path: string): string[] {
  const name = path.split(".").at(-1) ?? "";
  const known: Partial<Record<string, (typeof FIELDS)[keyof typeof FIELDS]>> = FIELDS;
  const key = known[name];
  return key === undefined ? [] : [`${text(key)}.`];
}
