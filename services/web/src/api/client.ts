/** The HTTP API of the page's own origin. The session is in a cookie that no script can read. */
import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

type Schemas = components["schemas"];
export type FieldCode = Schemas["Mistake"]["code"];
export type Account = Schemas["Account"];
export type SignedInUser = Schemas["SignedInUser"];
export type DeadLetter = Schemas["Letter"];
export type DeadLetterPage = Schemas["Letters"];
export type LabOrder = Schemas["LabOrder"];
export type LabOrders = Schemas["LabOrders"];
export type LabStatus = Schemas["LabStatus"];
export type ReleasedVersion = Schemas["ReleasedVersion"];
export type LetterSelection = Schemas["LetterSelection"];
export type Usage = Schemas["Usage"];
export type Trace = Schemas["Trace"];
export type Image = Schemas["Image"];
export type ImageSummary = Schemas["ImageSummary"];
export type OrderDetails = Schemas["OrderDetails"];
export type OrderRequest = Schemas["OrderRequest"];
export type OrderSummary = Schemas["OrderSummary"];
export type Product = Schemas["PrintProduct"];
export type RecipeList = Schemas["RecipeList"];
export type Rendition = Schemas["Rendition"];
export type EmailSettings = Schemas["EmailSettings"];
export type UserSession = Schemas["UserSession"];
export type UploadForm = Schemas["UploadForm"];
export type UploadRequest = Schemas["UploadRequest"];

export const api = createClient<paths>({ baseUrl: "/" });

/** A request that the API refused, or that got no answer (status 0). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    /** The problem's name, such as "email-taken"; empty without a problem document. */
    readonly slug: string,
    message: string,
    readonly retryAfterSeconds: number,
    /** What is wrong with each invalid field, by the API's code. */
    readonly fields: ReadonlyMap<string, FieldCode> = new Map(),
    /** Values for the text that a person reads. */
    readonly values: Readonly<Record<string, string>> = {},
  ) {
    super(message);
  }

  /** Whether the same request may succeed later. */
  get transient(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

interface Result<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The answer's body. Throws ApiError. */
export async function unwrap<T>(request: Promise<Result<T>>): Promise<T> {
  let result: Result<T>;
  try {
    result = await request;
  } catch (error) {
    throw new ApiError(0, "", error instanceof Error ? error.message : String(error), 2);
  }
  const { response } = result;
  if (response.ok) return result.data as T;
  const problem = (result.error ?? {}) as Partial<Schemas["Problem"]>;
  const retryAfter = Number(response.headers.get("retry-after") ?? "2");
  throw new ApiError(
    response.status,
    (problem.type ?? "").split(":").at(-1) ?? "",
    problem.detail ?? problem.title ?? `HTTP ${response.status}`,
    Number.isFinite(retryAfter) ? retryAfter : 2,
    new Map((problem.errors ?? []).map((mistake) => [mistake.field, mistake.code])),
  );
}
