import { createRequire } from "node:module";
import { type DescFile, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type {
  handleBidiStreamingCall,
  MethodDefinition,
  Server,
  ServiceDefinition,
  UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { InternalError } from "../../errors/probestream-error.js";

/** The one method of reflection, as the library describes and answers it. */
interface Method {
  readonly definition: MethodDefinition<unknown, unknown>;
  readonly handle: handleBidiStreamingCall<unknown, unknown>;
}

/**
 * Adds server reflection (v1 and v1alpha) for these files and all they import.
 *
 * The library is loaded when somebody asks first: it parses its own .proto files and indexes ours, some 80 ms of
 * processor time that most servers never need.
 */
export function addReflection(server: Server, files: readonly DescFile[]): void {
  let loaded: ReadonlyMap<string, Method> | undefined;
  for (const version of ["v1", "v1alpha"]) {
    const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
    const method = (): Method => {
      loaded ??= loadReflection(files);
      const found = loaded.get(path);
      if (found === undefined) throw new InternalError("INTERNAL", `@grpc/reflection does not answer ${path}`);
      return found;
    };
    const definition: MethodDefinition<unknown, unknown> = {
      path,
      requestStream: true,
      responseStream: true,
      requestSerialize: (message) => method().definition.requestSerialize(message),
      requestDeserialize: (bytes) => method().definition.requestDeserialize(bytes),
      responseSerialize: (message) => method().definition.responseSerialize(message),
      responseDeserialize: (bytes) => method().definition.responseDeserialize(bytes),
    };
    const handle: handleBidiStreamingCall<unknown, unknown> = (call) => method().handle(call);
    server.addService({ ServerReflectionInfo: definition }, { ServerReflectionInfo: handle });
  }
}

/**
 * Loads the library, at once as grpc-js decodes; gives its methods by path. It takes a proto-loader package but reads
 * nothing of it but the encoded descriptors: one entry that holds all of them will do.
 */
function loadReflection(files: readonly DescFile[]): ReadonlyMap<string, Method> {
  const require = createRequire(import.meta.url);
  const { ReflectionService }: typeof import("@grpc/reflection") = require("@grpc/reflection");
  const fileDescriptorProtos = encodeFiles(files);
  const entry = { format: "Protocol Buffer 3 DescriptorProto" as const, type: {}, fileDescriptorProtos };
  const methods = new Map<string, Method>();
  const addService = (service: ServiceDefinition, handlers: UntypedServiceImplementation): void => {
    for (const [name, definition] of Object.entries(service)) {
      methods.set(definition.path, { definition, handle: handlers[name] as Method["handle"] });
    }
  };
  // It adds its services to a server, and does no more with one.
  new ReflectionService({ files: entry }).addToServer({ addService } as Server);
  return methods;
}

/** Descriptors of files and of all they import, encoded. */
function encodeFiles(files: readonly DescFile[]): Buffer[] {
  const encoded = new Map<string, Buffer>();
  const visit = (file: DescFile): void => {
    if (encoded.has(file.proto.name)) return;
    for (const dependency of file.dependencies) visit(dependency);
    encoded.set(file.proto.name, Buffer.from(toBinary(FileDescriptorProtoSchema, file.proto)));
  };
  for (const file of files) visit(file);
  return [...encoded.values()];
}
