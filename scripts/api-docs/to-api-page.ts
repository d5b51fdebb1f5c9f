import {
  createFileRegistry,
  type DescEnum,
  type DescField,
  type DescFile,
  type DescMessage,
  type DescService,
  fromBinary,
  ScalarType,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { type Commented, readComment } from "./comments.js";

/**
 * The reference of a package's services as one page of Markdown, from the comments of its `.proto` files.
 *
 * @param image A FileDescriptorSet with source information, as `buf build` writes it.
 */
export function toApiPage(image: Uint8Array, packageName: string): string {
  const files = [...createFileRegistry(fromBinary(FileDescriptorSetSchema, image)).files]
    .filter(({ proto }) => proto.package === packageName)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const services = files.flatMap((file) => file.services);
  const messages = files.flatMap((file) => file.messages.flatMap(withNested));
  const enums = files.flatMap((file) => [
    ...file.enums,
    ...file.messages.flatMap(withNested).flatMap((m) => m.nestedEnums),
  ]);
  const parts = [
    "# API reference",
    `The package \`${packageName}\`, as the comments of [its files](../proto/${packageName.replaceAll(".", "/")}) describe it. Written by \`npm run docs:api\`; change the comments, not this page.`,
    toList([...services, ...messages, ...enums], services.length, messages.length),
    "## Services",
    ...services.flatMap(toService),
    "## Messages",
    ...messages.flatMap(toMessage),
    "## Enums",
    ...enums.flatMap(toEnum),
  ];
  return `${parts.filter((part) => part !== "").join("\n\n")}\n`;
}

function withNested(message: DescMessage): DescMessage[] {
  // Entries of maps are how a map travels, not what anyone writes.
  const nested = message.nestedMessages.filter(({ proto }) => proto.options?.mapEntry !== true);
  return [message, ...nested.flatMap(withNested)];
}

function toList(all: readonly (DescService | DescMessage | DescEnum)[], services: number, messages: number): string {
  const link = (desc: DescService | DescMessage | DescEnum): string => `[${nameOf(desc)}](#${toAnchor(nameOf(desc))})`;
  return [
    `Services: ${all.slice(0, services).map(link).join(", ")}.`,
    `Messages: ${all
      .slice(services, services + messages)
      .map(link)
      .join(", ")}.`,
    `Enums: ${all
      .slice(services + messages)
      .map(link)
      .join(", ")}.`,
  ].join("\n\n");
}

function toService(service: DescService): string[] {
  const methods = service.methods.map((method) => {
    const { input, output, methodKind } = method;
    const sent = `${/^(client|bidi)/.test(methodKind) ? "stream of " : ""}${toLink(input)}`;
    const answered = `${/^(server|bidi)/.test(methodKind) ? "stream of " : ""}${toLink(output)}`;
    return [`#### ${service.name}.${method.name}`, `${sent} → ${answered}`, toText(method)];
  });
  return [`### ${service.name}`, `In ${toFileLink(service.file)}.`, toText(service), ...methods.flat()];
}

function toMessage(message: DescMessage): string[] {
  const rows = message.fields.map((field) => {
    const group = field.oneof === undefined ? "" : ` One of \`${field.oneof.name}\`.`;
    const comment = `${toCell(field)}${group}`.trim();
    return `| \`${field.name}\` | ${field.number} | ${toType(field)} | ${comment} |`;
  });
  const groups = message.oneofs.flatMap((oneof) => {
    const comment = toCell(oneof);
    return comment === "" ? [] : [`- \`${oneof.name}\`: ${comment}`];
  });
  return [
    `### ${nameOf(message)}`,
    `In ${toFileLink(message.file)}.`,
    toText(message),
    rows.length === 0 ? "No fields." : ["| field | number | type | |", "| --- | --- | --- | --- |", ...rows].join("\n"),
    groups.join("\n"),
  ];
}

function toEnum(desc: DescEnum): string[] {
  const rows = desc.values.map((value) => `| \`${value.name}\` | ${value.number} | ${toCell(value)} |`);
  return [
    `### ${nameOf(desc)}`,
    `In ${toFileLink(desc.file)}.`,
    toText(desc),
    ["| value | number | |", "| --- | --- | --- |", ...rows].join("\n"),
  ];
}

function toType(field: DescField): string {
  switch (field.fieldKind) {
    case "list":
      return `list of ${toItem(field.listKind, field)}`;
    case "map":
      return `map from \`${ScalarType[field.mapKey].toLowerCase()}\` to ${toItem(field.mapKind, field)}`;
    default: {
      const optional = field.proto.proto3Optional && field.fieldKind !== "message" ? ", optional" : "";
      return `${toItem(field.fieldKind, field)}${optional}`;
    }
  }
}

function toItem(kind: "scalar" | "enum" | "message", field: DescField): string {
  if (kind === "message" && field.message !== undefined) return toLink(field.message);
  if (kind === "enum" && field.enum !== undefined) return toLink(field.enum);
  return `\`${field.scalar === undefined ? "?" : ScalarType[field.scalar].toLowerCase()}\``;
}

/** A type, linked to its place on this page if it has one. */
function toLink(desc: DescMessage | DescEnum): string {
  if (!desc.file.proto.package.startsWith("probestream.")) return `\`${desc.typeName}\``;
  return `[${nameOf(desc)}](#${toAnchor(nameOf(desc))})`;
}

function toFileLink({ proto }: DescFile): string {
  return `[${proto.name.split("/").at(-1)}](../proto/${proto.name})`;
}

/** A name within its package: that of a nested type behind that of its message. */
function nameOf(desc: DescService | DescMessage | DescEnum): string {
  return desc.typeName.slice(desc.file.proto.package.length + 1);
}

function toAnchor(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^a-z0-9_ -]/g, "")
    .replaceAll(" ", "-");
}

function toText(desc: Commented): string {
  return readComment(desc).map(escapeText).join("\n");
}

function toCell(desc: Commented): string {
  return readComment(desc).map(escapeText).join(" ").replace(/\s+/g, " ").trim().replaceAll("|", "\\|");
}

/** Text is no HTML: only what stands between backticks may have angle brackets. */
function escapeText(line: string): string {
  return line.replace(/`[^`]*`|</g, (found) => (found === "<" ? "&lt;" : found));
}
