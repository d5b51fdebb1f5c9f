// Embeds a small safetensors file by the generated stub alone: `embed HOST:PORT FILE [EXPERT]` prints, for each expert, its
// name and the numbers of the representation.
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>
#include <grpcpp/grpcpp.h>
#include <openssl/evp.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "probestream/v1/embedding_service.grpc.pb.h"

namespace v1 = probestream::v1;

namespace {

// What can be sent in one message and hashed at once; larger layers are cut at these.
constexpr size_t kChunkBytes = (1 << 20) - (4 << 10);
constexpr size_t kSegmentBytes = 8 << 20;

std::string Sha256(const std::string& data) {
  std::string digest(32, '\0');
  EVP_Digest(data.data(), data.size(), reinterpret_cast<unsigned char*>(digest.data()), nullptr, EVP_sha256(), nullptr);
  return digest;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("there is no file \"" + path + "\"; check the path");
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// Places the tensors of a file in the manifest, and where each begins in `begins`.
v1::Manifest ReadManifest(const std::string& file, std::map<std::string, size_t>* begins) {
  uint64_t length = 0;
  if (file.size() < sizeof length) throw std::runtime_error("the file is too short");
  std::memcpy(&length, file.data(), sizeof length);
  if (length > file.size() - sizeof length) throw std::runtime_error("the file is cut short");
  google::protobuf::Struct header;
  const auto parsed = google::protobuf::util::JsonStringToMessage(file.substr(sizeof length, length), &header);
  if (!parsed.ok()) throw std::runtime_error("the header is no JSON: " + parsed.ToString());
  static const std::map<std::string, v1::Dtype> dtypes = {
      {"F64", v1::DTYPE_F64},   {"F32", v1::DTYPE_F32},         {"F16", v1::DTYPE_F16},
      {"BF16", v1::DTYPE_BF16}, {"F8_E4M3", v1::DTYPE_F8_E4M3}, {"F8_E5M2", v1::DTYPE_F8_E5M2}};
  v1::Manifest manifest;
  for (const auto& [name, value] : header.fields()) {
    const auto& entry = value.struct_value().fields();
    if (name == "__metadata__") {
      for (const auto& [key, text] : entry) (*manifest.mutable_metadata())[key] = text.string_value();
      continue;
    }
    v1::TensorInfo* tensor = manifest.add_tensors();
    tensor->set_name(name);
    const auto dtype = dtypes.find(entry.at("dtype").string_value());
    if (dtype != dtypes.end()) tensor->set_dtype(dtype->second);
    for (const auto& extent : entry.at("shape").list_value().values()) {
      tensor->add_shape(static_cast<uint64_t>(extent.number_value()));
    }
    const double offset = entry.at("data_offsets").list_value().values(0).number_value();
    (*begins)[name] = sizeof length + length + static_cast<size_t>(offset);
  }
  return manifest;
}

// The error of a call: the reason is in google.rpc.ErrorInfo.
std::runtime_error ToError(const grpc::Status& status) {
  google::rpc::Status details;
  details.ParseFromString(status.error_details());
  for (const auto& detail : details.details()) {
    google::rpc::ErrorInfo info;
    if (detail.UnpackTo(&info)) return std::runtime_error(info.reason() + ": " + status.error_message());
  }
  return std::runtime_error(status.error_message());
}

std::runtime_error ToError(const v1::ModelError& error) {
  return std::runtime_error(v1::ErrorReason_Name(error.reason()) + ": " + error.message());
}

void Embed(const std::string& target, const std::string& path, const std::string& expert) {
  const std::string file = ReadFile(path);
  std::map<std::string, size_t> begins;
  v1::PlanEmbeddingRequest ask;
  v1::Manifest* manifest = ask.add_manifests();
  *manifest = ReadManifest(file, &begins);
  manifest->set_model_id(path);
  if (!expert.empty()) manifest->add_experts(expert);

  const auto stub = v1::EmbeddingService::NewStub(grpc::CreateChannel(target, grpc::InsecureChannelCredentials()));
  grpc::ClientContext planning;
  planning.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  v1::PlanEmbeddingResponse plans;
  if (const auto status = stub->PlanEmbedding(&planning, ask, &plans); !status.ok()) throw ToError(status);
  if (plans.plans(0).has_error()) throw ToError(plans.plans(0).error());
  const v1::PlannedModel& plan = plans.plans(0).planned();

  grpc::ClientContext sending;
  v1::EmbedModelResponse answer;
  const auto writer = stub->EmbedModel(&sending, &answer);
  v1::EmbedModelRequest message;
  v1::EmbedModelHeader* header = message.mutable_header();
  header->set_model_id(path);
  header->set_upload_id(plan.upload_id());
  *header->mutable_tensors() = plan.tensors();
  for (const auto& served : plan.targets()) header->add_space_ids(served.space_id());
  header->set_routed(plan.routed());
  // A write that fails means that the server has answered: its status says why.
  bool open = writer->Write(message);
  std::string digests;
  uint64_t total = 0;
  for (int i = 0; i < plan.tensors_size(); i++) {
    const auto& wanted = plan.tensors(i);
    const size_t begin = begins.at(wanted.tensor().name()) + wanted.begin_byte();
    const size_t length = wanted.end_byte() - wanted.begin_byte();
    if (begin + length > file.size()) throw std::runtime_error("the file is cut short");
    for (size_t at = 0; open && at < length; at += kChunkBytes) {
      v1::EmbedModelChunk* chunk = message.mutable_chunk();
      chunk->set_tensor_index(i);
      chunk->set_offset(at);
      chunk->set_data(file.data() + begin + at, std::min(kChunkBytes, length - at));
      open = writer->Write(message);
    }
    for (size_t at = 0; at < length; at += kSegmentBytes) {
      digests += Sha256(file.substr(begin + at, std::min(kSegmentBytes, length - at)));
    }
    total += length;
  }
  message.mutable_footer()->set_total_bytes(total);
  message.mutable_footer()->set_digest(Sha256(digests));
  if (open) writer->Write(message);
  writer->WritesDone();
  if (const auto status = writer->Finish(); !status.ok()) throw ToError(status);
  if (answer.results(0).has_error()) throw ToError(answer.results(0).error());
  for (const auto& embedding : answer.results(0).embedding().embeddings()) {
    std::cout << embedding.expert_name();
    for (size_t at = 0; at < embedding.representation().size(); at += sizeof(float)) {
      float value = 0;
      std::memcpy(&value, embedding.representation().data() + at, sizeof value);
      std::cout << ' ' << value;
    }
    std::cout << '\n';
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: embed HOST:PORT FILE [EXPERT]\n";
    return 2;
  }
  try {
    std::cout.precision(9);
    Embed(argv[1], argv[2], argc > 3 ? argv[3] : "");
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
