/** Uploads over HTTP: the form from the API, the file straight to storage. */
import { ApiError, api, unwrap } from "../api/client";
import type { Transport } from "./queue";

/** A connection on which nothing moves for this long is given up. */
const STALLED_MILLISECONDS = 60_000;

export const transport: Transport = {
  form: (body) => unwrap(api.POST("/uploads", { body })),

  send: (form, file, progress) =>
    new Promise((resolve, reject) => {
      if (file.size > form.bytes_max) {
        const mebibytes = Math.floor(form.bytes_max / 1024 ** 2);
        reject(new ApiError(413, "too-large", `over ${mebibytes} MiB`, 0, new Map(), { mebibytes: String(mebibytes) }));
        return;
      }
      const data = new FormData();
      for (const [name, value] of Object.entries(form.fields)) data.append(name, value);
      data.append("file", file);
      // fetch tells nothing of an upload's progress.
      const request = new XMLHttpRequest();
      let stalled: ReturnType<typeof setTimeout> | undefined;
      const watch = () => {
        clearTimeout(stalled);
        stalled = setTimeout(() => request.abort(), STALLED_MILLISECONDS);
      };
      const fail = () => {
        clearTimeout(stalled);
        reject(new ApiError(request.status, "", `HTTP ${request.status}`, 1));
      };
      request.upload.onprogress = (event) => {
        watch();
        if (event.lengthComputable) progress(event.loaded / event.total);
      };
      request.onerror = fail;
      request.onabort = fail;
      request.onload = () => {
        clearTimeout(stalled);
        if (request.status >= 200 && request.status < 300) resolve();
        else fail();
      };
      request.open("POST", form.url);
      watch();
      request.send(data);
    }),
};
