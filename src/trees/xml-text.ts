/** Text of an XML document: names come from files. */
export function toXml(content: string): string {
  return content
    .replace(/[\p{Cc}\p{Cs}]/gu, "\ufffd")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
