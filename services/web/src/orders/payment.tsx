import { useEffect, useId, useState } from "preact/hooks";
import { text } from "../text";

interface Method {
  id: string;
  name: string;
}

/** The payment methods that the deployment offers, from /config.json. */
export function PaymentMethods() {
  const id = useId();
  const [methods, setMethods] = useState<readonly Method[]>([]);
  useEffect(() => {
    void fetch("/config.json")
      .then((response) => response.json())
      .then((config: { payment_methods: Method[] }) => setMethods(config.payment_methods))
      .catch(() => undefined);
  }, []);
  return (
    <p class="field">
      <label for={id}>{text("payment")}</label>
      <select id={id} name="payment" required>
        {methods.map((method) => (
          <option key={method.id} value={method.id}>
            {method.name}
          </option>
        ))}
      </select>
    </p>
  );
}
