import { api, unwrap } from "../api/client";
import { moment, text } from "../text";
import { bill } from "./bill";
import costs from "./costs.json";
import { usePolled } from "./poll";
import { dollars, label } from "./text";

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
          <div class="table" role="region" aria-label={label("service")} tabIndex={0}>
            <table>
              <thead>
                <tr>
                  <th scope="col">{label("service")}</th>
                  <th scope="col">{label("dollars")}</th>
                </tr>
              </thead>
              <tbody>
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
              </tbody>
            </table>
          </div>
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
          <div class="table" role="region" aria-label={label("functions")} tabIndex={0}>
            <table>
              <thead>
                <tr>
                  <th scope="col">{label("name")}</th>
                  <th scope="col">{label("invocations")}</th>
                  <th scope="col">{label("gibSeconds")}</th>
                  <th scope="col">{label("dollars")}</th>
                </tr>
              </thead>
              <tbody>
                {found.functions.map((one) => (
                  <tr key={one.name}>
                    <td>{one.name}</td>
                    <td>{one.invocations}</td>
                    <td>{one.gibSeconds.toFixed(2)}</td>
                    <td>{dollars(one.dollars)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </>
      )}
    </>
  );
}
