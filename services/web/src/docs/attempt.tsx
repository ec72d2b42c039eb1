import { useId, useState } from "preact/hooks";
import type { UploadForm } from "../api/client";
import { transport } from "../uploads/transport";
import { type Document, type Endpoint, address, bodySchema, curl, example } from "./openapi";

interface Answer {
  status: string;
  body: string;
}

/** A form that sends the request, with the session of the page's origin, and shows the answer. */
export function Attempt({ document, endpoint }: { document: Document; endpoint: Endpoint }) {
  const { method, path, operation } = endpoint;
  const schema = bodySchema(operation.requestBody);
  const parameters = operation.parameters ?? [];
  const id = useId();
  const [values, setValues] = useState<Record<string, string>>({});
  const [body, setBody] = useState(
    schema ? JSON.stringify(example(document, schema), null, 2) : "",
  );
  const [answer, setAnswer] = useState<Answer>();
  const [form, setForm] = useState<UploadForm>();
  const target = address(path, parameters, values);

  async function send(event: SubmitEvent) {
    event.preventDefault();
    setAnswer({ status: "…", body: "" });
    setForm(undefined);
    try {
      const headers = new Headers(schema ? { "content-type": "application/json" } : {});
      for (const one of parameters) {
        const value = values[one.name];
        if (one.in === "header" && value) headers.set(one.name, value);
      }
      const response = await fetch(target, { method, headers, ...(schema && { body }) });
      const text = await response.text();
      let shown = text;
      try {
        const parsed: unknown = JSON.parse(text);
        shown = JSON.stringify(parsed, null, 2);
        if (operation.operationId === "request-upload" && response.ok) setForm(parsed as UploadForm);
      } catch {
        // Not JSON: shown as it is.
      }
      setAnswer({ status: `${response.status} ${response.statusText}`, body: shown });
    } catch (error) {
      setAnswer({ status: "No answer", body: String(error) });
    }
  }

  return (
    <>
      <pre tabIndex={0}>
        {curl(location.origin, method, target, schema ? body.replace(/\s*\n\s*/g, " ") : "", operation.security !== undefined)}
      </pre>
      <form onSubmit={(event) => void send(event)}>
        {parameters.map((one) => (
          <p class="field" key={one.name}>
            <label for={`${id}-${one.name}`}>{one.name}</label>
            <input
              id={`${id}-${one.name}`}
              type="text"
              required={one.in === "path"}
              value={values[one.name] ?? ""}
              onInput={(event) => {
                const { value } = event.currentTarget;
                setValues((known) => ({ ...known, [one.name]: value }));
              }}
            />
          </p>
        ))}
        {schema && (
          <p class="field">
            <label for={`${id}-body`}>Body</label>
            <textarea
              id={`${id}-body`}
              rows={Math.min(14, body.split("\n").length)}
              spellcheck={false}
              value={body}
              onInput={(event) => setBody(event.currentTarget.value)}
            />
          </p>
        )}
        <button type="submit">Send {method} {target}</button>
      </form>
      {answer && (
        <div role="status">
          <p>
            <b>{answer.status}</b>
          </p>
          {answer.body && <pre tabIndex={0}>{answer.body}</pre>}
        </div>
      )}
      {form && <UploadAttempt form={form} />}
    </>
  );
}

/** Uploads a file with a form that was requested: straight to storage, as a page does. */
function UploadAttempt({ form }: { form: UploadForm }) {
  const id = useId();
  const [state, setState] = useState("");

  async function send(file: File) {
    setState("0 %");
    try {
      await transport.send(form, file, (share) => setState(`${Math.round(share * 100)} %`));
      setState(`Uploaded. GET /images?upload=${form.id} lists the photo.`);
    } catch (error) {
      setState(`Not uploaded: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  return (
    <p class="field">
      <label for={id}>Upload a file with this form (its type must be the one of the request)</label>
      <input
        id={id}
        type="file"
        onChange={(event) => {
          const file = event.currentTarget.files?.[0];
          if (file) void send(file);
        }}
      />
      <span role="status">{state}</span>
    </p>
  );
}
