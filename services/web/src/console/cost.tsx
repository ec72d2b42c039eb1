import { api, unwrap } from "../api/client";
import { moment, text } from "../text";
import { bill } from "./bill";
import costs from "./costs.json";
import { usePolled } from "./poll";
import { Table } from "./table";
import { decimal, dollars, label } from "./text";

const REFRESH_SECONDS = 60;

/** What today's work costs, by service and by function. */
export function CostToday() {
  const { value, problem } = usePolled(
    async () =>
      (await unwrap(api.GET("/operations/status", { params: { query: { usage: true } } }))).usage,
    () => REFRESH_SECONDS,
  );
  const found = value && bill(value);
  return (
    <>
      {problem && <p role="alert" class="problem">{problem}</p>}
      {!value && !problem && <p class="status">{text("loading")}</p>}
      {value && found && (
        <>
          <h2>{label("costToday", { total: dollars(found.total) })}</h2>
          <Table name="service" columns={["service", "dollars"]}>
            {found.services.map(([service, amount]) => (
              <tr key={service}>
                <td>{service}</td>
                <td>{dollars(amount)}</td>
              </tr>
            ))}
            <tr>
              <th scope="row">{label("together")}</th>
              <td>{dollars(found.total)}</td>
            </tr>
          </Table>
          <p class="hint">
            {label("costHint", {
              time: moment(value.since),
              photos: found.photos,
              orders: found.orders,
              region: costs.region,
              date: costs.as_of,
            })}
          </p>
          <h2>{label("functions")}</h2>
          <Table name="functions" columns={["name", "invocations", "gibSeconds", "dollars"]}>
            {found.functions.map((one) => (
              <tr key={one.name}>
                <td>{one.name}</td>
                <td>{one.invocations}</td>
                <td>{decimal(one.gibSeconds, 2)}</td>
                <td>{dollars(one.dollars)}</td>
              </tr>
            ))}
          </Table>
        </>
      )}
    </>
  );
}
