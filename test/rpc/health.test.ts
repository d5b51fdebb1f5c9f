import { create, type DescMessage, type MessageInitShape, type MessageShape } from "@bufbuild/protobuf";
import { Client, type ClientReadableStream, credentials, type ServiceError, status } from "@grpc/grpc-js";
import anyTest, { type TestFn } from "ava";
import {
  Health,
  HealthCheckRequestSchema,
  type HealthCheckResponse,
  HealthCheckResponse_ServingStatus as Serving,
} from "../../src/gen/health/v1/health_pb.js";
import { EmbeddingService } from "../../src/gen/probestream/v1/embedding_service_pb.js";
import { RetrievalService } from "../../src/gen/probestream/v1/retrieval_service_pb.js";
import { toMethodDefinition } from "../../src/rpc/service-definition.js";
import { startTestServer, type TestServer } from "../helpers/rpc-server.js";
import { until } from "../helpers/until.js";

interface Context {
  server: TestServer;
  client: Client;
}

const test = anyTest as TestFn<Context>;

test.before(async (t) => {
  const server = await startTestServer([]);
  t.context = { server, client: new Client(server.target, credentials.createInsecure()) };
});

test.after.always(async (t) => {
  t.context.client.close();
  await t.context.server.close();
});

/** Makes a unary call; throws what it fails with. */
function call<I extends DescMessage, O extends DescMessage>(
  client: Client,
  method: Parameters<typeof toMethodDefinition<I, O>>[0],
  message: MessageInitShape<I>,
): Promise<MessageShape<O> | undefined> {
  const { path, requestSerialize, responseDeserialize } = toMethodDefinition(method);
  return new Promise((resolve, reject) => {
    const request = create(method.input, message);
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, (error, answer) => {
      if (error === null) resolve(answer);
      else reject(error);
    });
  });
}

/** Watches a service; `seen` grows as answers come. */
function watch(client: Client, service: string): { readonly seen: readonly Serving[]; cancel(): void } {
  const { path, requestSerialize, responseDeserialize } = toMethodDefinition(Health.method.watch);
  const request = create(HealthCheckRequestSchema, { service });
  const stream: ClientReadableStream<HealthCheckResponse> = client.makeServerStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    request,
  );
  const seen: Serving[] = [];
  stream.on("data", (answer: HealthCheckResponse) => seen.push(answer.status)).on("error", () => {});
  return { seen, cancel: () => stream.cancel() };
}

test("a check tells of the server and of each service", async (t) => {
  const check = (service: string) => call(t.context.client, Health.method.check, { service });
  t.is((await check(""))?.status, Serving.SERVING);
  t.is((await check(EmbeddingService.typeName))?.status, Serving.SERVING);
  t.is((await check(RetrievalService.typeName))?.status, Serving.NOT_SERVING);
});

test("a check of a service that there is not is answered NOT_FOUND", async (t) => {
  const checked = call(t.context.client, Health.method.check, { service: "no.Such" });
  const error = await t.throwsAsync<ServiceError>(checked);
  t.is(error?.code, status.NOT_FOUND);
  t.is(error?.details, "Health status unknown for service no.Such");
});

test("a list has them all", async (t) => {
  const statuses = (await call(t.context.client, Health.method.list, {}))?.statuses ?? {};
  t.deepEqual(
    Object.entries(statuses)
      .map(([name, { status: is }]) => `${name} ${Serving[is]}`)
      .sort(),
    [
      " SERVING",
      "probestream.v1.CatalogueService NOT_SERVING",
      "probestream.v1.EmbeddingService SERVING",
      "probestream.v1.ExpertService SERVING",
      "probestream.v1.RetrievalService NOT_SERVING",
      "probestream.v1.ServerService SERVING",
    ],
  );
});

test("a watch tells what is so, and what changes; one of a service that there is not stays open", async (t) => {
  const server = await startTestServer([]);
  const client = new Client(server.target, credentials.createInsecure());
  t.teardown(() => client.close());
  const watches = ["", "", "no.Such"].map((service) => watch(client, service));
  const [whole, given, unknown] = watches;
  await until(() => watches.every(({ seen }) => seen.length === 1), "each is told what is so");
  given?.cancel();
  await call(client, Health.method.check, {});
  await server.close();
  t.deepEqual(whole?.seen, [Serving.SERVING, Serving.NOT_SERVING]);
  t.deepEqual(given?.seen, [Serving.SERVING]);
  t.deepEqual(unknown?.seen, [Serving.SERVICE_UNKNOWN]);
  t.deepEqual(server.faults, []);
});
