import { useState } from "preact/hooks";
import { type SignedInUser, api, unwrap } from "../api/client";
import { Field, Form } from "../form";
import { text } from "../text";

interface SignInProps {
  problem: string;
  signedIn: (user: SignedInUser) => void;
}

export function SignIn({ problem, signedIn }: SignInProps) {
  const [isNew, setIsNew] = useState(false);

  async function submit(values: Record<string, string>) {
    const { email = "", password = "", name = "" } = values;
    if (isNew) await unwrap(api.POST("/users", { body: { email, password, name } }));
    const opened = await unwrap(
      api.POST("/sessions", { body: { email, password, cookie: true } }),
    );
    signedIn(opened.user);
  }

  return (
    <main class="entry">
      <img src="/icon.svg" alt="" width="56" height="56" />
      <h1>Darkroom</h1>
      <p class="tagline">{text("tagline")}</p>
      <section class="card">
        <h2>{text(isNew ? "signUp" : "signIn")}</h2>
        {problem && <p role="alert" class="problem">{problem}</p>}
        <Form submit={submit} button={text(isNew ? "signUp" : "signIn")}>
          {isNew && <Field label={text("name")} name="name" autocomplete="name" maxLength={100} />}
          <Field label={text("email")} name="email" type="email" autocomplete="username" />
          <Field
            label={text("password")}
            name="password"
            type="password"
            autocomplete={isNew ? "new-password" : "current-password"}
            {...(isNew ? { minLength: 12 } : {})}
          />
        </Form>
        <p class="switch">
          {text(isNew ? "haveAccount" : "noAccount")}{" "}
          <button type="button" class="link" onClick={() => setIsNew(!isNew)}>
            {text(isNew ? "signIn" : "signUp")}
          </button>
        </p>
      </section>
    </main>
  );
}
