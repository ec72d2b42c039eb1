import { expect, test } from "vitest";
import type { Image, RecipeList, Rendition } from "../api/client";
import { wholeRenditions } from "./recipes";

const LIST: RecipeList = {
  default: "standard",
  recipes: [
    {
      name: "standard",
      sizes: [
        { name: "thumb", fit: "inside", long_edge: 256 },
        { name: "large", fit: "inside", long_edge: 2048 },
      ],
      formats: ["jpeg"],
    },
    {
      name: "web",
      sizes: [
        { name: "thumb", fit: "cover", width: 256, height: 256 },
        { name: "large", fit: "inside", long_edge: 2048 },
      ],
      formats: ["jpeg"],
    },
  ],
};

function image(recipe?: string, ...names: string[]): Image {
  const renditions = names.map((name) => ({ name, format: "jpeg" }) as Rendition);
  return { recipe, renditions } as Image;
}

function shown(recipe: string | undefined, ...names: string[]): string[] {
  return wholeRenditions(image(recipe, ...names), LIST).map(({ name }) => name);
}

test("sizes that cut the photo are left out", () => {
  expect(shown("web", "thumb", "large")).toEqual(["large"]);
});

test("an image without a recipe has the default one", () => {
  expect(shown(undefined, "thumb", "large")).toEqual(["thumb", "large"]);
});

test("all sizes are shown of a recipe that is gone, and where all are cut", () => {
  expect(shown("gone", "thumb", "large")).toEqual(["thumb", "large"]);
  expect(shown("web", "thumb")).toEqual(["thumb"]);
});
