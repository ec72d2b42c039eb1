/** What went wrong and what to do, for each problem of the API that the page can meet. The API's own
 * texts are for programmers, and in English. */
import { language } from "./text";

const en = {
  "invalid-request": "Please check what you entered.",
  "not-signed-in": "Your session has ended. Sign in again.",
  "session-expired": "Your session has ended. Sign in again.",
  "not-allowed": "Only administrators may do this. They may have to sign in with a second factor.",
  "wrong-credentials": "Wrong e-mail address or password.",
  "wrong-password": "Wrong current password.",
  "wrong-code": "The code is wrong or has expired. Enter the one of the latest e-mail, or ask for another e-mail.",
  "second-factor-required": "Enter the code of your authenticator app too.",
  "wrong-second-factor-code": "The code is wrong or was used before. Enter the one that the app shows now.",
  "second-factor-enabled": "The second factor is on already. Switch it off first.",
  "email-taken": "The address has an account. Sign in.",
  "too-many-attempts": "Too many attempts. Try again {later}.",
  "limit-reached": "The limit of uploads or orders is reached. Try again {later}.",
  "storage-full": "Your storage is full. Delete photos, then try again.",
  "too-large": "The file is too large: at most {mebibytes} MiB are taken. Upload it smaller.",
  "body-too-large": "This is too much at once. Try again with less.",
  "unsupported-media-type": "The lab does not understand this page. Load it again.",
  "image-not-found": "The photo does not exist any more.",
  "order-not-found": "There is no such order.",
  "order-not-cancellable": "The order can no longer be cancelled.",
  "idempotency-key-reused": "An order was placed already. Look at your orders before you place another.",
  "session-not-found": "This session has ended already.",
  "export-not-found": "The export has expired. Ask for another.",
  "dead-letter-not-found": "The message is no longer there. Filter again.",
  "trace-not-found": "Nothing is known of this id. Check it, or look later: logs take a moment.",
  "internal-error": "The lab made a mistake, and has logged it. Try again later.",
  unavailable: "The lab is busy. Try again in a moment.",
} as const;

export type Slug = keyof typeof en;

const de: Record<Slug, string> = {
  "invalid-request": "Bitte prüfen Sie Ihre Eingaben.",
  "not-signed-in": "Ihre Sitzung ist beendet. Melden Sie sich wieder an.",
  "session-expired": "Ihre Sitzung ist beendet. Melden Sie sich wieder an.",
  "not-allowed": "Das dürfen nur Administratoren. Vielleicht müssen sie sich mit einem zweiten Faktor anmelden.",
  "wrong-credentials": "E-Mail-Adresse oder Passwort ist falsch.",
  "wrong-password": "Das bisherige Passwort ist falsch.",
  "wrong-code": "Der Code ist falsch oder abgelaufen. Geben Sie den aus der neuesten E-Mail ein, oder fordern Sie eine neue an.",
  "second-factor-required": "Geben Sie auch den Code Ihrer Authenticator-App ein.",
  "wrong-second-factor-code": "Der Code ist falsch oder wurde schon benutzt. Geben Sie den ein, den die App jetzt zeigt.",
  "second-factor-enabled": "Der zweite Faktor ist schon an. Schalten Sie ihn zuerst aus.",
  "email-taken": "Zu dieser Adresse gibt es ein Konto. Melden Sie sich an.",
  "too-many-attempts": "Zu viele Versuche. Versuchen Sie es {later} noch einmal.",
  "limit-reached": "Die Grenze für Übertragungen oder Bestellungen ist erreicht. Versuchen Sie es {later} noch einmal.",
  "storage-full": "Ihr Speicher ist voll. Löschen Sie Fotos und versuchen Sie es noch einmal.",
  "too-large": "Die Datei ist zu groß: Höchstens {mebibytes} MiB werden angenommen. Laden Sie sie kleiner hoch.",
  "body-too-large": "Das ist zu viel auf einmal. Versuchen Sie es mit weniger.",
  "unsupported-media-type": "Das Labor versteht diese Seite nicht. Laden Sie sie neu.",
  "image-not-found": "Das Foto gibt es nicht mehr.",
  "order-not-found": "Diese Bestellung gibt es nicht.",
  "order-not-cancellable": "Die Bestellung kann nicht mehr storniert werden.",
  "idempotency-key-reused": "Es wurde schon bestellt. Sehen Sie bei Ihren Bestellungen nach, bevor Sie noch einmal bestellen.",
  "session-not-found": "Diese Sitzung ist schon beendet.",
  "export-not-found": "Der Export ist abgelaufen. Fordern Sie einen neuen an.",
  "dead-letter-not-found": "Die Nachricht ist nicht mehr da. Filtern Sie noch einmal.",
  "trace-not-found": "Zu dieser Kennung ist nichts bekannt. Prüfen Sie sie, oder sehen Sie später nach: Protokolle brauchen einen Moment.",
  "internal-error": "Im Labor ist ein Fehler aufgetreten; er ist protokolliert. Versuchen Sie es später noch einmal.",
  unavailable: "Das Labor ist ausgelastet. Versuchen Sie es gleich noch einmal.",
};

export const PROBLEMS = { en, de } as const;

/** The text for a problem of the API by its name; undefined for one that the page does not know. */
export function problemText(slug: string): string | undefined {
  const known: Partial<Record<string, string>> = PROBLEMS[language];
  return known[slug];
}
