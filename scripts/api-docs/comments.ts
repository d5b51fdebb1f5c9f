import type { DescEnum, DescField, DescMessage, DescMethod, DescOneof, DescService } from "@bufbuild/protobuf";

/** Something that a comment may stand before. */
export type Commented =
  | DescService
  | DescMethod
  | DescMessage
  | DescField
  | DescOneof
  | DescEnum
  | DescEnum["values"][number];

/** Numbers of fields in `descriptor.proto`, which paths of comments are made of. */
const fieldNumbers = {
  message: 4,
  enum: 5,
  service: 6,
  method: 2,
  field: 2,
  oneof: 8,
  nestedMessage: 3,
  nestedEnum: 4,
  value: 2,
};

/** The comment before a declaration, or behind it on its line, as lines without the slashes; empty if there is none. */
export function readComment(desc: Commented): readonly string[] {
  const path = toPath(desc);
  const key = path.join(".");
  const found = fileOf(desc).proto.sourceCodeInfo?.location.find((location) => location.path.join(".") === key);
  const text = (found?.leadingComments || found?.trailingComments) ?? "";
  return text.trimEnd() === ""
    ? []
    : text
        .trimEnd()
        .split("\n")
        .map((line) => line.replace(/^ /, ""));
}

function fileOf(desc: Commented) {
  return "file" in desc ? desc.file : desc.parent.file;
}

function toPath(desc: Commented): readonly number[] {
  switch (desc.kind) {
    case "service":
      return [fieldNumbers.service, placeOf(desc.file.services, desc)];
    case "rpc":
      return [...toPath(desc.parent), fieldNumbers.method, placeOf(desc.parent.methods, desc)];
    case "message":
      return desc.parent === undefined
        ? [fieldNumbers.message, placeOf(desc.file.messages, desc)]
        : [...toPath(desc.parent), fieldNumbers.nestedMessage, desc.parent.proto.nestedType.indexOf(desc.proto)];
    case "enum":
      return desc.parent === undefined
        ? [fieldNumbers.enum, placeOf(desc.file.enums, desc)]
        : [...toPath(desc.parent), fieldNumbers.nestedEnum, placeOf(desc.parent.nestedEnums, desc)];
    case "enum_value":
      return [...toPath(desc.parent), fieldNumbers.value, placeOf(desc.parent.values, desc)];
    case "oneof":
      return [...toPath(desc.parent), fieldNumbers.oneof, desc.parent.proto.oneofDecl.indexOf(desc.proto)];
    case "field":
      return [...toPath(desc.parent), fieldNumbers.field, desc.parent.proto.field.indexOf(desc.proto)];
  }
}

function placeOf<T>(list: readonly T[], item: T): number {
  return list.indexOf(item);
}
