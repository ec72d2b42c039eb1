/** The part of Stripe.js that the payment page uses: https://docs.stripe.com/js */
export interface Stripe {
  elements(options: {
    mode: "payment";
    amount: number;
    currency: string;
    paymentMethodCreation: "manual";
    paymentMethodTypes: readonly string[];
    appearance: { theme: "stripe" | "night" };
  }): Elements;
  createPaymentMethod(options: { elements: Elements }): Promise<{
    paymentMethod?: { id: string };
    error?: StripeError;
  }>;
}

export interface Elements {
  create(type: "payment"): {
    mount(box: HTMLElement): void;
    on(event: "ready" | "loaderror", handler: () => void): void;
  };
  submit(): Promise<{ error?: StripeError }>;
}

interface StripeError {
  /** For the customer, in the language that was asked for. */
  message?: string;
}

declare global {
  interface Window {
    Stripe?: (publishableKey: string, options: { locale: string }) => Stripe;
  }
}
