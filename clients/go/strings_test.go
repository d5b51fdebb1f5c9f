package probestream

import (
	"fmt"
	"testing"
)

func TestHitsAndLabelsPrintTheirNumbers(t *testing.T) {
	high, low := 0.9891, -0.25
	hits := []Hit{{ModelID: "one", Score: &high, Cosine: low}, {ModelID: "two", Cosine: high}}
	if said := fmt.Sprint(hits); said != "[one score 0.989 cosine -0.250 two cosine 0.989]" {
		t.Error(said)
	}
	labels := []Label{{Label: "a", Probability: &high, Cosine: &low}, {Label: "b", Probability: &low}, {Label: "c"}}
	if said := fmt.Sprint(labels); said != "[a probability 0.989 cosine -0.250 b probability -0.250 c]" {
		t.Error(said)
	}
}
