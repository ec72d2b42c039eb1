/** Which renditions show the whole photo. Those of sizes that cut it are for tiles and banners. */
import { type Image, type RecipeList, type Rendition, api, unwrap } from "../api/client";

let requested: Promise<RecipeList> | undefined;

/** The lab's recipes, requested once for a visit. */
export function recipes(): Promise<RecipeList> {
  requested ??= unwrap(api.GET("/recipes")).catch((error: unknown) => {
    requested = undefined;
    throw error;
  });
  return requested;
}

/** The image's renditions without those that its recipe cuts; all of them where nothing is left. */
export function wholeRenditions(image: Image, list: RecipeList): Rendition[] {
  const renditions = image.renditions ?? [];
  const recipe = list.recipes.find(({ name }) => name === (image.recipe ?? list.default));
  const cut = new Set(recipe?.sizes.filter(({ fit }) => fit === "cover").map(({ name }) => name));
  const whole = renditions.filter(({ name }) => !cut.has(name));
  return whole.length ? whole : renditions;
}
