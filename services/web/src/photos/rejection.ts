/** Why a photo was rejected and what to do, for each reason of the API, in English and German. */
import type { ImageSummary } from "../api/client";
import { language, text } from "../text";

export type Reason = NonNullable<ImageSummary["reason"]>;

const en: Record<Reason, string> = {
  empty: "The file is empty. The upload was probably interrupted: upload the photo again.",
  "not-an-image": "The file is not a photo, whatever its name says. Choose a photo.",
  "unsupported-format": "The file has a format that the lab does not develop, such as a camera's raw format or a video. Export the photo as JPEG and upload that.",
  "too-many-bytes": "The file is too large. Save the photo smaller or with more compression, and upload that.",
  "too-many-pixels": "The photo has too many pixels. Make it smaller in a photo app, and upload that.",
  "too-many-frames": "The animation has too many frames. Shorten it, and upload that.",
  "too-many-pixels-in-all": "All frames or parts together have too many pixels. Make the picture smaller or the animation shorter, or save it as JPEG.",
  truncated: "The end of the file is missing. An upload or a copy was probably interrupted: upload the original again.",
  damaged: "The file is damaged. Upload another copy of the photo.",
  polyglot: "The file has other content behind the photo. Save the photo again in a photo app, and upload that.",
  "timed-out": "Developing took too long. Upload the photo smaller, or with fewer frames.",
  "too-much-memory": "The photo is too large to develop in this format. Upload it smaller, or as JPEG.",
  "too-expensive": "The file takes too much work to read. Save the photo again in a photo app, and upload that.",
  "failed-repeatedly": "Developing failed several times. Save the photo again in a photo app, smaller if it is very large, and upload that.",
};

const de: Record<Reason, string> = {
  empty: "Die Datei ist leer. Vermutlich wurde die Übertragung unterbrochen: Laden Sie das Foto noch einmal hoch.",
  "not-an-image": "Die Datei ist kein Foto, auch wenn ihr Name so aussieht. Wählen Sie ein Foto.",
  "unsupported-format": "Die Datei hat ein Format, das das Labor nicht entwickelt, zum Beispiel das Rohformat einer Kamera oder ein Video. Exportieren Sie das Foto als JPEG und laden Sie dieses hoch.",
  "too-many-bytes": "Die Datei ist zu groß. Speichern Sie das Foto kleiner oder stärker komprimiert und laden Sie dieses hoch.",
  "too-many-pixels": "Das Foto hat zu viele Pixel. Verkleinern Sie es in einer Foto-App und laden Sie dieses hoch.",
  "too-many-frames": "Die Animation hat zu viele Einzelbilder. Kürzen Sie sie und laden Sie diese hoch.",
  "too-many-pixels-in-all": "Alle Einzelbilder oder Teile zusammen haben zu viele Pixel. Verkleinern Sie das Bild, kürzen Sie die Animation oder speichern Sie es als JPEG.",
  truncated: "Das Ende der Datei fehlt. Vermutlich wurde eine Übertragung oder Kopie unterbrochen: Laden Sie das Original noch einmal hoch.",
  damaged: "Die Datei ist beschädigt. Laden Sie eine andere Kopie des Fotos hoch.",
  polyglot: "Die Datei enthält hinter dem Foto noch anderes. Speichern Sie das Foto in einer Foto-App neu und laden Sie dieses hoch.",
  "timed-out": "Das Entwickeln hat zu lange gedauert. Laden Sie das Foto kleiner oder mit weniger Einzelbildern hoch.",
  "too-much-memory": "Das Foto ist zu groß, um es in diesem Format zu entwickeln. Laden Sie es kleiner oder als JPEG hoch.",
  "too-expensive": "Die Datei ist zu aufwendig zu lesen. Speichern Sie das Foto in einer Foto-App neu und laden Sie dieses hoch.",
  "failed-repeatedly": "Das Entwickeln ist mehrmals fehlgeschlagen. Speichern Sie das Foto in einer Foto-App neu, sehr große kleiner, und laden Sie dieses hoch.",
};

export const REJECTIONS = { en, de } as const;

/** Why the photo was rejected, in the page's language. A reason that this page does not know, of a
 * newer lab, has a general text. */
export function rejectionText({ reason }: Pick<ImageSummary, "reason">): string {
  const known: Partial<Record<string, string>> = REJECTIONS[language];
  return known[reason ?? ""] ?? text("rejected");
}
