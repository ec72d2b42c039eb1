import { useState } from "preact/hooks";
import { type SignedInUser, api, unwrap } from "../api/client";
import { Field, Form } from "../form";
import { plain, text } from "../text";

interface SignUpProps {
  /** From the e-mail's link; empty without one. */
  token: string;
  signedIn: (user: SignedInUser) => void;
}

/** Asks for an address, then for the code that was sent to it, a name and a password. */
export function SignUp({ token, signedIn }: SignUpProps) {
  const [email, setEmail] = useState("");

  async function sendCode(values: Record<string, string>) {
    const { email: address = "" } = values;
    await unwrap(api.POST("/users", { body: { email: address } }));
    setEmail(address);
  }

  async function confirm(values: Record<string, string>) {
    const { code = "", name = "", password = "" } = values;
    const proof = token ? { token } : { email, code };
    const account = await unwrap(
      api.POST("/users/confirmation", { body: { ...proof, name, password } }),
    );
    const opened = await unwrap(
      api.POST("/sessions", { body: { email: account.email, password, cookie: true } }),
    );
    signedIn(opened.user);
  }

  if (!token && !email) {
    return (
      <Form key="address" submit={sendCode} button={text("signUp")}>
        <Field label={text("email")} name="email" type="email" autocomplete="username" />
      </Form>
    );
  }
  return (
    <Form key="code" submit={confirm} button={text("confirm")}>
      {!token && (
        <>
          <p role="status">{text("codeSent", { email: plain(email) })}</p>
          <input type="hidden" name="username" autocomplete="username" value={email} />
          <Field label={text("code")} name="code" autocomplete="one-time-code" maxLength={16} />
        </>
      )}
      <Field label={text("name")} name="name" autocomplete="name" maxLength={100} />
      <Field
        label={text("password")}
        name="password"
        type="password"
        autocomplete="new-password"
        minLength={12}
      />
    </Form>
  );
}
