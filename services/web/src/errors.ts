import { ApiError } from "./api/client";
import { text } from "./text";

/** What a person reads of an error. */
export function messageOf(error: unknown): string {
  if (!(error instanceof ApiError)) return text("error");
  if (error.status === 0) return text("offline");
  const fields = [...error.fields].map(([field, expected]) => `${field}: ${expected}`);
  return [error.message, ...fields].join(" ");
}
