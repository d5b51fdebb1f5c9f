import { ExpertService } from "../../../src/gen/probestream/v1/expert_service_pb.js";
import { fails } from "./refusals.js";
import type { Row } from "./row.js";

/** Questions about experts. */
export const expertRows: readonly Row[] = [
  {
    name: "a request for an expert without a name",
    find: fails((client) => client.unary(ExpertService.method.getExpert, { expert: "" })),
    of: "call",
    code: "INVALID_ARGUMENT",
    reason: "FIELD_INVALID",
    message: "expert is empty; name one by space id or name",
  },
  {
    name: "a request for an expert that does not exist",
    find: fails((client) => client.unary(ExpertService.method.getExpert, { expert: "nobody" })),
    of: "call",
    code: "NOT_FOUND",
    reason: "EXPERT_NOT_FOUND",
    message:
      'no expert "nobody" in the catalogue; it has classifier, conv, dense, large, lora, packed, transposed, twin-a, twin-b, vector',
  },
  {
    name: "a page token that no answer gave",
    find: fails((client) => client.unary(ExpertService.method.listExperts, { pageToken: "made-up" })),
    of: "call",
    code: "INVALID_ARGUMENT",
    reason: "FIELD_INVALID",
    message: "page_token is not one that ListExperts gave; start without one",
  },
];
