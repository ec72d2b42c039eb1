import { useState } from "preact/hooks";
import { Deletion } from "./deletion";
import { DataExport } from "./data-export";
import { EmailSettings } from "./email-settings";
import { SecondFactor } from "./second-factor";
import { Sessions } from "./sessions";
import { type SignedInUser, api, unwrap } from "../api/client";
import { Field, Form } from "../form";
import { plain, text } from "../text";

interface AccountProps {
  user: SignedInUser;
  /** Called when the session has ended. */
  ended: () => void;
}

export function AccountPage({ user, ended }: AccountProps) {
  const [message, setMessage] = useState("");

  async function submit(values: Record<string, string>) {
    const { current = "", next = "" } = values;
    await unwrap(
      api.PUT("/users/me/password", { body: { current_password: current, new_password: next } }),
    );
    setMessage(text("passwordChanged"));
  }

  return (
    <>
      <h1>{text("account")}</h1>
      <p>{plain(user.email)}</p>
      <div class="columns">
        <div>
          <section class="card">
            <h2>{text("changePassword")}</h2>
            <Form submit={submit} button={text("changePassword")}>
              <input type="hidden" name="username" autocomplete="username" value={user.email} />
              <Field
                label={text("currentPassword")}
                name="current"
                type="password"
                autocomplete="current-password"
              />
              <Field
                label={text("newPassword")}
                name="next"
                type="password"
                autocomplete="new-password"
                minLength={12}
              />
            </Form>
            <p role="status">{message}</p>
          </section>
          <EmailSettings />
          <DataExport />
          <Deletion ended={ended} />
          {/* Last: it grows when it has loaded, and would move what follows. */}
          <Sessions />
        </div>
        <SecondFactor />
      </div>
    </>
  );
}
