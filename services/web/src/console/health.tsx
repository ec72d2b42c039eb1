import { useRef } from "preact/hooks";
import { type LabStatus, api, unwrap } from "../api/client";
import { moment, plain, text } from "../text";
import { type Sample, polyline, withStatus } from "./history";
import { usePolled } from "./poll";
import { Table } from "./table";
import { decimal, duration, label, seconds } from "./text";

const WIDTH = 120;
const HEIGHT = 24;

/** Functions and queues, as they are now and were in the last hour. */
export function Health() {
  const history = useRef<Map<string, readonly Sample[]>>(new Map());
  const { value: status, problem } = usePolled(
    async () => {
      const found = await unwrap(api.GET("/operations/status"));
      history.current = withStatus(history.current, found);
      return found;
    },
    (found) => found.refresh_seconds,
  );
  return (
    <>
      {problem && <p role="alert" class="problem">{problem}</p>}
      {status === undefined && !problem && <p class="status">{text("loading")}</p>}
      {status && (
        <>
          <h2>{label("queues")}</h2>
          <Queues status={status} history={history.current} />
          <h2>{label("lastHour", { minutes: status.window_seconds / 60 })}</h2>
          <Functions status={status} />
          <p class="hint">
            {label("updated", { time: moment(status.at), seconds: status.refresh_seconds })}
          </p>
        </>
      )}
    </>
  );
}

function Queues({ status, history }: { status: LabStatus; history: ReadonlyMap<string, readonly Sample[]> }) {
  return (
    <Table name="queues" columns={["name", "waiting", "inFlight", "oldest", "overTime", "dead"]}>
      {status.queues.map((queue) => (
        <tr key={queue.function}>
          <td>{queue.function}</td>
          <td>{queue.waiting}</td>
          <td>{queue.in_flight}</td>
          <td>{seconds(queue.oldest_seconds)}</td>
          <td>
            <svg class="spark" width={WIDTH} height={HEIGHT} aria-hidden="true">
              <polyline
                fill="none"
                stroke="currentColor"
                stroke-width="1.5"
                points={polyline(history.get(queue.function) ?? [], WIDTH, HEIGHT)}
              />
            </svg>
          </td>
          <td>
            {queue.dead_letters > 0 ? (
              <a class="bad" href="#/console/letters">
                {queue.dead_letters}
              </a>
            ) : (
              0
            )}
          </td>
        </tr>
      ))}
    </Table>
  );
}

function Functions({ status }: { status: LabStatus }) {
  const active = status.functions.filter((one) => one.invocations > 0 || one.last_error);
  return (
    <>
      <Table
        name="functions"
        columns={["name", "invocations", "rate", "errors", "p50", "p99", "coldStarts", "inFlight"]}
      >
        {active.map((one) => (
          <tr key={one.name}>
            <td>
              {one.name}
              {one.last_error && <small>{plain(one.last_error)}</small>}
            </td>
            <td>{one.invocations}</td>
            <td>{decimal((one.invocations * 60) / status.window_seconds, 1)}</td>
            <td class={one.errors > 0 ? "bad" : ""}>{one.errors}</td>
            <td>{duration(one.p50_ms)}</td>
            <td>{duration(one.p99_ms)}</td>
            <td>{one.cold_starts ?? "–"}</td>
            <td>{one.in_flight ?? "–"}</td>
          </tr>
        ))}
      </Table>
      <p class="hint">{label("idle", { count: status.functions.length - active.length })}</p>
    </>
  );
}
