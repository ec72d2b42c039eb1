import type { ComponentChildren } from "preact";
import { useEffect, useId, useState } from "preact/hooks";
import { messageOf } from "./errors";
import { text } from "./text";

interface FieldProps {
  label: string;
  name: string;
  type?: "text" | "email" | "password";
  autocomplete?: string;
  required?: boolean;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  /** Whether it has the focus when it appears. */
  focused?: boolean;
}

export function Field({ label, type = "text", required = true, focused, ...rest }: FieldProps) {
  const id = useId();
  useEffect(() => {
    if (focused) document.getElementById(id)?.focus();
  }, []);
  const attributes = { id, required, ...rest };
  return (
    <p class="field">
      <label for={id}>{label}</label>
      {type === "email" && <input type="email" {...attributes} />}
      {type === "password" && <Password attributes={attributes} />}
      {type === "text" && <input type="text" {...attributes} />}
    </p>
  );
}

/** A password, which can be made visible until the field is left for another part of the page. */
function Password({ attributes }: { attributes: object }) {
  const [visible, setVisible] = useState(false);
  return (
    <span
      class="password"
      onFocusOut={(event) => {
        if (!event.currentTarget.contains(event.relatedTarget as Node | null)) setVisible(false);
      }}
    >
      {/* One element for both types keeps its value; JSX's types allow one type only. */}
      <input type={(visible ? "text" : "password") as "text"} {...attributes} />
      <button type="button" class="link" onClick={() => setVisible(!visible)}>
        {text(visible ? "hide" : "show")}
      </button>
    </span>
  );
}

interface FormProps {
  submit: (values: Record<string, string>) => Promise<void>;
  button: string;
  /** Whether it takes something away for good. */
  danger?: boolean;
  children: ComponentChildren;
}

/** A form that shows why it was refused, and cannot be sent twice at once. */
export function Form({ submit, button, danger, children }: FormProps) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");

  async function send(event: SubmitEvent) {
    event.preventDefault();
    const values = Object.fromEntries(new FormData(event.currentTarget as HTMLFormElement));
    setBusy(true);
    setProblem("");
    try {
      await submit(values as Record<string, string>);
    } catch (error) {
      setProblem(messageOf(error));
    } finally {
      setBusy(false);
    }
  }

  return (
    <form onSubmit={(event) => void send(event)}>
      {children}
      <p role="alert" class="problem">
        {problem}
      </p>
      <button type="submit" class={danger ? "danger" : undefined} disabled={busy}>
        {button}
      </button>
    </form>
  );
}
