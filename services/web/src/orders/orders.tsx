import { useEffect, useState } from "preact/hooks";
import { changes } from "../api/changes";
import { type OrderDetails, type OrderSummary, api, unwrap } from "../api/client";
import { messageOf } from "../errors";
import { named } from "../products";
import { moment, money, plain, reasonText, statusText, text } from "../text";
import { Backoff, Pause } from "../uploads/backoff";
import { findingText } from "./findings";

/** Statuses from which an order still moves. */
const MOVING = new Set(["created", "validated", "reserved", "paid", "fulfilled"]);

/** Not every step of an order is an event. */
const LIVE_PAUSE_MILLISECONDS = 5_000;

function shownId(): string {
  return location.hash.match(/^#\/orders\/([0-9a-f-]{36})$/)?.[1] ?? "";
}

export function Orders() {
  const [orders, setOrders] = useState<readonly OrderSummary[]>();
  const [problem, setProblem] = useState("");
  const [opened, setOpened] = useState(shownId);
  useEffect(() => {
    unwrap(api.GET("/orders")).then(
      (page) => setOrders(page.orders),
      (error: unknown) => setProblem(messageOf(error)),
    );
    const follow = () => setOpened(shownId());
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  return (
    <>
      <h1>{text("orders")}</h1>
      {problem && <p role="alert" class="problem">{problem}</p>}
      {opened && (
        <Order
          key={opened}
          id={opened}
          changed={({ id, status }) =>
            setOrders((known) => known?.map((one) => (one.id === id ? { ...one, status } : one)))
          }
        />
      )}
      {orders === undefined && !problem && <p class="status">{text("loading")}</p>}
      {orders?.length === 0 && <p class="status">{text("noOrders")}</p>}
      <ul class="lines">
        {orders?.map((order) => (
          <li key={order.id}>
            <a href={`#/orders/${order.id}`}>{moment(order.created_at)}</a>
            <span>{statusText(order.status)}</span>
            <b>{money(order.total_minor, order.currency)}</b>
          </li>
        ))}
      </ul>
    </>
  );
}

/** Why the order is in its status: what is wrong with which line, or the reason of the whole order. */
function reasonsOf({ status, findings }: OrderDetails["history"][number], order: OrderDetails): string[] {
  const found = (findings ?? []).map((finding) => findingText(finding, order.lines));
  const whole = status === "rejected" && found.length > 0 ? "" : reasonText(status);
  return [whole, ...found].filter((reason) => reason);
}

interface OrderProps {
  id: string;
  /** Called with the order when its status is another one. */
  changed: (order: OrderDetails) => void;
}

/** One order, followed until it ends. */
function Order({ id, changed }: OrderProps) {
  const [order, setOrder] = useState<OrderDetails>();
  useEffect(() => {
    if (order) changed(order);
  }, [order?.status]);
  const [problem, setProblem] = useState("");

  useEffect(() => {
    let shown = true;
    const pause = new Pause();
    const leave = changes().subscribe((change) => {
      if (!change || change.id === id) pause.end();
    });
    async function follow() {
      const backoff = new Backoff(700, 10_000);
      let status = "";
      while (shown) {
        try {
          const found = await unwrap(api.GET("/orders/{id}", { params: { path: { id } } }));
          setOrder(found);
          setProblem("");
          if (!MOVING.has(found.status)) return;
          if (found.status !== status) backoff.reset();
          status = found.status;
        } catch (error) {
          setProblem(messageOf(error));
        }
        await pause.wait(changes().live ? LIVE_PAUSE_MILLISECONDS : backoff.next());
      }
    }
    void follow().finally(leave);
    return () => {
      shown = false;
      pause.end();
    };
  }, [id]);

  async function cancel() {
    try {
      setOrder(
        await unwrap(api.POST("/orders/{id}/cancellation", { params: { path: { id } } })),
      );
    } catch (error) {
      setProblem(messageOf(error));
    }
  }

  return (
    <section class="card order" aria-live="polite">
      {problem && <p role="alert" class="problem">{problem}</p>}
      {order && (
        <>
          <h2>
            {statusText(order.status)} · {money(order.total_minor, order.currency)}
          </h2>
          <ol class="history">
            {order.history.map((step) => (
              <li key={step.at + step.status}>
                <b>{statusText(step.status)}</b> <time dateTime={step.at}>{moment(step.at)}</time>
                {reasonsOf(step, order).map((reason) => <p key={reason}>{plain(reason)}</p>)}
              </li>
            ))}
          </ol>
          <ol>
            {order.lines.map((line) => (
              <li key={line.number}>
                {line.quantity} × {named(line.product_name)}{" "}
                <a href={`#/photos/${line.image_id}`}>{text("photo")}</a>
              </li>
            ))}
          </ol>
          {MOVING.has(order.status) && order.status !== "fulfilled" && (
            <button type="button" class="danger" onClick={() => void cancel()}>
              {text("cancel")}
            </button>
          )}
        </>
      )}
    </section>
  );
}
