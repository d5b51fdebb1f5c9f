package probestream

import (
	"fmt"
	"math"
	"testing"
)

func TestMetadataMayBeOfAnyKindOfNumber(t *testing.T) {
	type style string
	for _, number := range []interface{}{8, int8(8), int32(8), int64(8), uint(8), uint8(8), uint64(8), float32(8), 8.0} {
		if wire, err := toWireValue(number); err != nil || wire.GetNumber() != 8 {
			t.Errorf("%T: %v, %v", number, wire, err)
		}
	}
	wire, err := toWireMetadata(map[string]interface{}{"text": "a", "style": style("b"), "truth": true})
	if got := fmt.Sprint(fromWireMetadata(wire)); err != nil || got != "map[style:b text:a truth:true]" {
		t.Errorf("%s, %v", got, err)
	}
	for _, other := range []interface{}{nil, []int{1}, math.NaN(), math.Inf(1), struct{}{}} {
		if _, err := toWireMetadata(map[string]interface{}{"a": other}); ReasonOf(err) != "FIELD_INVALID" {
			t.Errorf("%v: %v", other, err)
		}
	}
}
