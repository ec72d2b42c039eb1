import { useEffect, useState } from "preact/hooks";
import { ApiError, api, unwrap } from "../api/client";
import { messageOf } from "../errors";
import { text } from "../text";

const POLL_MS = 2000;

/** Asks for an export of the account's data, and links to it when it is ready. */
export function DataExport() {
  const [preparing, setPreparing] = useState(false);
  const [url, setUrl] = useState("");
  const [problem, setProblem] = useState("");

  useEffect(() => {
    if (!preparing) return;
    const timer = setInterval(() => void look(), POLL_MS);
    return () => clearInterval(timer);
  }, [preparing]);

  async function look() {
    try {
      const found = await unwrap(api.GET("/users/me/export"));
      if (!found.url) return;
      setUrl(found.url);
      setPreparing(false);
    } catch (error) {
      if (error instanceof ApiError && error.transient) return;
      setPreparing(false);
      setProblem(messageOf(error));
    }
  }

  async function ask() {
    setProblem("");
    setUrl("");
    try {
      await unwrap(api.POST("/users/me/export"));
      setPreparing(true);
      await look();
    } catch (error) {
      setProblem(messageOf(error));
    }
  }

  return (
    <section class="card wide">
      <h2>{text("dataExport")}</h2>
      <p class="hint">{text("dataExportHint")}</p>
      {problem && <p role="alert" class="problem">{problem}</p>}
      <p role="status">
        {preparing && text("dataExportPreparing")}
        {url && <a href={url} download="darkroom-export.json">{text("dataExportReady")}</a>}
      </p>
      <button type="button" class="quiet" disabled={preparing} onClick={() => void ask()}>
        {text("dataExportAsk")}
      </button>
    </section>
  );
}
