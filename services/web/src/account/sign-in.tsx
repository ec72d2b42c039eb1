import { useState } from "preact/hooks";
import { ApiError, type SignedInUser, api, unwrap } from "../api/client";
import { Field, Form } from "../form";
import { text } from "../text";
import { ResetPassword } from "./reset-password";
import { SignUp } from "./sign-up";

type Way = "signIn" | "signUp" | "resetPassword";

interface SignInProps {
  problem: string;
  /** From the links in e-mails; empty without one. */
  confirmationToken: string;
  resetToken: string;
  signedIn: (user: SignedInUser) => void;
}

export function SignIn({ problem, confirmationToken, resetToken, signedIn }: SignInProps) {
  const [way, setWay] = useState<Way>(
    confirmationToken ? "signUp" : resetToken ? "resetPassword" : "signIn",
  );
  const [message, setMessage] = useState("");
  const [needsCode, setNeedsCode] = useState(false);

  async function submit(values: Record<string, string>) {
    const { email = "", password = "", code } = values;
    try {
      const opened = await unwrap(
        api.POST("/sessions", { body: { email, password, cookie: true, ...(code && { code }) } }),
      );
      signedIn(opened.user);
    } catch (error) {
      if (!(error instanceof ApiError && error.slug === "second-factor-required")) throw error;
      setNeedsCode(true);
    }
  }

  function passwordReset() {
    setMessage(text("passwordReset"));
    setWay("signIn");
  }

  function link(to: Way, label: string) {
    return (
      <button type="button" class="link" onClick={() => setWay(to)}>
        {label}
      </button>
    );
  }

  return (
    <main class="entry">
      <img src="/icon.svg" alt="" width="56" height="56" />
      <h1>Darkroom</h1>
      <p class="tagline">{text("tagline")}</p>
      <section class="card">
        <h2>{text(way)}</h2>
        {problem && <p role="alert" class="problem">{problem}</p>}
        {way === "signUp" && <SignUp token={confirmationToken} signedIn={signedIn} />}
        {way === "resetPassword" && <ResetPassword token={resetToken} done={passwordReset} />}
        {way === "signIn" && (
          <>
            <p role="status">{message}</p>
            <Form submit={submit} button={text("signIn")}>
              <Field label={text("email")} name="email" type="email" autocomplete="username" />
              <Field
                label={text("password")}
                name="password"
                type="password"
                autocomplete="current-password"
              />
              {needsCode && (
                <Field label={text("appCode")} name="code" autocomplete="one-time-code" focused />
              )}
            </Form>
            <p class="switch">{link("resetPassword", text("forgotten"))}</p>
          </>
        )}
        <p class="switch">
          {text(way === "signIn" ? "noAccount" : "haveAccount")}{" "}
          {way === "signIn" ? link("signUp", text("signUp")) : link("signIn", text("signIn"))}
        </p>
      </section>
    </main>
  );
}
