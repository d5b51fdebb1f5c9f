package probestream

import (
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "probestream.dev/probestream/gen/probestream/v1"
)

// Record is one model in one space.
type Record struct {
	ModelID, SpaceID string
	// Representation, where it was asked for.
	Representation []float32
	// WeightsHash of the layer, and FileHash of the whole file by the client's word; empty if not known.
	WeightsHash, FileHash string
	// Tree that accepted the model; empty if none was asked. Base, by the user's word or else the file's.
	Tree, Base string
	// Metadata is what the user said of the model: strings, float64 numbers and bools.
	Metadata map[string]interface{}
	// Claims are what the model's file says of itself.
	Claims           map[string]string
	Created, Updated time.Time
}

func (r Record) toWire() (*pb.ModelRecord, *Error) {
	metadata, err := toWireMetadata(r.Metadata)
	if err != nil {
		return nil, err
	}
	wire := &pb.ModelRecord{
		ModelId: r.ModelID, SpaceId: r.SpaceID, Representation: append([]byte(nil), floatBytes(r.Representation)...),
		WeightsHash: r.WeightsHash, FileHash: r.FileHash, Tree: r.Tree, Base: r.Base, Metadata: metadata, Claims: r.Claims,
	}
	if len(r.Representation) == 0 {
		return nil, fail(codes.InvalidArgument, "FIELD_INVALID", "a record without a representation cannot be imported", "modelId", r.ModelID)
	}
	if !r.Created.IsZero() {
		wire.Created = timestamppb.New(r.Created)
	}
	if !r.Updated.IsZero() {
		wire.Updated = timestamppb.New(r.Updated)
	}
	return wire, nil
}

func toRecords(wire []*pb.ModelRecord) []Record {
	records := make([]Record, len(wire))
	for i, record := range wire {
		records[i] = *toRecord(record)
	}
	return records
}

func toRecord(wire *pb.ModelRecord) *Record {
	if wire == nil {
		return nil
	}
	record := &Record{
		ModelID: wire.GetModelId(), SpaceID: wire.GetSpaceId(), Representation: toFloats(wire.GetRepresentation()),
		WeightsHash: wire.GetWeightsHash(), FileHash: wire.GetFileHash(), Tree: wire.GetTree(), Base: wire.GetBase(),
		Metadata: fromWireMetadata(wire.GetMetadata()), Claims: wire.GetClaims(),
	}
	if wire.Created != nil {
		record.Created = wire.Created.AsTime()
	}
	if wire.Updated != nil {
		record.Updated = wire.Updated.AsTime()
	}
	return record
}
