import { useEffect, useId, useState } from "preact/hooks";
import { text } from "../text";

export interface PaymentConfiguration {
  /** What the page offers by itself, such as the sandbox's methods. */
  payment_methods: readonly { id: string; name: string }[];
  /** With a key, the customer pays on /pay, where Stripe's form is. */
  stripe_publishable_key: string | null;
}

/** What the deployment offers, from /config.json. Rejects with an Error if there is none. */
export async function paymentConfiguration(): Promise<PaymentConfiguration> {
  const response = await fetch("/config.json");
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return (await response.json()) as PaymentConfiguration;
}

/** As `paymentConfiguration`; undefined until it is there. */
export function usePaymentConfiguration(): PaymentConfiguration | undefined {
  const [configuration, setConfiguration] = useState<PaymentConfiguration>();
  useEffect(() => {
    paymentConfiguration().then(setConfiguration, () => undefined);
  }, []);
  return configuration;
}

/** The choice of a payment method that needs no form. */
export function PaymentMethods({ configuration }: { configuration?: PaymentConfiguration | undefined }) {
  const id = useId();
  return (
    <p class="field">
      <label for={id}>{text("payment")}</label>
      <select id={id} name="payment" required>
        {configuration?.payment_methods.map((method) => (
          <option key={method.id} value={method.id}>
            {method.name}
          </option>
        ))}
      </select>
    </p>
  );
}
