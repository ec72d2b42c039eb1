import { useEffect, useState } from "preact/hooks";
import { type LabOrder, type LabOrders as Page, api, unwrap } from "../api/client";
import { messageOf } from "../errors";
import { moment, money, statusText, text } from "../text";
import { Table } from "./table";
import { label } from "./text";

type Status = Page["counts"][number]["status"];

function query(status?: Status, cursor?: string) {
  return { limit: 50, ...(status && { status }), ...(cursor && { cursor }) };
}

/** All customers' orders, by status. */
export function LabOrders() {
  const [page, setPage] = useState<Page>();
  const [orders, setOrders] = useState<readonly LabOrder[]>([]);
  const [status, setStatus] = useState<Status>();
  const [problem, setProblem] = useState("");

  async function load(wanted: Status | undefined, cursor?: string) {
    try {
      const found = await unwrap(
        api.GET("/operations/orders", { params: { query: query(wanted, cursor) } }),
      );
      setPage(found);
      setOrders((known) => (cursor ? [...known, ...found.orders] : found.orders));
    } catch (error) {
      setProblem(messageOf(error));
    }
  }

  useEffect(() => void load(status), [status]);

  const total = page?.counts.reduce((sum, { orders: count }) => sum + count, 0) ?? 0;
  return (
    <>
      {problem && <p role="alert" class="problem">{problem}</p>}
      {page === undefined && !problem && <p class="status">{text("loading")}</p>}
      {page && (
        <ul class="states">
          <li>
            <button type="button" class="quiet" aria-pressed={status === undefined} onClick={() => setStatus(undefined)}>
              {label("all")} · {total}
            </button>
          </li>
          {page.counts.filter(({ orders: count }) => count > 0).map((one) => (
            <li key={one.status}>
              <button
                type="button"
                class="quiet"
                aria-pressed={status === one.status}
                onClick={() => setStatus(one.status)}
              >
                {statusText(one.status)} · {one.orders}
              </button>
            </li>
          ))}
        </ul>
      )}
      {orders.length > 0 && (
        <Table
          name="orders"
          columns={["trace", "status", "prints", "country", "total", "created", "changed"]}
        >
          {orders.map((order) => (
            <tr key={order.id}>
              <td>
                <a href={`#/console/trace/${order.id}`}>{order.id.slice(0, 8)}</a>
              </td>
              <td>{statusText(order.status)}</td>
              <td>{order.prints}</td>
              <td>{order.country}</td>
              <td>{money(order.total_minor, order.currency)}</td>
              <td>{moment(order.created_at)}</td>
              <td>{moment(order.updated_at)}</td>
            </tr>
          ))}
        </Table>
      )}
      {page?.next_cursor && (
        <button type="button" class="quiet" onClick={() => void load(status, page.next_cursor ?? undefined)}>
          {label("more")}
        </button>
      )}
    </>
  );
}
