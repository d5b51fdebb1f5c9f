package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"os"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"probestream.dev/probestream"
	pb "probestream.dev/probestream/gen/probestream/v1"
)

type modelSource struct {
	Path   string `json:"path"`
	URL    string `json:"url"`
	Bytes  string `json:"bytes"`
	Arrays string `json:"arrays"`
	ID     string `json:"id"`
}

func (s modelSource) toModel() probestream.Model {
	var model probestream.Model
	switch {
	case s.URL != "":
		model = probestream.URL(s.URL)
	case s.Bytes != "":
		model = probestream.Bytes(s.Bytes, read(s.Bytes))
	case s.Arrays != "":
		model = probestream.Tensors(s.Arrays, readTensors(read(s.Arrays)), nil)
	default:
		model = probestream.Path(s.Path)
	}
	model.ID = s.ID
	return model
}

func read(path string) []byte {
	data, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	return data
}

// readTensors is what a caller does who has arrays in memory.
func readTensors(file []byte) []probestream.Tensor {
	begin := 8 + binary.LittleEndian.Uint64(file)
	var header map[string]json.RawMessage
	decode(file[8:begin], &header)
	var tensors []probestream.Tensor
	for name, raw := range header {
		var entry struct {
			Dtype   string    `json:"dtype"`
			Shape   []int     `json:"shape"`
			Offsets [2]uint64 `json:"data_offsets"`
		}
		if name == "__metadata__" {
			continue
		}
		decode(raw, &entry)
		data := file[begin+entry.Offsets[0] : begin+entry.Offsets[1]]
		tensors = append(tensors, probestream.Tensor{Name: name, Dtype: entry.Dtype, Shape: entry.Shape, Data: data})
	}
	return tensors
}

func embed(d *driver, ctx context.Context, raw json.RawMessage) (object, error) {
	var args struct {
		Sources []modelSource `json:"sources"`
		Experts []string      `json:"experts"`
		Texts   [][]float32   `json:"texts"`
		Index   *struct {
			ModelID  string                 `json:"model_id"`
			Metadata map[string]interface{} `json:"metadata"`
			FileHash string                 `json:"file_hash"`
			Base     string                 `json:"base"`
			Fill     bool                   `json:"fill"`
		} `json:"index"`
		CancelAfterBytes *int64 `json:"cancel_after_bytes"`
		DeadlineMs       int64  `json:"deadline_ms"`
	}
	decode(raw, &args)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if args.DeadlineMs > 0 {
		var end context.CancelFunc
		ctx, end = context.WithTimeout(ctx, time.Duration(args.DeadlineMs)*time.Millisecond)
		defer end()
	}
	var models []probestream.Model
	for _, source := range args.Sources {
		model := source.toModel()
		if args.Index != nil {
			model.Index = &probestream.Index{
				ModelID: args.Index.ModelID, Metadata: args.Index.Metadata, FileHash: args.Index.FileHash,
				Base: args.Index.Base, Fill: args.Index.Fill,
			}
		}
		models = append(models, model)
	}
	calls, sent := 0, int64(0)
	results, err := d.client.EmbedMany(ctx, models, &probestream.EmbedOptions{
		Experts: args.Experts,
		Texts:   args.Texts,
		Progress: func(p probestream.Progress) {
			calls, sent = calls+1, p.BytesSent
			if args.CancelAfterBytes != nil && sent >= *args.CancelAfterBytes {
				cancel()
			}
		},
	})
	if err != nil {
		return nil, err
	}
	out := []object{}
	for _, result := range results {
		if result.Err != nil {
			out = append(out, object{"model_id": result.ModelID, "error": toError(result.Err)})
			continue
		}
		e := result.Embedding
		embeddings := []object{}
		for _, one := range e.Experts {
			embeddings = append(embeddings, object{
				"space_id": one.SpaceID, "expert_name": one.ExpertName, "representation": one.Representation,
				"text_cosines": one.TextCosines, "label_logits": one.LabelLogits,
				"label_probabilities": one.LabelProbabilities, "labels": texts(one.Labels),
			})
		}
		out = append(out, object{
			"model_id": result.ModelID, "embeddings": embeddings, "bytes_received": e.BytesReceived,
			"bytes_total": e.BytesTotal, "weights_hash": e.WeightsHash, "indexed_id": e.IndexedID,
		})
	}
	return object{"results": out, "progress": object{"calls": calls, "bytes_sent": sent}}, nil
}

func texts(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// rawEmbed is the bare generated stub.
func rawEmbed(d *driver, ctx context.Context, raw json.RawMessage) (object, error) {
	var args struct {
		Manifest json.RawMessage   `json:"manifest"`
		Messages []json.RawMessage `json:"messages"`
	}
	decode(raw, &args)
	manifest := &pb.Manifest{}
	if err := protojson.Unmarshal(args.Manifest, manifest); err != nil {
		panic(err)
	}
	conn, err := grpc.Dial(d.target, grpc.WithInsecure())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	stub := pb.NewEmbeddingServiceClient(conn)
	plans, err := stub.PlanEmbedding(ctx, &pb.PlanEmbeddingRequest{Manifests: []*pb.Manifest{manifest}})
	if err != nil {
		return nil, fromStatus(err)
	}
	if refused := plans.GetPlans()[0].GetError(); refused != nil {
		return nil, fromModelError(refused)
	}
	stream, err := stub.EmbedModel(ctx)
	if err != nil {
		return nil, fromStatus(err)
	}
	for _, message := range args.Messages {
		if stream.Send(toMessage(message, plans.GetPlans()[0].GetPlanned(), manifest.GetModelId())) != nil {
			break
		}
	}
	answer, err := stream.CloseAndRecv()
	if err != nil {
		return nil, fromStatus(err)
	}
	results := []object{}
	for _, result := range answer.GetResults() {
		if refused := result.GetError(); refused != nil {
			results = append(results, object{"model_id": result.GetModelId(), "error": toError(fromModelError(refused))})
			continue
		}
		embeddings := []object{}
		for _, one := range result.GetEmbedding().GetEmbeddings() {
			values := make([]float32, len(one.GetRepresentation())/4)
			if err := binary.Read(strings.NewReader(string(one.GetRepresentation())), binary.LittleEndian, values); err != nil {
				panic(err)
			}
			embeddings = append(embeddings, object{"space_id": one.GetSpaceId(), "expert_name": one.GetExpertName(), "representation": values})
		}
		results = append(results, object{"model_id": result.GetModelId(), "embeddings": embeddings})
	}
	return object{"results": results, "stopped_early": answer.GetStoppedEarly()}, nil
}

// toMessage is a message as it is written, its header filled from the plan where it says nothing else.
func toMessage(raw json.RawMessage, plan *pb.PlannedModel, modelID string) *pb.EmbedModelRequest {
	message := &pb.EmbedModelRequest{}
	if err := protojson.Unmarshal(raw, message); err != nil {
		panic(err)
	}
	header := message.GetHeader()
	if header == nil {
		return message
	}
	var written struct{ Header map[string]json.RawMessage }
	decode(raw, &written)
	fill := func(name string, how func()) {
		if _, said := written.Header[name]; !said {
			how()
		}
	}
	fill("model_id", func() { header.ModelId = modelID })
	fill("upload_id", func() { header.UploadId = plan.GetUploadId() })
	fill("tensors", func() { header.Tensors = plan.GetTensors() })
	fill("routed", func() { header.Routed = plan.GetRouted() })
	fill("space_ids", func() {
		for _, target := range plan.GetTargets() {
			header.SpaceIds = append(header.SpaceIds, target.GetSpaceId())
		}
	})
	fill("start_offsets", func() {
		for _, start := range plan.GetStarts() {
			header.StartOffsets = append(header.StartOffsets, start.GetOffset())
		}
	})
	return message
}

func fromStatus(err error) error {
	st := status.Convert(err)
	own := &probestream.Error{Code: st.Code(), Message: st.Message()}
	for _, detail := range st.Details() {
		if info, is := detail.(*errdetails.ErrorInfo); is {
			own.Reason, own.Metadata = info.GetReason(), info.GetMetadata()
		}
	}
	return own
}

func fromModelError(e *pb.ModelError) error {
	return &probestream.Error{
		Code: codes.Code(e.GetCode()), Reason: strings.TrimPrefix(e.GetReason().String(), "ERROR_REASON_"),
		Message: e.GetMessage(), Metadata: e.GetMetadata(),
	}
}
