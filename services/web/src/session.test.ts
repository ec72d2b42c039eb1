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
const cookies = { "__Host-session": { value: "token" }, other: { value: "x" } };

test("the page's own request gets its session, and no cookie goes on", () => {
  const request = { headers: { "sec-fetch-site": { value: "same-origin" } }, cookies };
  const sent = handler({ request });
  expect(sent.headers["authorization"]).toEqual({ value: "Bearer token" });
  expect(sent.cookies).toEqual({});
});

test.each(["same-site", "cross-site", "none", undefined])("a request from %s gets no session", (site) => {
  const request = { headers: site === undefined ? {} : { "sec-fetch-site": { value: site } }, cookies };
  expect(handler({ request }).headers["authorization"]).toBeUndefined();
});

test("a token of the request's own stays", () => {
  const headers = { "sec-fetch-site": { value: "same-origin" }, authorization: { value: "Bearer own" } };
  expect(handler({ request: { headers, cookies } }).headers["authorization"]).toEqual({ value: "Bearer own" });
});
