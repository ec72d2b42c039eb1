/** An order that still needs a payment method. It is kept in the tab's storage, because the payment
 * page is a document of its own, and ends with the tab, the order, or the session. */
import type { OrderRequest } from "../api/client";
import type { Line } from "./cart";

const NAME = "darkroom-order";

export interface Draft {
  /** The idempotency key: the order is created once. */
  key: string;
  order: Omit<OrderRequest, "payment_method">;
  lines: readonly Line[];
  totalMinor: number;
  currency: string;
}

export function readDraft(): Draft | undefined {
  try {
    return JSON.parse(sessionStorage.getItem(NAME) ?? "null") ?? undefined;
  } catch {
    return undefined;
  }
}

export function writeDraft(draft: Draft): void {
  sessionStorage.setItem(NAME, JSON.stringify(draft));
}

export function removeDraft(): void {
  sessionStorage.removeItem(NAME);
}
