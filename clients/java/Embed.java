import com.google.protobuf.Any;
import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import com.google.protobuf.util.JsonFormat;
import google.rpc.ErrorDetails.ErrorInfo;
import google.rpc.StatusOuterClass;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.protobuf.ProtoUtils;
import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.ClientResponseObserver;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import probestream.v1.EmbeddingServiceGrpc;
import probestream.v1.EmbeddingServiceOuterClass.EmbedModelChunk;
import probestream.v1.EmbeddingServiceOuterClass.EmbedModelFooter;
import probestream.v1.EmbeddingServiceOuterClass.EmbedModelHeader;
import probestream.v1.EmbeddingServiceOuterClass.EmbedModelRequest;
import probestream.v1.EmbeddingServiceOuterClass.EmbedModelResponse;
import probestream.v1.EmbeddingServiceOuterClass.ExpertEmbedding;
import probestream.v1.EmbeddingServiceOuterClass.ModelPlan;
import probestream.v1.EmbeddingServiceOuterClass.ModelResult;
import probestream.v1.EmbeddingServiceOuterClass.PlanEmbeddingRequest;
import probestream.v1.EmbeddingServiceOuterClass.PlannedModel;
import probestream.v1.Types.Dtype;
import probestream.v1.Types.Manifest;
import probestream.v1.Types.ModelError;
import probestream.v1.Types.TensorInfo;
import probestream.v1.Types.TensorRange;

/**
 * Embeds a safetensors file by the generated stub alone: {@code embed HOST:PORT FILE [EXPERT]} prints, for each expert,
 * its name and the numbers of the representation.
 */
final class Embed {
  private static final int CHUNK_BYTES = (1 << 20) - (4 << 10);
  private static final int SEGMENT_BYTES = 8 << 20;
  private static final Set<String> DTYPES = Set.of("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2");

  private final FileChannel file;
  private final String path;
  private final Map<String, Long> begins = new HashMap<>();

  private Embed(FileChannel file, String path) {
    this.file = file;
    this.path = path;
  }

  public static void main(String[] args) throws Exception {
    if (args.length < 2) {
      System.err.println("usage: embed HOST:PORT FILE [EXPERT]");
      System.exit(2);
    }
    ManagedChannel channel = ManagedChannelBuilder.forTarget(args[0]).usePlaintext().build();
    try (FileChannel file = FileChannel.open(Path.of(args[1]))) {
      new Embed(file, args[1]).run(channel, args.length > 2 ? args[2] : "");
    } catch (NoSuchFileException e) {
      fail("there is no file \"" + e.getFile() + "\"; check the path");
    } catch (Exception e) {
      Throwable cause = e instanceof ExecutionException ? e.getCause() : e;
      fail(toMessage(cause));
    } finally {
      channel.shutdownNow();
    }
  }

  private void run(ManagedChannel channel, String expert) throws Exception {
    Manifest.Builder manifest = readManifest();
    if (!expert.isEmpty()) manifest.addExperts(expert);
    PlanEmbeddingRequest request = PlanEmbeddingRequest.newBuilder().addManifests(manifest).build();
    ModelPlan plan =
        EmbeddingServiceGrpc.newBlockingStub(channel)
            .withDeadlineAfter(60, TimeUnit.SECONDS)
            .planEmbedding(request)
            .getPlans(0);
    if (plan.hasError()) fail(plan.getError());
    Sender sender = new Sender(plan.getPlanned());
    EmbeddingServiceGrpc.newStub(channel).embedModel(sender);
    ModelResult result = sender.answer.get().getResults(0);
    if (result.hasError()) fail(result.getError());
    for (ExpertEmbedding embedding : result.getEmbedding().getEmbeddingsList()) {
      StringBuilder line = new StringBuilder(embedding.getExpertName());
      ByteBuffer values = embedding.getRepresentation().asReadOnlyByteBuffer().order(ByteOrder.LITTLE_ENDIAN);
      while (values.hasRemaining()) line.append(' ').append(values.getFloat());
      System.out.println(line);
    }
  }

  private Manifest.Builder readManifest() throws IOException {
    long length = read(0, 8).order(ByteOrder.LITTLE_ENDIAN).getLong();
    if (length < 0 || length > file.size() - 8) throw new IOException("the file is cut short");
    Struct.Builder header = Struct.newBuilder();
    JsonFormat.parser().merge(StandardCharsets.UTF_8.decode(read(8, (int) length)).toString(), header);
    Manifest.Builder manifest = Manifest.newBuilder().setModelId(path);
    header
        .getFieldsMap()
        .forEach(
            (name, value) -> {
              Map<String, Value> entry = value.getStructValue().getFieldsMap();
              if (name.equals("__metadata__")) {
                entry.forEach((key, text) -> manifest.putMetadata(key, text.getStringValue()));
                return;
              }
              TensorInfo.Builder tensor = manifest.addTensorsBuilder().setName(name);
              String dtype = entry.get("dtype").getStringValue();
              if (DTYPES.contains(dtype)) tensor.setDtype(Dtype.valueOf("DTYPE_" + dtype));
              for (Value extent : entry.get("shape").getListValue().getValuesList()) {
                tensor.addShape((long) extent.getNumberValue());
              }
              begins.put(name, 8 + length + (long) entry.get("data_offsets").getListValue().getValues(0).getNumberValue());
            });
    return manifest;
  }

  private ByteBuffer read(long begin, int length) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(length);
    while (bytes.hasRemaining()) {
      if (file.read(bytes, begin + bytes.position()) < 0) throw new IOException("the file is cut short");
    }
    return bytes.flip();
  }

  /** Sends messages while gRPC has room for them: otherwise the whole layer would wait in memory. */
  private final class Sender implements ClientResponseObserver<EmbedModelRequest, EmbedModelResponse> {
    final CompletableFuture<EmbedModelResponse> answer = new CompletableFuture<>();
    private final PlannedModel plan;
    private final MessageDigest digest = newDigest();
    private final MessageDigest segment = newDigest();
    private int tensor;
    private long at;
    private boolean done;

    Sender(PlannedModel plan) {
      this.plan = plan;
    }

    @Override
    public void beforeStart(ClientCallStreamObserver<EmbedModelRequest> call) {
      EmbedModelHeader.Builder header =
          EmbedModelHeader.newBuilder()
              .setModelId(path)
              .setUploadId(plan.getUploadId())
              .addAllTensors(plan.getTensorsList())
              .setRouted(plan.getRouted());
      plan.getTargetsList().forEach(target -> header.addSpaceIds(target.getSpaceId()));
      boolean[] opened = {false};
      call.setOnReadyHandler(
          () -> {
            try {
              if (!opened[0]) call.onNext(EmbedModelRequest.newBuilder().setHeader(header).build());
              opened[0] = true;
              while (call.isReady() && !done) sendNext(call);
            } catch (IOException e) {
              done = true;
              answer.completeExceptionally(e);
              call.cancel("the file cannot be read", e);
            }
          });
    }

    private void sendNext(ClientCallStreamObserver<EmbedModelRequest> call) throws IOException {
      if (tensor == plan.getTensorsCount()) {
        long total = plan.getTensorsList().stream().mapToLong(range -> range.getEndByte() - range.getBeginByte()).sum();
        EmbedModelFooter.Builder footer =
            EmbedModelFooter.newBuilder().setTotalBytes(total).setDigest(ByteString.copyFrom(digest.digest()));
        call.onNext(EmbedModelRequest.newBuilder().setFooter(footer).build());
        call.onCompleted();
        done = true;
        return;
      }
      TensorRange wanted = plan.getTensors(tensor);
      long length = wanted.getEndByte() - wanted.getBeginByte();
      if (at == length) {
        tensor++;
        at = 0;
        return;
      }
      // Chunks end where a segment does, so that each belongs to one.
      int size = (int) Math.min(Math.min(CHUNK_BYTES, length - at), SEGMENT_BYTES - at % SEGMENT_BYTES);
      ByteBuffer data = read(begins.get(wanted.getTensor().getName()) + wanted.getBeginByte() + at, size);
      EmbedModelChunk.Builder chunk =
          EmbedModelChunk.newBuilder().setTensorIndex(tensor).setOffset(at).setData(ByteString.copyFrom(data.duplicate()));
      call.onNext(EmbedModelRequest.newBuilder().setChunk(chunk).build());
      segment.update(data);
      at += size;
      if (at == length || at % SEGMENT_BYTES == 0) digest.update(segment.digest());
    }

    @Override
    public void onNext(EmbedModelResponse response) {
      answer.complete(response);
    }

    @Override
    public void onError(Throwable error) {
      answer.completeExceptionally(error);
    }

    @Override
    public void onCompleted() {}
  }

  private static MessageDigest newDigest() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (java.security.NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  /** The reason of a failed call is in google.rpc.ErrorInfo. */
  private static String toMessage(Throwable error) throws InvalidProtocolBufferException {
    Metadata trailers = Status.trailersFromThrowable(error);
    StatusOuterClass.Status details =
        trailers == null
            ? null
            : trailers.get(
                Metadata.Key.of(
                    "grpc-status-details-bin",
                    ProtoUtils.metadataMarshaller(StatusOuterClass.Status.getDefaultInstance())));
    if (details == null) {
      Throwable cause = error.getCause();
      return error.getMessage() + (cause == null ? "" : ": " + cause.getMessage());
    }
    for (Any detail : details.getDetailsList()) {
      if (detail.is(ErrorInfo.class)) return detail.unpack(ErrorInfo.class).getReason() + ": " + details.getMessage();
    }
    return details.getMessage();
  }

  private static void fail(ModelError error) {
    fail(error.getReason() + ": " + error.getMessage());
  }

  private static void fail(String message) {
    System.err.println(message);
    System.exit(1);
  }
}
