import { api, unwrap } from "../api/client";
import { Field, Form } from "../form";
import { text } from "../text";

/** Deletes the account, with its password. */
export function Deletion({ ended }: { ended: () => void }) {
  async function submit({ password = "" }: Record<string, string>) {
    await unwrap(api.POST("/users/me/deletion", { body: { password } }));
    ended();
  }
  return (
    <section class="card wide">
      <h2>{text("deleteAccount")}</h2>
      <p class="hint">{text("deleteHint")}</p>
      <Form submit={submit} button={text("deleteAccount")} danger>
        <Field label={text("password")} name="password" type="password" autocomplete="current-password" />
      </Form>
    </section>
  );
}
