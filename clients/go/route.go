package probestream

import (
	"context"

	"google.golang.org/grpc/codes"

	pb "probestream.dev/probestream/gen/probestream/v1"
)

// Where a model belongs.
const (
	// The first candidate serves it.
	Routed = pb.RouteDecision_ROUTE_DECISION_ROUTED
	// Only an upload tells.
	Undecided = pb.RouteDecision_ROUTE_DECISION_UNDECIDED
	// No candidate's tree accepts it.
	NoExpert = pb.RouteDecision_ROUTE_DECISION_NO_EXPERT
)

// Route says where a model belongs, as the contract has it: the decision, and candidates with the likeliest first.
type Route = pb.RouteModelResponse

// Bytes of a layer's beginning that a message has room for.
const maxPrefixBytes = 3 << 20

// Route says which expert would serve a model, by as little of its layer as it takes: its header, a twentieth of the
// layer, as much of it as a message holds. Experts restrict the candidates.
func (c *Client) Route(ctx context.Context, model Model, experts ...string) (*Route, error) {
	if model.open == nil {
		return nil, fail(codes.InvalidArgument, "FIELD_INVALID", "a Model that is empty; make one with Path, URL, Bytes, Reader or Tensors")
	}
	opened, err := model.open(ctx)
	if err != nil {
		return nil, toError(err)
	}
	defer opened.close()
	request := &pb.RouteModelRequest{Manifest: toManifest(opened, model.id(), "", experts)}
	if err := c.call(ctx, func(ctx context.Context) error { return c.fit(ctx, request.Manifest) }); err != nil {
		return nil, err
	}
	answer, err := c.routeOnce(ctx, request)
	var sent int64
	for attempt := 0; attempt < 2 && err == nil && answer.GetDecision() == Undecided && len(answer.GetTensors()) > 0; attempt++ {
		lengths, last := prefixLengths(answer, attempt == 1)
		if last <= sent {
			break
		}
		sent, request.Prefixes = last, nil
		for i, wanted := range answer.GetTensors() {
			name, begin := wanted.GetTensor().GetName(), int64(wanted.GetBeginByte())
			data, err := opened.read(ctx, name, begin, begin+lengths[i])
			if err != nil {
				return nil, err
			}
			request.Prefixes = append(request.Prefixes, &pb.TensorPrefix{Tensor: name, Data: data})
		}
		answer, err = c.routeOnce(ctx, request)
	}
	return answer, err
}

// prefixLengths are the bytes to send of each tensor: all of them, but of the last its beginning; that one's come second.
func prefixLengths(answer *pb.RouteModelResponse, whole bool) (lengths []int64, last int64) {
	room := int64(maxPrefixBytes)
	for _, wanted := range answer.GetTensors() {
		length := int64(wanted.GetEndByte() - wanted.GetBeginByte())
		lengths = append(lengths, length)
		room -= length
	}
	at := len(lengths) - 1
	last = lengths[at]
	room += last
	if !whole {
		last = min(last, int64(answer.GetPrefixBytes()))
	}
	last = min(last, room)
	lengths[at] = last
	return lengths, last
}

func (c *Client) routeOnce(ctx context.Context, request *pb.RouteModelRequest) (*Route, error) {
	var answer *pb.RouteModelResponse
	err := c.call(ctx, func(ctx context.Context) (err error) {
		answer, err = c.experts.RouteModel(ctx, request)
		return err
	})
	return answer, err
}
