import { InvalidInputError, LimitExceededError } from "../../errors/probestream-error.js";
import type {
  GetExpertRequestSchema,
  GetExpertResponseSchema,
  ListExpertsRequestSchema,
  ListExpertsResponseSchema,
  RouteModelRequestSchema,
  RouteModelResponseSchema,
} from "../../gen/probestream/v1/expert_service_pb.js";
import type { Embedder } from "../../search/open-embedder.js";
import { routeModel } from "../../search/route-model.js";
import type { Unary } from "../call.js";
import { toWireExpert } from "../convert/expert.js";
import { fromRouteRequest, toRouteResponse } from "../convert/route.js";
import { maxNameLength } from "../convert/tensor.js";
import { type ReportFault, toPublicModelError } from "../to-status.js";

/** Handlers of the expert service. */
export interface ExpertService {
  readonly listExperts: Unary<typeof ListExpertsRequestSchema, typeof ListExpertsResponseSchema>;
  readonly getExpert: Unary<typeof GetExpertRequestSchema, typeof GetExpertResponseSchema>;
  readonly routeModel: Unary<typeof RouteModelRequestSchema, typeof RouteModelResponseSchema>;
}

/** Experts per page, where the request says nothing, and at most. */
const defaultPageSize = 100;
const maxPageSize = 1000;

/** Creates the handlers. */
export function createExpertService(
  { catalogue, limits }: Pick<Embedder, "catalogue" | "limits">,
  report: ReportFault,
): ExpertService {
  return {
    listExperts: async ({ pageSize, pageToken }) => {
      const { experts, unusable } = await catalogue.list();
      const after = fromPageToken(pageToken);
      // Names may repeat; the key that orders the list is the one that a page ends with.
      const rest = experts.filter(({ name, spaceId }) => `${name}\0${spaceId}` > after);
      const page = rest.slice(0, Math.min(pageSize || defaultPageSize, maxPageSize));
      const last = page.at(-1);
      return {
        experts: page.map(toWireExpert),
        nextPageToken:
          last !== undefined && page.length < rest.length ? toPageToken(`${last.name}\0${last.spaceId}`) : "",
        unusable: unusable.map(({ name, error }) => ({ name, error: toPublicModelError(error, report) })),
      };
    },
    getExpert: async ({ expert }) => {
      if (expert === "") throw new InvalidInputError("FIELD_INVALID", "expert is empty; name one by space id or name");
      if (expert.length > maxNameLength) {
        throw new LimitExceededError(
          "LIMIT_EXCEEDED",
          `expert has ${expert.length} characters; ${maxNameLength} are allowed`,
        );
      }
      return { expert: toWireExpert(await catalogue.get(expert)) };
    },
    routeModel: async (request) => toRouteResponse(await routeModel(fromRouteRequest(request, limits), catalogue)),
  };
}

function toPageToken(key: string): string {
  return Buffer.from(key).toString("base64url");
}

function fromPageToken(token: string): string {
  if (token === "") return "";
  const key = Buffer.from(token, "base64url").toString();
  if (key.includes("\0")) return key;
  throw new InvalidInputError("FIELD_INVALID", "page_token is not one that ListExperts gave; start without one");
}
