package probestream

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	pb "probestream.dev/probestream/gen/probestream/v1"
)

const (
	// Bytes of manifests in one call, about; servers take messages of 4 MiB.
	planBytes = 2 << 20
	// Metadata of a file travels for routing; training logs, which are longer, do not.
	maxMetadataBytes = 1024
	// Longer claims the server leaves out (Limits.max_claim_bytes).
	maxClaimBytes = 4096
)

// Keys under which a file says how its LoRA layers are scaled, at any length up to 1 MiB.
var scaleKeys = map[string]bool{adapterConfigKey: true, "lora_adapter_metadata": true}

var wireDtypes = map[string]pb.Dtype{
	"F64": pb.Dtype_DTYPE_F64, "F32": pb.Dtype_DTYPE_F32, "F16": pb.Dtype_DTYPE_F16, "BF16": pb.Dtype_DTYPE_BF16,
	"F8_E4M3": pb.Dtype_DTYPE_F8_E4M3, "F8_E5M2": pb.Dtype_DTYPE_F8_E5M2,
}

// toManifest is what a model's header says, with all metadata that may matter.
func toManifest(m *openModel, id, uploadID string, experts []string) *pb.Manifest {
	manifest := &pb.Manifest{ModelId: id, UploadId: uploadID, Experts: experts, Metadata: map[string]string{}}
	for key, value := range m.metadata {
		if len(value) <= maxMetadataBytes || (scaleKeys[key] && len(value) <= maxConfigBytes) {
			manifest.Metadata[key] = value
		}
	}
	manifest.Tensors = make([]*pb.TensorInfo, len(m.tensors))
	for i, tensor := range m.tensors {
		manifest.Tensors[i] = &pb.TensorInfo{Name: tensor.name, Dtype: wireDtypes[tensor.dtype], Shape: tensor.shape}
	}
	return manifest
}

// fit cuts a manifest that the server would not take down to the tensors that may belong to a layer that some expert
// reads: DeepSeek-V3 in FP8 has 89,000 tensors.
func (c *Client) fit(ctx context.Context, manifest *pb.Manifest) error {
	limits, err := c.recentLimits(ctx)
	if err != nil {
		return err
	}
	if proto.Size(manifest) <= planBytes && len(manifest.Tensors) <= int(limits.GetMaxManifestTensors()) {
		return nil
	}
	list, err := c.Experts(ctx)
	if err != nil {
		return err
	}
	modules := map[string]bool{}
	for _, expert := range list.Experts {
		module := expert.GetLayer().GetModule()
		modules[module], modules[strings.TrimSuffix(module, ".weight")] = true, true
	}
	whole := len(manifest.Tensors)
	var kept []*pb.TensorInfo
	for _, tensor := range manifest.Tensors {
		if mayBelong(tensor.GetName(), modules) {
			kept = append(kept, tensor)
		}
	}
	if len(kept) == 0 {
		message := fmt.Sprintf("none of the %d tensors of %q belongs to a layer that the server's experts read", whole, manifest.ModelId)
		return fail(codes.NotFound, "LAYER_NOT_FOUND", message, "tensors", whole, "experts", len(list.Experts))
	}
	if manifest.Tensors = kept; proto.Size(manifest) > planBytes {
		for key := range manifest.Metadata {
			if !scaleKeys[key] {
				delete(manifest.Metadata, key)
			}
		}
	}
	return nil
}

// mayBelong says whether a tensor can be part of one of these modules: by the beginning of its name, or because it is an
// adapter's, whose names are many.
func mayBelong(name string, modules map[string]bool) bool {
	if modules[name] || strings.Contains(name, "lora") || strings.HasSuffix(name, ".alpha") {
		return true
	}
	for at := 0; at < len(name); at++ {
		if (name[at] == '.' || name[at] == '_') && modules[name[:at]] {
			return true
		}
	}
	return false
}

// outcome of a plan: either is nil.
type planned struct {
	model *pb.PlannedModel
	err   *Error
}

// plan asks for plans for many models, in as many calls as it takes. Its error is that of a call; what concerns one model
// is in that one's outcome.
func (c *Client) plan(ctx context.Context, manifests []*pb.Manifest) ([]planned, error) {
	limits, err := c.recentLimits(ctx)
	if err != nil {
		return nil, err
	}
	outcomes := make([]planned, len(manifests))
	var batch []int
	size := 0
	send := func() error {
		if len(batch) == 0 {
			return nil
		}
		request := &pb.PlanEmbeddingRequest{}
		for _, i := range batch {
			request.Manifests = append(request.Manifests, manifests[i])
		}
		answer, err := c.planOnce(ctx, request)
		if err != nil {
			return err
		}
		for at, plan := range answer.GetPlans() {
			if refused := plan.GetError(); refused != nil {
				outcomes[batch[at]].err = fromModelError(refused)
			} else {
				outcomes[batch[at]].model = plan.GetPlanned()
			}
		}
		batch, size = nil, 0
		return nil
	}
	for i, manifest := range manifests {
		if err := c.fit(ctx, manifest); err != nil {
			if ReasonOf(err) != "LAYER_NOT_FOUND" {
				return nil, err
			}
			outcomes[i].err = toError(err)
			continue
		}
		bytes := proto.Size(manifest)
		if len(batch) > 0 && (size+bytes > planBytes || len(batch) >= int(limits.GetMaxPlanModels())) {
			if err := send(); err != nil {
				return nil, err
			}
		}
		batch, size = append(batch, i), size+bytes
	}
	return outcomes, send()
}

func (c *Client) planOnce(ctx context.Context, request *pb.PlanEmbeddingRequest) (*pb.PlanEmbeddingResponse, error) {
	var answer *pb.PlanEmbeddingResponse
	err := c.callOnce(ctx, func(ctx context.Context) (err error) {
		answer, err = c.embedding.PlanEmbedding(ctx, request)
		return err
	})
	if err == nil && len(answer.GetPlans()) != len(request.GetManifests()) {
		message := fmt.Sprintf("%d plans came for %d models", len(answer.GetPlans()), len(request.GetManifests()))
		return nil, fail(codes.Internal, "INTERNAL", message)
	}
	return answer, err
}
