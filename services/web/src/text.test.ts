import { expect, it } from "vitest";
import { money, plain, statusText, text } from "./text";

it("fills in values", () => {
  expect(text("resolution", { dpi: 300 })).toContain("300");
});

it("leaves out characters that reorder or hide text", () => {
  expect(plain("a\u202egpj.exe\u0007")).toBe("agpj.exe");
});

it("names every status of an order", () => {
  expect(statusText("rejected")).not.toBe(text("rejected"));
  expect(statusText("out_of_stock")).not.toBe("out_of_stock");
});

it("formats minor units", () => {
  expect(money(899, "EUR")).toContain("8.99");
});
