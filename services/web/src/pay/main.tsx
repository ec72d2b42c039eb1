import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, api, unwrap } from "../api/client";
import { messageOf } from "../errors";
import { type Draft, readDraft, removeDraft, writeDraft } from "../orders/draft";
import { configuration } from "../api/configuration";
import { named } from "../products";
import { language, money, plain, text } from "../text";
import type { Elements, Stripe } from "./stripe";

interface Form {
  stripe: Stripe;
  elements: Elements;
}

/** Asks for a card with Stripe's form, then places the order. The card's number never comes here:
 * Stripe's form is in a frame of Stripe's, which answers with the id of a payment method. */
function Payment({ draft }: { draft: Draft }) {
  const box = useRef<HTMLDivElement>(null);
  const form = useRef<Form>(undefined);
  // A payment method whose order got no answer is sent again with the same key.
  const method = useRef("");
  const [ready, setReady] = useState(false);
  const [problem, setProblem] = useState("");

  useEffect(() => {
    const unavailable = () => setProblem(text("paymentUnavailable"));
    configuration().then(({ stripe_publishable_key: key }) => {
      if (!key || window.Stripe === undefined || box.current === null) return unavailable();
      const stripe = window.Stripe(key, { locale: language });
      const elements = stripe.elements({
        mode: "payment",
        amount: draft.totalMinor,
        currency: draft.currency.toLowerCase(),
        paymentMethodCreation: "manual",
        paymentMethodTypes: ["card"],
        appearance: { theme: matchMedia("(prefers-color-scheme: dark)").matches ? "night" : "stripe" },
      });
      const element = elements.create("payment");
      element.on("ready", () => setReady(true));
      element.on("loaderror", unavailable);
      element.mount(box.current);
      form.current = { stripe, elements };
    }, unavailable);
  }, []);

  /** The id of the payment method. Throws an Error with Stripe's message for the customer. */
  async function chosenMethod({ stripe, elements }: Form): Promise<string> {
    const submitted = await elements.submit();
    if (submitted.error) throw new Error(submitted.error.message ?? text("error"));
    const made = await stripe.createPaymentMethod({ elements });
    if (!made.paymentMethod) throw new Error(made.error?.message ?? text("error"));
    return made.paymentMethod.id;
  }

  async function pay(event: SubmitEvent) {
    event.preventDefault();
    if (form.current === undefined) return;
    setReady(false);
    setProblem("");
    try {
      method.current ||= await chosenMethod(form.current);
      const created = await unwrap(
        api.POST("/orders", {
          body: { ...draft.order, payment_method: method.current },
          params: { header: { "Idempotency-Key": draft.key } },
        }),
      );
      removeDraft();
      location.replace(`/#/orders/${created.id}`);
    } catch (error) {
      if (error instanceof ApiError && !error.transient) {
        method.current = "";
        draft.key = crypto.randomUUID();
        writeDraft(draft);
      }
      setProblem(error instanceof ApiError ? messageOf(error) : (error as Error).message);
      setReady(true);
    }
  }

  return (
    <>
      <header class="bar">
        <a class="brand" href="/#/photos">
          <img src="/icon.svg" alt="" width="28" height="28" />
          Darkroom
        </a>
        <nav aria-label="Darkroom">
          <a href="/#/cart">{text("backToCart")}</a>
        </nav>
      </header>
      <main>
        <h1>{text("payment")}</h1>
        <ul class="lines">
          {draft.lines.map((line) => (
            <li key={`${line.image.id} ${line.product.id}`}>
              <span>
                {line.quantity} × {named(line.product.name)}
              </span>
              <span>{plain(line.image.filenames[0] ?? "")}</span>
              <b>{money(line.product.price_minor * line.quantity, draft.currency)}</b>
            </li>
          ))}
        </ul>
        <section class="card">
          <form onSubmit={(event) => void pay(event)}>
            <div ref={box} class="payment" />
            <p role="alert" class="problem">
              {problem}
            </p>
            <button type="submit" disabled={!ready}>
              {text("pay", { total: money(draft.totalMinor, draft.currency) })}
            </button>
          </form>
        </section>
      </main>
    </>
  );
}

document.title = `Darkroom: ${text("payment")}`;
const root = document.getElementById("app");
const draft = readDraft();
if (draft === undefined) location.replace("/#/cart");
else if (root !== null) render(<Payment draft={draft} />, root);
