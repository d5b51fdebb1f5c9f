package probestream

import (
	"fmt"
	"math"
	"reflect"
	"time"

	"google.golang.org/grpc/codes"

	pb "probestream.dev/probestream/gen/probestream/v1"
)

// Embedding is what the server makes of one model.
type Embedding struct {
	// Experts have a representation each; of a routed model one alone.
	Experts []ExpertEmbedding
	// BytesReceived in this call, and BytesTotal that the representation rests on, weights only.
	BytesReceived, BytesTotal int64
	// RowsProjected of stored matrices in this call.
	RowsProjected int64
	// Time from header to result.
	Time time.Duration
	// WeightsHash is the SHA-256, lower-case hexadecimal, of the layer's segment digests, as the server computed it.
	WeightsHash string
	// IndexedID under which the model is in the catalogue now; empty if it was not to be indexed.
	IndexedID string
}

// Representation of the first expert: the only one, if one was named or chosen.
func (e *Embedding) Representation() []float32 {
	if len(e.Experts) == 0 {
		return nil
	}
	return e.Experts[0].Representation
}

// ExpertEmbedding is the result of one expert.
type ExpertEmbedding struct {
	// SpaceID of the representation. Two compare only if it is equal.
	SpaceID string
	// ExpertName, for people.
	ExpertName string
	// Representation e.
	Representation []float32
	// TextCosines with each of EmbedOptions.Texts, of zero-shot experts.
	TextCosines []float32
	// LabelLogits and LabelProbabilities per label of Labels, of classification experts; Labels is empty if it names none.
	LabelLogits, LabelProbabilities []float32
	Labels                          []string
	// Tree says how the model stands to the expert's Model Tree; nil if the expert was not calibrated.
	Tree *pb.TreeMatch
}

func toEmbedding(from *pb.ModelEmbedding) *Embedding {
	e := &Embedding{
		BytesReceived: int64(from.GetBytesReceived()),
		BytesTotal:    int64(from.GetBytesTotal()),
		RowsProjected: int64(from.GetRowsProjected()),
		Time:          from.GetTimings().GetTotal().AsDuration(),
		WeightsHash:   from.GetWeightsHash(),
		IndexedID:     from.GetIndexedId(),
	}
	for _, one := range from.GetEmbeddings() {
		e.Experts = append(e.Experts, ExpertEmbedding{
			SpaceID:            one.GetSpaceId(),
			ExpertName:         one.GetExpertName(),
			Representation:     toFloats(one.GetRepresentation()),
			TextCosines:        toFloats(one.GetTextCosines()),
			LabelLogits:        toFloats(one.GetLabelLogits()),
			LabelProbabilities: toFloats(one.GetLabelProbabilities()),
			Labels:             one.GetLabels(),
			Tree:               one.GetTree(),
		})
	}
	return e
}

func toMatrix(rows [][]float32) (*pb.FloatMatrix, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	columns := len(rows[0])
	values := make([]float32, 0, len(rows)*columns)
	for i, row := range rows {
		if len(row) != columns {
			message := fmt.Sprintf("text vector %d has %d numbers, the first one %d; all must have as many", i, len(row), columns)
			return nil, fail(codes.InvalidArgument, "FIELD_INVALID", message)
		}
		values = append(values, row...)
	}
	return &pb.FloatMatrix{Data: floatBytes(values), Rows: uint32(len(rows)), Columns: uint32(columns)}, nil
}

func toWireMetadata(metadata map[string]interface{}) (map[string]*pb.MetadataValue, *Error) {
	wire := make(map[string]*pb.MetadataValue, len(metadata))
	for name, value := range metadata {
		converted, err := toWireValue(value)
		if err != nil {
			message := fmt.Sprintf("metadata %q: %v", name, err)
			return nil, fail(codes.InvalidArgument, "FIELD_INVALID", message, "field", name)
		}
		wire[name] = converted
	}
	return wire, nil
}

func toWireValue(value interface{}) (*pb.MetadataValue, error) {
	switch given := reflect.ValueOf(value); given.Kind() {
	case reflect.String:
		return &pb.MetadataValue{Kind: &pb.MetadataValue_Text{Text: given.String()}}, nil
	case reflect.Bool:
		return &pb.MetadataValue{Kind: &pb.MetadataValue_Truth{Truth: given.Bool()}}, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return toWireNumber(float64(given.Int())), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return toWireNumber(float64(given.Uint())), nil
	case reflect.Float32, reflect.Float64:
		if number := given.Float(); !math.IsNaN(number) && !math.IsInf(number, 0) {
			return toWireNumber(number), nil
		}
		return nil, fmt.Errorf("%v is no finite number", value)
	}
	return nil, fmt.Errorf("a value of the type %T is neither a string, a number nor a bool", value)
}

func toWireNumber(number float64) *pb.MetadataValue {
	return &pb.MetadataValue{Kind: &pb.MetadataValue_Number{Number: number}}
}

func fromWireMetadata(wire map[string]*pb.MetadataValue) map[string]interface{} {
	metadata := make(map[string]interface{}, len(wire))
	for name, value := range wire {
		switch kind := value.GetKind().(type) {
		case *pb.MetadataValue_Text:
			metadata[name] = kind.Text
		case *pb.MetadataValue_Number:
			metadata[name] = kind.Number
		case *pb.MetadataValue_Truth:
			metadata[name] = kind.Truth
		}
	}
	return metadata
}
