import type { MemoryPlan } from "../../src/gen/probestream/v1/server_service_pb.js";

/**
 * What calls under way hold of a server's memory, in bytes: nothing, once all are answered. Neither loaded experts nor
 * connections count, whose receive windows a slow ping widens for as long as they last.
 */
export function toHeldBytes(memoryPlan: MemoryPlan | undefined): number {
  if (memoryPlan === undefined) throw new Error("the server tells no memory plan");
  const { reservedBytes, expertBytes, connectionBytes } = memoryPlan;
  return Number(reservedBytes - expertBytes - connectionBytes);
}
