import { useEffect, useState } from "preact/hooks";
import { type EmailSettings as Settings, api, unwrap } from "../api/client";
import { messageOf } from "../errors";
import { text } from "../text";

/** Whether e-mails about photos are sent. A change of nothing reads the settings. */
export function EmailSettings() {
  const [settings, setSettings] = useState<Settings>();
  const [problem, setProblem] = useState("");

  async function change(photoEmails?: boolean) {
    try {
      const body = photoEmails === undefined ? {} : { photo_emails: photoEmails };
      setSettings(await unwrap(api.PATCH("/users/me/email-settings", { body })));
    } catch (error) {
      setProblem(messageOf(error));
    }
  }

  useEffect(() => void change(), []);

  return (
    <section class="card wide">
      <h2>{text("emailSettings")}</h2>
      {problem && <p role="alert" class="problem">{problem}</p>}
      {settings?.stopped_by && <p class="problem">{text("emailStopped")}</p>}
      <label class="check">
        <input
          type="checkbox"
          checked={settings?.photo_emails ?? false}
          disabled={settings === undefined}
          onChange={(event) => void change(event.currentTarget.checked)}
        />
        {text("photoEmails")}
      </label>
    </section>
  );
}
