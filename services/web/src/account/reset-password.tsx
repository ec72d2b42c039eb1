import { useState } from "preact/hooks";
import { api, unwrap } from "../api/client";
import { Field, Form } from "../form";
import { plain, text } from "../text";

interface ResetPasswordProps {
  /** From the e-mail's link; empty without one. */
  token: string;
  done: () => void;
}

/** Asks for an address, then for the code that was sent to it and a new password. */
export function ResetPassword({ token, done }: ResetPasswordProps) {
  const [email, setEmail] = useState("");

  async function sendCode(values: Record<string, string>) {
    const { email: address = "" } = values;
    await unwrap(api.POST("/password-resets", { body: { email: address } }));
    setEmail(address);
  }

  async function reset(values: Record<string, string>) {
    const { code = "", password = "" } = values;
    const proof = token ? { token } : { email, code };
    await unwrap(api.POST("/password-resets/completion", { body: { ...proof, password } }));
    done();
  }

  if (!token && !email) {
    return (
      <Form key="address" submit={sendCode} button={text("sendCode")}>
        <Field label={text("email")} name="email" type="email" autocomplete="username" />
      </Form>
    );
  }
  return (
    <Form key="code" submit={reset} button={text("changePassword")}>
      {!token && (
        <>
          <p role="status">{text("resetSent", { email: plain(email) })}</p>
          <input type="hidden" name="username" autocomplete="username" value={email} />
          <Field label={text("code")} name="code" autocomplete="one-time-code" maxLength={16} />
        </>
      )}
      <Field
        label={text("newPassword")}
        name="password"
        type="password"
        autocomplete="new-password"
        minLength={12}
      />
    </Form>
  );
}
