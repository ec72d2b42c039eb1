import { useEffect, useState } from "preact/hooks";
import { type DeadLetter, type DeadLetterPage, type LetterSelection, api, unwrap } from "../api/client";
import { messageOf } from "../errors";
import { moment, plain, text } from "../text";
import { label } from "./text";

/** Queues keep dead letters for 14 days. */
const AGE_MAX_SECONDS = 14 * 24 * 3600;

interface Filters {
  function?: string;
  error_type?: string;
  text?: string;
  older_than_seconds?: number;
}

/** Dead letters with reason and photo; replay and discard of those selected, or of all that match. */
export function DeadLetters() {
  const [page, setPage] = useState<DeadLetterPage>();
  const [filters, setFilters] = useState<Filters>({});
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [problem, setProblem] = useState("");
  const [message, setMessage] = useState("");
  const [busy, setBusy] = useState(false);

  async function attempt(work: () => Promise<void>) {
    setBusy(true);
    setProblem("");
    try {
      await work();
    } catch (error) {
      setProblem(messageOf(error));
    } finally {
      setBusy(false);
    }
  }

  async function load(wanted: Filters) {
    setPage(await unwrap(api.GET("/operations/dead-letters", { params: { query: wanted } })));
    setChosen(new Set());
  }

  useEffect(() => {
    void attempt(() => load({}));
  }, []);

  function filter(event: SubmitEvent) {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const value = (name: string) => String(form.get(name) ?? "").trim();
    const wanted: Filters = {
      ...(value("function") && { function: value("function") }),
      ...(value("error_type") && { error_type: value("error_type") }),
      ...(value("text") && { text: value("text") }),
      ...(value("older") && { older_than_seconds: Number(value("older")) * 60 }),
    };
    setFilters(wanted);
    setMessage("");
    void attempt(() => load(wanted));
  }

  const letters = page?.letters ?? [];

  /** Replays or discards the chosen letters, or counts what it would. Returns their number. */
  async function send(action: "replays" | "discards", dryRun: boolean): Promise<number> {
    const body: LetterSelection = {
      message_ids: [...chosen],
      all: false,
      dry_run: dryRun,
      older_than_seconds: 0,
      newer_than_seconds: AGE_MAX_SECONDS,
    };
    const done = await unwrap(
      action === "replays"
        ? api.POST("/operations/dead-letters/replays", { body })
        : api.POST("/operations/dead-letters/discards", { body }),
    );
    return done.letters.length;
  }

  const preview = () =>
    attempt(async () => setMessage(label("wouldReplay", { count: await send("replays", true) })));

  const replay = () =>
    attempt(async () => {
      setMessage(label("replayed", { count: await send("replays", false) }));
      await load(filters);
    });

  /** Asks first, with the number that a dry run finds. */
  const discard = () =>
    attempt(async () => {
      if (!confirm(label("discardConfirm", { count: await send("discards", true) }))) return;
      setMessage(label("discarded", { count: await send("discards", false) }));
      await load(filters);
    });

  function toggle(id: string) {
    setChosen((known) => {
      const next = new Set(known);
      if (!next.delete(id)) next.add(id);
      return next;
    });
  }

  return (
    <>
      <form class="filters" onSubmit={filter}>
        <FilterField name="function" caption={label("name")} />
        <FilterField name="error_type" caption={label("errorType")} />
        <FilterField name="text" caption={label("contains")} />
        <FilterField name="older" caption={label("olderThan")} type="number" />
        <button type="submit" disabled={busy}>
          {label("filter")}
        </button>
      </form>
      {problem && <p role="alert" class="problem">{problem}</p>}
      <p role="status">{message}</p>
      {page === undefined && !problem && <p class="status">{text("loading")}</p>}
      {page && letters.length === 0 && <p class="status">{label("noLetters")}</p>}
      {letters.length > 0 && (
        <p class="row">
          <button
            type="button"
            class="quiet"
            onClick={() => setChosen(new Set(letters.map((letter) => letter.message_id)))}
          >
            {label("selectAll")}
          </button>
          <button
            type="button"
            class="quiet"
            disabled={busy || chosen.size === 0}
            onClick={() => void preview()}
          >
            {label("dryRun")}
          </button>
          <button
            type="button"
            disabled={busy || chosen.size === 0}
            onClick={() => void replay()}
          >
            {label("replay")}
          </button>
          <button
            type="button"
            class="danger"
            disabled={busy || chosen.size === 0}
            onClick={() => void discard()}
          >
            {label("discard")}
          </button>
        </p>
      )}
      <ul class="letters">
        {letters.map((letter) => (
          <LetterItem
            key={letter.message_id}
            letter={letter}
            chosen={chosen.has(letter.message_id)}
            toggle={() => toggle(letter.message_id)}
          />
        ))}
      </ul>
      {page?.unread.map((one) => (
        <p key={one.function} class="hint">
          {label("unread", { function: one.function, count: one.count })}
        </p>
      ))}
    </>
  );
}

function FilterField({ name, caption, type = "text" }: { name: string; caption: string; type?: "text" | "number" }) {
  return (
    <p class="field">
      <label for={`filter-${name}`}>{caption}</label>
      {type === "number" ? (
        <input id={`filter-${name}`} name={name} type="number" min={0} />
      ) : (
        <input id={`filter-${name}`} name={name} type="text" maxLength={100} />
      )}
    </p>
  );
}

interface LetterProps {
  letter: DeadLetter;
  chosen: boolean;
  toggle: () => void;
}

function LetterItem({ letter, chosen, toggle }: LetterProps) {
  const [photo, setPhoto] = useState(letter.photo);
  const caption = `${letter.function}: ${letter.message_id}`;
  return (
    <li>
      <input
        type="checkbox"
        checked={chosen}
        onChange={toggle}
        aria-label={`${label("select")} ${caption}`}
      />
      <div>
        <p>
          <b>{letter.function}</b> · {letter.error_type} · {moment(letter.failed_at ?? letter.sent_at)}
          {letter.attempts !== null && ` · ${label("attempts", { count: letter.attempts })}`}
          {letter.replays > 0 && ` · ${label("replays", { count: letter.replays })}`}
        </p>
        <p class="problem">{plain(letter.reason)}</p>
        {letter.request_id && (
          <a href={`#/console/trace/${encodeURIComponent(letter.request_id)}`}>{label("showTrace")}</a>
        )}
        <details>
          <summary>{label("message")}</summary>
          <pre tabIndex={0}>{plain(letter.event)}</pre>
        </details>
      </div>
      {photo && <img src={photo} alt={label("photo")} onError={() => setPhoto(null)} />}
    </li>
  );
}
