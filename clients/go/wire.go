package probestream

import (
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// rawMessage is a message that is encoded already.
type rawMessage []byte

// rawCodec sends raw messages as they are, so that a chunk is read from its file straight into the message that travels.
// gRPC keeps a message until it is written out: each has a buffer of its own.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(message interface{}) ([]byte, error) {
	switch message := message.(type) {
	case rawMessage:
		return message, nil
	case proto.Message:
		return proto.Marshal(message)
	}
	return nil, fmt.Errorf("%T is no message", message)
}

func (rawCodec) Unmarshal(data []byte, message interface{}) error {
	if message, is := message.(proto.Message); is {
		return proto.Unmarshal(data, message)
	}
	return fmt.Errorf("%T is no message", message)
}

var uploadStream = &grpc.StreamDesc{StreamName: "EmbedModel", ClientStreams: true}

const uploadMethod = "/probestream.v1.EmbeddingService/EmbedModel"

// Field numbers of EmbedModelRequest.chunk and of EmbedModelChunk.
const (
	chunkField       = 2
	tensorIndexField = 1
	offsetField      = 2
	dataField        = 3
)

// newChunk makes the message EmbedModelRequest{chunk} for so many bytes of data, which go into the slice of it that comes
// second.
func newChunk(tensor int, offset int64, length int) (rawMessage, []byte) {
	inner := protowire.SizeTag(dataField) + protowire.SizeBytes(length)
	if tensor != 0 {
		inner += protowire.SizeTag(tensorIndexField) + protowire.SizeVarint(uint64(tensor))
	}
	if offset != 0 {
		inner += protowire.SizeTag(offsetField) + protowire.SizeVarint(uint64(offset))
	}
	whole := protowire.SizeTag(chunkField) + protowire.SizeBytes(inner)
	message := make([]byte, 0, whole)
	message = protowire.AppendTag(message, chunkField, protowire.BytesType)
	message = protowire.AppendVarint(message, uint64(inner))
	if tensor != 0 {
		message = protowire.AppendTag(message, tensorIndexField, protowire.VarintType)
		message = protowire.AppendVarint(message, uint64(tensor))
	}
	if offset != 0 {
		message = protowire.AppendTag(message, offsetField, protowire.VarintType)
		message = protowire.AppendVarint(message, uint64(offset))
	}
	message = protowire.AppendTag(message, dataField, protowire.BytesType)
	message = protowire.AppendVarint(message, uint64(length))
	return message[:whole], message[len(message):whole]
}
