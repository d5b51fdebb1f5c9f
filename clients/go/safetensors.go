package probestream

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"sort"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
)

const (
	// As in the reference implementation: https://github.com/huggingface/safetensors, MAX_HEADER_SIZE.
	maxHeaderBytes = 100_000_000
	maxDimensions  = 16
	lengthBytes    = 8
	// What is read first: the header of most LoRA files.
	prefixBytes = 128 << 10
)

// Bits per element of every type that safetensors has.
var dtypeBits = map[string]uint64{
	"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E5M2FNUZ": 8,
	"F8_E4M3FNUZ": 8, "F8_E8M0": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
	"C64": 64, "F64": 64, "I64": 64, "U64": 64,
}

type storedTensor struct {
	tensorInfo
	begin, end int64
}

type safetensorsHeader struct {
	// In the order of their bytes.
	tensors  []storedTensor
	metadata map[string]string
	digest   [sha256.Size]byte
}

// readHeader reads and checks the header of a safetensors file, which may come from a stranger. Its length is checked
// against the file's before anything is allocated.
func readHeader(ctx context.Context, from source) (*safetensorsHeader, error) {
	first, err := readRange(ctx, from, 0, min(from.size(), prefixBytes))
	if err != nil {
		return nil, err
	}
	if err := assertFormat(first, from.name()); err != nil {
		return nil, err
	}
	if len(first) < lengthBytes {
		return nil, malformed("%q has %d bytes; a safetensors file starts with 8 bytes of header length. It is empty, cut short or no safetensors file: download or save it again.", from.name(), len(first))
	}
	length := binary.LittleEndian.Uint64(first)
	if length > maxHeaderBytes {
		message := fmt.Sprintf("The header of %q claims %d bytes; at most %d are allowed. The file is damaged or no safetensors file.", from.name(), length, maxHeaderBytes)
		return nil, fail(codes.ResourceExhausted, "LIMIT_EXCEEDED", message, "headerBytes", length, "maxHeaderBytes", maxHeaderBytes)
	}
	end := lengthBytes + int64(length)
	if missing := end - from.size(); missing > 0 {
		return nil, malformed("The header of %q has %d bytes, but the file ends %d bytes before its end: the file is cut short or no safetensors file.", from.name(), length, missing)
	}
	if end > int64(len(first)) {
		rest, err := readRange(ctx, from, int64(len(first)), end)
		if err != nil {
			return nil, err
		}
		first = append(first, rest...)
	}
	header, err := parseHeader(first[lengthBytes:end], end, from.size(), from.name())
	if err != nil {
		return nil, err
	}
	header.digest = sha256.Sum256(first[:end])
	return header, nil
}

// parseHeader parses the text of a header. Every tensor must have a known place in the file, as long as its shape and
// type ask for, without gaps, overlaps or bytes left over.
func parseHeader(text []byte, headerEnd, fileSize int64, name string) (*safetensorsHeader, error) {
	if len(text) == 0 || text[0] != '{' {
		return nil, malformed("The header of %q does not start with \"{\"; the file is no safetensors file.", name)
	}
	if !utf8.Valid(text) {
		return nil, malformed("The header of %q is not UTF-8; the file is damaged.", name)
	}
	header := &safetensorsHeader{}
	seen := map[string]bool{}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if _, err := decoder.Token(); err != nil {
		return nil, malformed("The header of %q is no JSON: %v.", name, err)
	}
	for decoder.More() {
		token, err := decoder.Token()
		key, isText := token.(string)
		if err != nil || !isText {
			return nil, malformed("The header of %q is no JSON: %v.", name, err)
		}
		if seen[key] {
			return nil, malformed("The header of %q has %q twice.", name, key)
		}
		seen[key] = true
		if key == "__metadata__" {
			if err := decoder.Decode(&header.metadata); err != nil {
				return nil, malformed("__metadata__ of %q has a value that is no text; all must be: %v.", name, err)
			}
			continue
		}
		tensor, err := decodeTensor(decoder, key, headerEnd, name)
		if err != nil {
			return nil, err
		}
		header.tensors = append(header.tensors, tensor)
	}
	if _, err := decoder.Token(); err != nil || len(bytes.TrimSpace(text[decoder.InputOffset():])) > 0 {
		return nil, malformed("The header of %q does not end where its JSON does; the file is damaged.", name)
	}
	sort.SliceStable(header.tensors, func(i, j int) bool {
		a, b := header.tensors[i], header.tensors[j]
		return a.begin < b.begin || (a.begin == b.begin && a.end < b.end)
	})
	return header, assertLayout(header.tensors, headerEnd, fileSize, name)
}

func decodeTensor(decoder *json.Decoder, key string, headerEnd int64, name string) (storedTensor, error) {
	var entry struct {
		Dtype   *string  `json:"dtype"`
		Shape   []uint64 `json:"shape"`
		Offsets []int64  `json:"data_offsets"`
	}
	if err := decoder.Decode(&entry); err != nil {
		return storedTensor{}, malformed("Tensor %q of %q cannot be read: %v.", key, name, err)
	}
	if entry.Dtype == nil || entry.Shape == nil || len(entry.Offsets) != 2 {
		return storedTensor{}, malformed("Tensor %q of %q must have exactly dtype, shape and data_offsets of two numbers.", key, name)
	}
	begin, end := entry.Offsets[0], entry.Offsets[1]
	if begin < 0 || begin > end || end > math.MaxInt64-headerEnd || len(entry.Shape) > maxDimensions {
		return storedTensor{}, malformed("Tensor %q of %q has data_offsets %v and shape %v, which cannot be.", key, name, entry.Offsets, entry.Shape)
	}
	wanted, fits := byteCount(*entry.Dtype, entry.Shape)
	if !fits {
		return storedTensor{}, malformed("Tensor %q of %q has the shape %v, whose size is beyond 2^53; no file is that large.", key, name, entry.Shape)
	}
	if _, known := dtypeBits[*entry.Dtype]; known && wanted != uint64(end-begin) {
		return storedTensor{}, malformed("Tensor %q of %q has %d bytes; %q of shape %v needs %d. The file is damaged or written wrong.", key, name, end-begin, *entry.Dtype, entry.Shape, wanted)
	}
	return storedTensor{tensorInfo{key, *entry.Dtype, entry.Shape}, headerEnd + begin, headerEnd + end}, nil
}

// byteCount is the length of a tensor in bytes; types that are not known count one bit each.
func byteCount(dtype string, shape []uint64) (uint64, bool) {
	bits, known := dtypeBits[dtype]
	if !known {
		bits = 1
	}
	count := uint64(1)
	for _, extent := range shape {
		if extent != 0 && count > (1<<53)/extent {
			return 0, false
		}
		count *= extent
	}
	return (count*bits + 7) / 8, count <= 1<<53
}

func assertLayout(tensors []storedTensor, headerEnd, fileSize int64, name string) error {
	at := headerEnd
	for _, tensor := range tensors {
		if tensor.begin != at {
			return malformed("Tensor %q of %q starts %d bytes after the one before it ends; tensors must follow each other. The file is damaged or written wrong.", tensor.name, name, tensor.begin-at)
		}
		at = tensor.end
	}
	if at > fileSize {
		return malformed("%q has %d bytes; its header describes %d, so %d are missing. It was cut short: download or copy it again.", name, fileSize, at, at-fileSize)
	}
	if at < fileSize {
		return malformed("%q has %d bytes after its last tensor; there must be none. The file is damaged or written wrong.", name, fileSize-at)
	}
	return nil
}

// Formats that are not safetensors, by the bytes that they start with.
var foreignFormats = []struct{ magic, what string }{
	{"PK\x03\x04", "a zip archive, such as PyTorch writes"}, {"\x80\x02", "a pickled file"}, {"\x80\x03", "a pickled file"},
	{"\x80\x04", "a pickled file"}, {"\x80\x05", "a pickled file"}, {"GGUF", "a GGUF file"}, {"\x89HDF", "an HDF5 file"},
	{"\x93NUMPY", "a NumPy file"}, {"version https://git-lfs", "a Git LFS pointer, not the file itself"},
	{"<!doctype html", "a web page"}, {"<!DOCTYPE html", "a web page"}, {"<html", "a web page"},
}

func assertFormat(first []byte, name string) error {
	start := string(first[:min(len(first), 32)])
	for _, format := range foreignFormats {
		if strings.HasPrefix(start, format.magic) {
			message := fmt.Sprintf("%q is %s; this client reads safetensors. Save the model as safetensors and give that file.", name, format.what)
			return fail(codes.InvalidArgument, "FORMAT_REFUSED", message, "file", name)
		}
	}
	return nil
}

func malformed(format string, values ...interface{}) *Error {
	return fail(codes.InvalidArgument, "HEADER_MALFORMED", fmt.Sprintf(format, values...))
}

func min[T int | int64 | time.Duration](a, b T) T {
	if a < b {
		return a
	}
	return b
}

func max(a, b int) int {
	if a > b {
		return a
	}
	return b
}
