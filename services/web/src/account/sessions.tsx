import { useEffect, useState } from "preact/hooks";
import { type UserSession, api, unwrap } from "../api/client";
import { messageOf } from "../errors";
import { moment, text } from "../text";

/** The account's open sessions; others than this one can be ended. */
export function Sessions() {
  const [sessions, setSessions] = useState<readonly UserSession[]>([]);
  const [problem, setProblem] = useState("");

  async function attempt(work: () => Promise<unknown>) {
    setProblem("");
    try {
      await work();
      setSessions((await unwrap(api.GET("/sessions", { params: { query: { limit: 100 } } }))).sessions);
    } catch (error) {
      setProblem(messageOf(error));
    }
  }

  useEffect(() => void attempt(() => Promise.resolve()), []);

  return (
    <section class="card wide">
      <h2>{text("sessions")}</h2>
      {problem && <p role="alert" class="problem">{problem}</p>}
      <ul class="lines">
        {sessions.map((session) => (
          <li key={session.id}>
            <span>{text("opened", { time: moment(session.created_at) })}</span>
            {session.current ? (
              <b>{text("thisSession")}</b>
            ) : (
              <button
                type="button"
                class="link"
                onClick={() =>
                  void attempt(() =>
                    unwrap(api.DELETE("/sessions/{id}", { params: { path: { id: session.id } } })),
                  )
                }
              >
                {text("endSession")}
              </button>
            )}
          </li>
        ))}
      </ul>
      {sessions.length > 1 && (
        <button type="button" class="quiet" onClick={() => void attempt(() => unwrap(api.DELETE("/sessions")))}>
          {text("endOthers")}
        </button>
      )}
    </section>
  );
}
