import { type DescFile, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type { Server } from "@grpc/grpc-js";
import { ReflectionService } from "@grpc/reflection";

/**
 * Adds server reflection (v1 and v1alpha) for these files and all they import.
 *
 * The library takes a proto-loader package but reads nothing of it but the encoded descriptors: one entry that holds
 * all of them will do.
 */
export function addReflection(server: Server, files: readonly DescFile[]): void {
  const encoded = new Map<string, Buffer>();
  const visit = (file: DescFile): void => {
    if (encoded.has(file.proto.name)) return;
    for (const dependency of file.dependencies) visit(dependency);
    encoded.set(file.proto.name, Buffer.from(toBinary(FileDescriptorProtoSchema, file.proto)));
  };
  for (const file of files) visit(file);
  const entry = {
    format: "Protocol Buffer 3 DescriptorProto" as const,
    type: {},
    fileDescriptorProtos: [...encoded.values()],
  };
  new ReflectionService({ files: entry }).addToServer(server);
}
