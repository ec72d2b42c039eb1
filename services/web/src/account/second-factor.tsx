import { useEffect, useState } from "preact/hooks";
import { api, unwrap } from "../api/client";
import { Field, Form } from "../form";
import { lazy } from "../lazy";
import { text } from "../text";

const QrCode = lazy<{ content: string }>(async () => (await import("./qr-code")).QrCode);

interface Enrolment {
  secret: string;
  otpauth_uri: string;
}

/** Sets up codes of an authenticator app for sign-in, or switches them off. */
export function SecondFactor() {
  const [enabled, setEnabled] = useState<boolean>();
  const [enrolment, setEnrolment] = useState<Enrolment>();
  const [codes, setCodes] = useState<readonly string[]>([]);

  async function load() {
    setEnabled((await unwrap(api.GET("/users/me/second-factor"))).enabled);
  }

  useEffect(() => void load().catch(() => setEnabled(undefined)), []);

  async function enrol({ password = "" }: Record<string, string>) {
    setEnrolment(await unwrap(api.POST("/users/me/second-factor", { body: { password } })));
  }

  async function confirm({ code = "" }: Record<string, string>) {
    const confirmed = await unwrap(api.PUT("/users/me/second-factor", { body: { code } }));
    setCodes(confirmed.recovery_codes);
    setEnrolment(undefined);
    setEnabled(true);
  }

  async function remove({ password = "", code = "" }: Record<string, string>) {
    await unwrap(api.POST("/users/me/second-factor/removal", { body: { password, code } }));
    setCodes([]);
    setEnabled(false);
  }

  if (enabled === undefined) return null;
  const password = (
    <Field label={text("password")} name="password" type="password" autocomplete="current-password" />
  );
  const code = <Field label={text("appCode")} name="code" autocomplete="one-time-code" />;
  return (
    <section class="card wide">
      <h2>{text("secondFactor")}</h2>
      <p class="hint">{text(enabled ? "secondFactorOn" : "secondFactorHint")}</p>
      {codes.length > 0 && (
        <>
          <p role="status">{text("recoveryCodes")}</p>
          <pre class="codes">{codes.join("\n")}</pre>
        </>
      )}
      {enrolment ? (
        <>
          <div class="enrolment">
            <QrCode content={enrolment.otpauth_uri} />
            <p>
              {text("appSecret")} <code>{enrolment.secret.match(/.{1,4}/g)?.join(" ")}</code>{" "}
              <a href={enrolment.otpauth_uri}>{text("openApp")}</a>
            </p>
          </div>
          <Form key="confirm" submit={confirm} button={text("confirm")}>{code}</Form>
        </>
      ) : enabled ? (
        <Form key="remove" submit={remove} button={text("secondFactorRemove")} danger>
          {password}
          {code}
        </Form>
      ) : (
        <Form key="enrol" submit={enrol} button={text("secondFactorEnrol")}>{password}</Form>
      )}
    </section>
  );
}
