import {
  create,
  type DescMessage,
  type DescMethod,
  type DescService,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import type { MethodDefinition, ServiceDefinition } from "@grpc/grpc-js";

/** Messages within messages, at most: filters may be 64 deep, each level of which is two messages. */
const recursionLimit = 160;

/** A view of bytes as the Buffer that grpc-js wants; it calls Buffer methods on what serializers return. */
function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Encodes a message for grpc-js. */
export function encodeMessage<Desc extends DescMessage>(
  desc: Desc,
  message: MessageShape<Desc> | MessageInitShape<Desc>,
): Buffer {
  return toBuffer(toBinary(desc, create(desc, message)));
}

/** One method as grpc-js describes it, typed by its descriptor. */
export function toMethodDefinition<Input extends DescMessage, Output extends DescMessage>(
  method: DescMethod & { readonly input: Input; readonly output: Output },
): MethodDefinition<MessageShape<Input>, MessageShape<Output>> {
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    originalName: method.localName,
    requestStream: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
    responseStream: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
    requestSerialize: (message) => encodeMessage(method.input, message),
    requestDeserialize: (bytes) => fromBinary(method.input, bytes, { recursionLimit }),
    responseSerialize: (message) => encodeMessage(method.output, message),
    responseDeserialize: (bytes) => fromBinary(method.output, bytes, { recursionLimit }),
  };
}

/** A service as grpc-js describes it. */
export function toServiceDefinition(service: DescService): ServiceDefinition {
  return Object.fromEntries(service.methods.map((method) => [method.localName, toMethodDefinition(method)]));
}
