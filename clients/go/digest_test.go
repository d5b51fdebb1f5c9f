package probestream

import (
	"bytes"
	"context"
	"crypto/sha256"
	"math/rand"
	"testing"

	"google.golang.org/protobuf/proto"

	pb "probestream.dev/probestream/gen/probestream/v1"
)

func TestTheDigestIsThatOfSegmentsHoweverItsBytesAreCut(t *testing.T) {
	data := make([]byte, 2*segmentBytes+12345)
	rand.New(rand.NewSource(1)).Read(data)
	all := sha256.New()
	var digests []byte
	for at := 0; at < len(data); at += segmentBytes {
		sum := sha256.Sum256(data[at:min(at+segmentBytes, len(data))])
		digests = append(digests, sum[:]...)
	}
	all.Write(digests)
	for _, cut := range []int{defaultChunkBytes, 65537, segmentBytes, len(data)} {
		digest := newUploadDigest()
		for at := 0; at < len(data); at += cut {
			digest.add(data[at:min(at+cut, len(data))])
		}
		digest.endRange()
		if !bytes.Equal(digest.sum(), all.Sum(nil)) {
			t.Errorf("another digest in pieces of %d", cut)
		}
	}
	resumed := newUploadDigest()
	resumed.addSegments(digests[:2*sha256.Size])
	resumed.add(data[2*segmentBytes:])
	resumed.endRange()
	if !bytes.Equal(resumed.sum(), all.Sum(nil)) {
		t.Error("another digest when it is resumed")
	}
	equal, err := haveDigests(context.Background(), bytes.NewReader(data[:2*segmentBytes]), digests[:2*sha256.Size])
	if err != nil || !equal {
		t.Errorf("segments are not recognised: %v", err)
	}
	data[5] ^= 1
	if equal, _ = haveDigests(context.Background(), bytes.NewReader(data[:2*segmentBytes]), digests[:2*sha256.Size]); equal {
		t.Error("a changed segment is taken for the same")
	}
}

func TestAChunkIsEncodedAsTheGeneratedCodeDoes(t *testing.T) {
	random := rand.New(rand.NewSource(2))
	for i := 0; i < 200; i++ {
		tensor, offset, length := random.Intn(300)*random.Intn(2), random.Int63n(1<<40)*random.Int63n(2), 1+random.Intn(1<<uint(random.Intn(16)))
		message, data := newChunk(tensor, offset, length)
		random.Read(data)
		chunk := &pb.EmbedModelChunk{TensorIndex: uint32(tensor), Offset: uint64(offset), Data: data}
		expected, err := proto.MarshalOptions{Deterministic: true}.Marshal(&pb.EmbedModelRequest{Part: &pb.EmbedModelRequest_Chunk{Chunk: chunk}})
		if err != nil || !bytes.Equal(message, expected) {
			t.Fatalf("tensor %d, offset %d, %d bytes: %x is not %x (%v)", tensor, offset, length, message[:16], expected[:16], err)
		}
	}
}

func TestFloatsComeBackAsTheyWere(t *testing.T) {
	values := []float32{0, 1, -2.5, 3e38}
	if got := toFloats(floatBytes(values)); len(got) != 4 || got[2] != -2.5 || got[3] != 3e38 {
		t.Errorf("%v came back as %v", values, got)
	}
	if len(toFloats(nil)) != 0 || floatBytes(nil) != nil {
		t.Error("nothing came back as something")
	}
}
