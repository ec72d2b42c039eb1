import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Attempt } from "./attempt";
import { type Document, type Endpoint, type Schema, bodySchema, byTag, example, inWords, resolve } from "./openapi";

/** The API's documentation, from its OpenAPI document. In English, as the document. */
function Docs() {
  const [document, setDocument] = useState<Document>();
  const [problem, setProblem] = useState("");
  useEffect(() => {
    fetch("/openapi.json")
      .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(`HTTP ${answer.status}`))))
      .then(
        (found: Document) => setDocument(found),
        (error: unknown) => setProblem(`The document cannot be read: ${String(error)}`),
      );
  }, []);
  if (problem) return <p role="alert" class="problem">{problem}</p>;
  if (document === undefined) return <p class="status">Loading …</p>;
  const tags = byTag(document);
  return (
    <div class="layout">
      <nav class="contents" aria-label="Operations">
        {tags.map(([tag, endpoints]) => (
          <section key={tag}>
            <b>{tag}</b>
            <ul>
              {endpoints.map(({ operation }) => (
                <li key={operation.operationId}>
                  <a href={`#${operation.operationId}`}>{operation.summary}</a>
                </li>
              ))}
            </ul>
          </section>
        ))}
      </nav>
      <main>
        <h1>
          {document.info.title} API {document.info.version}
        </h1>
        <p>{document.info.description}</p>
        <p>
          <a href="/openapi.json">openapi.json</a> · <a href="/">The web page</a>: sign in there, and the
          examples here run with your session.
        </p>
        {tags.map(([tag, endpoints]) => (
          <section key={tag} aria-label={tag}>
            <h2>{tag}</h2>
            {endpoints.map((endpoint) => (
              <EndpointCard key={endpoint.operation.operationId} document={document} endpoint={endpoint} />
            ))}
          </section>
        ))}
      </main>
    </div>
  );
}

function EndpointCard({ document, endpoint }: { document: Document; endpoint: Endpoint }) {
  const { method, path, operation } = endpoint;
  const [open, setOpen] = useState(location.hash === `#${operation.operationId}`);
  const body = bodySchema(operation.requestBody);
  const scopes = (operation.security ?? []).flatMap((one) => one["apiKey"] ?? []);
  return (
    <article class="endpoint" id={operation.operationId}>
      <h3>
        <span class="method">{method}</span> {path}
      </h3>
      <p>
        {operation.summary}. {operation.description}
      </p>
      <p class="hint">
        {operation.security === undefined ? "Open to everyone." : "Needs a session"}
        {operation.security !== undefined &&
          (scopes.length > 0 ? ` or an API key with the scope ${scopes.join(", ")}.` : ".")}
      </p>
      <details open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>Fields, answers and an example</summary>
        {open && (
          <>
            {operation.parameters && (
              <Fields
                document={document}
                caption="Parameters"
                fields={operation.parameters.map((one) => [
                  one.name, { ...one.schema, ...(one.description && { description: one.description }) },
                  one.required === true,
                ])}
              />
            )}
            {body && <BodyFields document={document} caption="Body" schema={body} />}
            <Answers document={document} endpoint={endpoint} />
            <Attempt document={document} endpoint={endpoint} />
          </>
        )}
      </details>
    </article>
  );
}

function BodyFields({ document, caption, schema }: { document: Document; caption: string; schema: Schema }) {
  const resolved = resolve(document, schema);
  const fields = Object.entries(resolved.properties ?? {}).map(
    ([name, field]) => [name, field, resolved.required?.includes(name) === true] as const,
  );
  return fields.length > 0 ? <Fields document={document} caption={caption} fields={fields} /> : null;
}

interface FieldsProps {
  document: Document;
  caption: string;
  fields: readonly (readonly [string, Schema, boolean])[];
}

function Fields({ document, caption, fields }: FieldsProps) {
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">{caption}</th>
          <th scope="col">Type</th>
          <th scope="col">Meaning</th>
        </tr>
      </thead>
      <tbody>
        {fields.map(([name, schema, required]) => (
          <tr key={name}>
            <td>
              <code>{name}</code>
              {required ? "" : " (optional)"}
            </td>
            <td>{inWords(document, schema)}</td>
            <td>{schema.description ?? resolve(document, schema).description}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Answers({ document, endpoint }: { document: Document; endpoint: Endpoint }) {
  const answers = Object.entries(endpoint.operation.responses);
  const [, success] = answers.find(([status]) => status < "400") ?? [];
  const schema = bodySchema(success);
  return (
    <>
      <table>
        <thead>
          <tr>
            <th scope="col">Status</th>
            <th scope="col">Answer</th>
          </tr>
        </thead>
        <tbody>
          {answers.map(([status, answer]) => (
            <tr key={status}>
              <td>{status}</td>
              <td>{answer.description}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {schema && <pre tabIndex={0}>{JSON.stringify(example(document, schema, true), null, 2)}</pre>}
    </>
  );
}

const root = document.getElementById("app");
if (root !== null) render(<Docs />, root);
