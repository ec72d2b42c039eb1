import { useState } from "preact/hooks";
import { type Image, type Product, api, unwrap } from "../api/client";
import { Field, Form } from "../form";
import { named } from "../products";
import { money, plain, text } from "../text";
import { readDraft, removeDraft, writeDraft } from "./draft";
import { PaymentMethods, useConfiguration } from "./payment";

export interface Line {
  image: Image;
  product: Product;
  quantity: number;
  /** What the print must show; the lab chooses without it. */
  focus?: Focus;
}

interface Focus {
  x: number;
  y: number;
}

export interface CartState {
  lines: readonly Line[];
  add: (image: Image, product: Product, quantity: number, focus?: Focus) => void;
  remove: (line: Line) => void;
  clear: () => void;
}

/** The prints that are about to be ordered. They end with the page, except for those whose payment
 * was begun. */
export function useCart(): CartState {
  const [lines, setLines] = useState<readonly Line[]>(() => readDraft()?.lines ?? []);
  return {
    lines,
    add: (image, product, quantity, focus) =>
      setLines((known) => {
        const same = known.find((l) => l.image.id === image.id && l.product.id === product.id);
        const total = (same?.quantity ?? 0) + quantity;
        return [...known.filter((l) => l !== same), { image, product, quantity: total, ...(focus && { focus }) }];
      }),
    remove: (line) => setLines((known) => known.filter((other) => other !== line)),
    clear: () => {
      removeDraft();
      setLines([]);
    },
  };
}

export function Cart({ cart }: { cart: CartState }) {
  // The same key when the order is sent again: it is created once.
  const [key, setKey] = useState(() => crypto.randomUUID());
  const configuration = useConfiguration();
  const paysOnItsPage = Boolean(configuration?.stripe_publishable_key);
  if (cart.lines.length === 0) {
    return (
      <>
        <h1>{text("cart")}</h1>
        <p class="status">{text("cartEmpty")}</p>
      </>
    );
  }
  const currency = cart.lines[0]?.product.currency ?? "EUR";
  const total = cart.lines.reduce((sum, l) => sum + l.product.price_minor * l.quantity, 0);

  async function order(values: Record<string, string>) {
    const { name = "", line1 = "", line2, postcode = "", city = "", country = "" } = values;
    const unpaid = {
      lines: cart.lines.map(({ image, product, quantity, focus }) => ({
        image_id: image.id,
        product_id: product.id,
        quantity,
        orientation: "follows-photo" as const,
        ...(focus && { focus }),
      })),
      delivery: { name, line1, postcode, city, country, ...(line2 ? { line2 } : {}) },
    };
    if (paysOnItsPage) {
      writeDraft({ key, order: unpaid, lines: cart.lines, totalMinor: total, currency });
      location.assign("/pay");
      return;
    }
    const body = { ...unpaid, payment_method: values["payment"] ?? "" };
    const created = await unwrap(
      api.POST("/orders", { body, params: { header: { "Idempotency-Key": key } } }),
    );
    cart.clear();
    setKey(crypto.randomUUID());
    location.hash = `#/orders/${created.id}`;
  }

  return (
    <>
      <h1>{text("cart")}</h1>
      <ul class="lines">
        {cart.lines.map((line) => (
          <li key={`${line.image.id} ${line.product.id}`}>
            <img src={line.image.thumbnail ?? ""} alt="" width="64" height="64" />
            <span>
              {plain(line.image.filenames[0] ?? "")}
              <br />
              {line.quantity} × {named(line.product.name)}
            </span>
            <b>{money(line.product.price_minor * line.quantity, currency)}</b>
            <button type="button" class="link" onClick={() => cart.remove(line)}>
              {text("remove")}
            </button>
          </li>
        ))}
      </ul>
      <p class="total">
        {text("total")} <b>{money(total, currency)}</b>
      </p>
      <section class="card">
        <h2>{text("delivery")}</h2>
        <Form submit={order} button={text(paysOnItsPage ? "toPayment" : "placeOrder")}>
          <Field label={text("name")} name="name" autocomplete="name" maxLength={100} />
          <Field label={text("line1")} name="line1" autocomplete="address-line1" maxLength={100} />
          <Field
            label={text("line2")}
            name="line2"
            autocomplete="address-line2"
            required={false}
            maxLength={100}
          />
          <Field label={text("postcode")} name="postcode" autocomplete="postal-code" maxLength={16} />
          <Field label={text("city")} name="city" autocomplete="address-level2" maxLength={100} />
          <Field
            label={text("country")}
            name="country"
            autocomplete="country"
            pattern="[A-Z]{2}"
            maxLength={2}
          />
          {!paysOnItsPage && <PaymentMethods configuration={configuration} />}
        </Form>
      </section>
    </>
  );
}
