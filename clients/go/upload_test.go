package probestream

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	pb "probestream.dev/probestream/gen/probestream/v1"
)

func TestAModelIsIndexedWithAllClaimsThatTheServerKeeps(t *testing.T) {
	metadata := map[string]string{"kept": strings.Repeat("a", 4096), "long": strings.Repeat("a", 4097), adapterConfigKey: "{}"}
	u := &upload{model: &openModel{metadata: metadata}, entry: &Index{ModelID: "m"}, plan: &pb.PlannedModel{}}
	header, err := u.header(nil)
	if err != nil {
		t.Fatal(err)
	}
	claims := header.GetIndex().GetClaims()
	if len(claims) != 2 || len(claims["kept"]) != 4096 || claims[adapterConfigKey] != "{}" {
		t.Errorf("%d claims are sent", len(claims))
	}
}

func TestAServerThatWantsWhatIsNotThereIsTold(t *testing.T) {
	header := `{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}`
	inFile, err := openBytes(file(header, 8))
	if err != nil {
		t.Fatal(err)
	}
	inMemory, err := openTensors("arrays", []Tensor{Float32("b", []int{1}, []float32{1})}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*openModel{inFile, inMemory} {
		for _, part := range [][2]int64{{0, 5}, {-1, 4}, {3, 2}, {1, math.MaxInt64}, {math.MinInt64, 4}} {
			if _, err := m.stream(context.Background(), "b", part[0], part[1]); ReasonOf(err) != "LAYER_NOT_FOUND" {
				t.Errorf("streaming %v of %s: %v", part, m.location, err)
			}
			if _, err := m.read(context.Background(), "b", part[0], part[1]); ReasonOf(err) != "LAYER_NOT_FOUND" {
				t.Errorf("reading %v of %s: %v", part, m.location, err)
			}
		}
		if _, err := m.read(context.Background(), "c", 0, 1); ReasonOf(err) != "LAYER_NOT_FOUND" {
			t.Errorf("another tensor of %s: %v", m.location, err)
		}
		if data, err := m.read(context.Background(), "b", 1, 4); err != nil || len(data) != 3 {
			t.Errorf("%s: %v", fmt.Sprint(data), err)
		}
	}
}
