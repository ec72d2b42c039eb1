/** The CloudFront Function of terraform/modules/site, as CloudFront runs it. */
import { expect, test } from "vitest";
import source from "../../../terraform/modules/site/session.js?raw";

interface Values {
  [name: string]: { value: string };
}

interface ViewerRequest {
  headers: Values;
  cookies: Values;
}

const handler = new Function(`${source}; return handler;`)() as (event: {
  request: ViewerRequest;
}) => ViewerRequest;
const cookies = {
  "__Host-session": { value: "token" },
  "__Host-device": { value: "device" },
  other: { value: "x" },
};

test("the page's own request gets the tokens of session and device, and no cookie goes on", () => {
  const request = { headers: { "sec-fetch-site": { value: "same-origin" } }, cookies };
  const sent = handler({ request });
  expect(sent.headers["authorization"]).toEqual({ value: "Bearer token" });
  expect(sent.headers["device-token"]).toEqual({ value: "device" });
  expect(sent.cookies).toEqual({});
});

test.each(["same-site", "cross-site", "none", undefined])("a request from %s gets no token", (site) => {
  const request = { headers: site === undefined ? {} : { "sec-fetch-site": { value: site } }, cookies };
  const sent = handler({ request });
  expect(sent.headers["authorization"]).toBeUndefined();
  expect(sent.headers["device-token"]).toBeUndefined();
});

test("tokens of the request's own stay", () => {
  const headers = {
    "sec-fetch-site": { value: "same-origin" },
    authorization: { value: "Bearer own" },
    "device-token": { value: "own" },
  };
  const sent = handler({ request: { headers, cookies } });
  expect(sent.headers["authorization"]).toEqual({ value: "Bearer own" });
  expect(sent.headers["device-token"]).toEqual({ value: "own" });
});
