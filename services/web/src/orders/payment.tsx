import { useEffect, useId, useState } from "preact/hooks";
import { type Configuration, configuration } from "../api/configuration";
import { named } from "../products";
import { text } from "../text";

/** What the deployment offers; undefined until it is there. */
export function useConfiguration(): Configuration | undefined {
  const [found, setFound] = useState<Configuration>();
  useEffect(() => {
    configuration().then(setFound, () => undefined);
  }, []);
  return found;
}

/** The choice of a payment method that needs no form. */
export function PaymentMethods({ configuration }: { configuration?: Configuration | undefined }) {
  const id = useId();
  return (
    <p class="field">
      <label for={id}>{text("payment")}</label>
      <select id={id} name="payment" required>
        {configuration?.payment_methods.map((method) => (
          <option key={method.id} value={method.id}>
            {named(method.name)}
          </option>
        ))}
      </select>
    </p>
  );
}
