# Embeds a small safetensors file by the generated stub alone: `ruby -I GENERATED embed.rb HOST:PORT FILE [EXPERT]` prints,
# for each expert, its name and the numbers of the representation.
require "digest"
require "google/protobuf/well_known_types"
require "google/rpc/error_details_pb"
require "google/rpc/status_pb"
require "json"
require "probestream/v1/embedding_service_services_pb"

V1 = Probestream::V1
CHUNK_BYTES = (1 << 20) - (4 << 10)
SEGMENT_BYTES = 8 << 20
DTYPES = %w[F64 F32 F16 BF16 F8_E4M3 F8_E5M2].freeze

# The manifest of a file, and where each tensor begins in it.
def read_manifest(file, path, experts)
  length = file.read(8).to_s.unpack1("Q<")
  if length.nil? || length > file.size - 8
    abort "#{path} is cut short, or no safetensors file: it has #{file.size} bytes; download or save it again"
  end
  header = JSON.parse(file.read(length))
  metadata = header.delete("__metadata__") || {}
  begins = header.transform_values { |entry| 8 + length + entry["data_offsets"][0] }
  tensors = header.map do |name, entry|
    dtype = DTYPES.include?(entry["dtype"]) ? :"DTYPE_#{entry["dtype"]}" : :DTYPE_UNSPECIFIED
    V1::TensorInfo.new(name: name, dtype: dtype, shape: entry["shape"])
  end
  [V1::Manifest.new(model_id: path, tensors: tensors, metadata: metadata, experts: experts), begins]
end

# Header, chunks and footer, one after another as they are asked for: gRPC takes no more than it can send.
def messages(file, path, plan, begins)
  Enumerator.new do |out|
    header = V1::EmbedModelHeader.new(
      model_id: path, upload_id: plan.upload_id, tensors: plan.tensors.to_a,
      space_ids: plan.targets.map(&:space_id), routed: plan.routed
    )
    out << V1::EmbedModelRequest.new(header: header)
    digest = Digest::SHA256.new
    plan.tensors.each_with_index do |wanted, index|
      begin_at = begins.fetch(wanted.tensor.name) + wanted.begin_byte
      length = wanted.end_byte - wanted.begin_byte
      segment = Digest::SHA256.new
      at = 0
      while at < length
        # Chunks end where a segment does, so that each belongs to one.
        size = [CHUNK_BYTES, length - at, SEGMENT_BYTES - at % SEGMENT_BYTES].min
        data = file.pread(size, begin_at + at)
        out << V1::EmbedModelRequest.new(chunk: V1::EmbedModelChunk.new(tensor_index: index, offset: at, data: data))
        segment << data
        at += size
        next unless at == length || (at % SEGMENT_BYTES).zero?
        digest << segment.digest
        segment.reset
      end
    end
    total = plan.tensors.sum { |wanted| wanted.end_byte - wanted.begin_byte }
    out << V1::EmbedModelRequest.new(footer: V1::EmbedModelFooter.new(total_bytes: total, digest: digest.digest))
  end
end

# The reason of a failed call is in google.rpc.ErrorInfo.
def reason_of(error)
  details = Google::Rpc::Status.decode(error.metadata["grpc-status-details-bin"].to_s).details
  details.find { |any| any.is(Google::Rpc::ErrorInfo) }&.unpack(Google::Rpc::ErrorInfo)&.reason
end

target, path, *experts = ARGV
abort "usage: embed.rb HOST:PORT FILE [EXPERT]" if path.nil?
begin
  File.open(path, "rb") do |file|
    manifest, begins = read_manifest(file, path, experts)
    stub = V1::EmbeddingService::Stub.new(target, :this_channel_is_insecure)
    request = V1::PlanEmbeddingRequest.new(manifests: [manifest])
    planned = stub.plan_embedding(request, deadline: Time.now + 60).plans[0]
    abort "#{planned.error.reason}: #{planned.error.message}" if planned.error
    result = stub.embed_model(messages(file, path, planned.planned, begins)).results[0]
    abort "#{result.error.reason}: #{result.error.message}" if result.error
    result.embedding.embeddings.each do |embedding|
      puts [embedding.expert_name, *embedding.representation.unpack("e*")].join(" ")
    end
  end
rescue GRPC::BadStatus => e
  abort "#{reason_of(e)}: #{e.details}"
rescue JSON::ParserError
  abort "#{path} is no safetensors file, or damaged: its header is no JSON; download or save it again"
rescue SystemCallError => e
  abort e.message
end
