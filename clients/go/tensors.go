package probestream

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"unsafe"

	"google.golang.org/grpc/codes"
)

// Tensor is a tensor in memory.
type Tensor struct {
	// Name as a file would have it, for example "unet.mid_block.attn.to_out.0.lora.down.weight".
	Name string
	// Dtype as safetensors names it: "F32", "F16", "BF16", "F64", "F8_E4M3" or "F8_E5M2".
	Dtype string
	// Shape, outermost extent first; row-major.
	Shape []int
	// Data are the numbers, little endian.
	Data []byte
}

// Float32 is a tensor of float32 numbers. They are not copied, and must not change while the tensor is embedded.
func Float32(name string, shape []int, values []float32) Tensor {
	return Tensor{Name: name, Dtype: "F32", Shape: shape, Data: floatBytes(values)}
}

// Tensors is a model that lies in memory as arrays; names are those that a file would have. Metadata may be nil: what a
// file would say of itself, such as the text of PEFT's adapter_config.json under "peft.adapter_config".
func Tensors(name string, tensors []Tensor, metadata map[string]string) Model {
	return Model{location: name, open: func(context.Context) (*openModel, error) { return openTensors(name, tensors, metadata) }}
}

func openTensors(name string, tensors []Tensor, metadata map[string]string) (*openModel, error) {
	m := &openModel{location: name, places: map[string]place{}, metadata: metadata, identity: newID()}
	for _, tensor := range tensors {
		shape := make([]uint64, len(tensor.Shape))
		for i, extent := range tensor.Shape {
			if extent < 0 {
				return nil, shapeError(tensor, "which has an extent below 0")
			}
			shape[i] = uint64(extent)
		}
		length, fits := byteCount(tensor.Dtype, shape)
		if _, known := dtypeBits[tensor.Dtype]; !fits || !known || length != uint64(len(tensor.Data)) {
			return nil, shapeError(tensor, fmt.Sprintf("which does not fit its %d bytes of %q", len(tensor.Data), tensor.Dtype))
		}
		if _, twice := m.places[tensor.Name]; twice {
			message := fmt.Sprintf("%q has two tensors %q; names stand once", name, tensor.Name)
			return nil, fail(codes.InvalidArgument, "DUPLICATE", message, "tensor", tensor.Name)
		}
		m.tensors = append(m.tensors, tensorInfo{tensor.Name, tensor.Dtype, shape})
		m.places[tensor.Name] = place{memorySource(tensor.Data), 0, int64(len(tensor.Data))}
	}
	return m, nil
}

func shapeError(tensor Tensor, what string) error {
	message := fmt.Sprintf("tensor %q has the shape %v, %s", tensor.Name, tensor.Shape, what)
	return fail(codes.InvalidArgument, "SHAPE_MISMATCH", message, "tensor", tensor.Name)
}

// memorySource are the bytes of one tensor.
type memorySource []byte

func (s memorySource) name() string        { return "an array" }
func (s memorySource) size() int64         { return int64(len(s)) }
func (s memorySource) fingerprint() string { return "" }
func (s memorySource) close()              {}

func (s memorySource) stream(_ context.Context, begin, end int64) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(s[begin:end])), nil
}

var isLittleEndian = func() bool {
	one := uint16(1)
	return *(*byte)(unsafe.Pointer(&one)) == 1
}()

// floatBytes are the numbers as the wire has them: a view where the machine has them like that too.
func floatBytes(values []float32) []byte {
	if len(values) == 0 {
		return nil
	}
	if isLittleEndian {
		return unsafe.Slice((*byte)(unsafe.Pointer(&values[0])), 4*len(values))
	}
	data := make([]byte, 0, 4*len(values))
	for _, value := range values {
		bits := math.Float32bits(value)
		data = append(data, byte(bits), byte(bits>>8), byte(bits>>16), byte(bits>>24))
	}
	return data
}

// toFloats are the numbers of the wire, in a slice of their own.
func toFloats(data []byte) []float32 {
	values := make([]float32, len(data)/4)
	if isLittleEndian && len(values) > 0 {
		copy(unsafe.Slice((*byte)(unsafe.Pointer(&values[0])), 4*len(values)), data)
		return values
	}
	for i := range values {
		bits := uint32(data[4*i]) | uint32(data[4*i+1])<<8 | uint32(data[4*i+2])<<16 | uint32(data[4*i+3])<<24
		values[i] = math.Float32frombits(bits)
	}
	return values
}
