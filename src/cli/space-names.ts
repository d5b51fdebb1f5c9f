import type { RetrievalPort } from "../retrieval/retrieval-port.js";

/**
 * Asks a catalogue how its spaces are called, by the names of their experts; one that is not among them by the beginning of its
 * id. A store may have to look at all its records for that.
 */
export async function readSpaceNames(port: Pick<RetrievalPort, "listSpaces">): Promise<(spaceId: string) => string> {
  const { spaces } = await port.listSpaces();
  const names = new Map(spaces.map(({ spaceId, expertName }) => [spaceId, expertName]));
  return (spaceId) => names.get(spaceId) ?? spaceId.slice(0, 12);
}
