import { useEffect, useState } from "preact/hooks";
import { type Trace, api, unwrap } from "../api/client";
import { messageOf } from "../errors";
import { plain, text } from "../text";
import { type Key, decimal, duration, label } from "./text";

/** The story of a photo, an order or a request: a waterfall of invocations, then the log events. */
export function TracePage({ id }: { id: string }) {
  const [trace, setTrace] = useState<Trace>();
  const [problem, setProblem] = useState("");
  useEffect(() => {
    if (!id) return;
    unwrap(api.GET("/operations/traces/{id}", { params: { path: { id } } })).then(
      setTrace,
      (error: unknown) => setProblem(messageOf(error)),
    );
  }, [id]);

  function search(event: SubmitEvent) {
    event.preventDefault();
    const wanted = String(new FormData(event.currentTarget as HTMLFormElement).get("id") ?? "").trim();
    if (wanted) location.hash = `#/console/trace/${encodeURIComponent(wanted)}`;
  }

  return (
    <>
      <form class="filters" onSubmit={search}>
        <p class="field">
          <label for="trace-id">{label("traceId")}</label>
          <input id="trace-id" name="id" type="text" defaultValue={id} minLength={6} maxLength={128} />
        </p>
        <button type="submit">{label("show")}</button>
      </form>
      {problem && <p role="alert" class="problem">{problem}</p>}
      {id && trace === undefined && !problem && <p class="status">{text("loading")}</p>}
      {trace && <Story trace={trace} />}
    </>
  );
}

const OUTCOMES: Partial<Record<string, Key>> = {
  retry: "retried",
  dead_letter: "deadLetter",
  error: "failed",
};

/** How an invocation ended; "status 503" of a request stays as it is. */
function outcomeText(outcome: string): string {
  const key = OUTCOMES[outcome];
  return key === undefined ? outcome : label(key);
}

function Story({ trace }: { trace: Trace }) {
  const began = Date.parse(trace.began);
  const whole = Math.max(trace.duration_ms, 1);
  return (
    <>
      <h2>{label("took", { duration: duration(trace.duration_ms), count: trace.spans.length })}</h2>
      <ol class="waterfall">
        {trace.spans.map((span, number) => {
          const start = ((Date.parse(span.began) - began) / whole) * 100;
          const width = Math.max((span.duration_ms / whole) * 100, 0.4);
          return (
            <li key={number} class={span.outcome === "success" ? "" : "failed"}>
              <span>
                {span.function}
                {span.attempt > 1 && ` #${span.attempt}`}
                {span.cold_start && ` (${label("cold")})`}
                {span.outcome !== "success" && ` (${outcomeText(span.outcome)})`}
              </span>
              <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
                <rect x={Math.min(start, 99.6)} y="1" width={width} height="8" />
              </svg>
              <span>{duration(span.duration_ms)}</span>
            </li>
          );
        })}
      </ol>
      <h2>{label("events")}</h2>
      <ol class="events">
        {trace.events.map((event, number) => (
          <li key={number}>
            <time dateTime={event.at}>+{decimal((Date.parse(event.at) - began) / 1000, 2)}</time>
            <span>{event.function}</span>
            <span>
              {event.event}{" "}
              <small>
                {Object.entries(event.details)
                  .map(([name, value]) => `${name}=${plain(value)}`)
                  .join(" ")}
              </small>
            </span>
          </li>
        ))}
      </ol>
    </>
  );
}
