package probestream

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func file(header string, data int) []byte {
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(out, header...), make([]byte, data)...)
}

func openBytes(data []byte) (*openModel, error) {
	return Bytes("a file", data).open(context.Background())
}

func TestAHeaderTellsWhereTensorsLie(t *testing.T) {
	header := `{"__metadata__":{"k":"ü"},"b":{"dtype":"F16","shape":[2,3],"data_offsets":[8,20]},"a":{"dtype":"I64","shape":[],"data_offsets":[0,8]}}   `
	m, err := openBytes(file(header, 20))
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(m.tensors) != "[{a I64 []} {b F16 [2 3]}]" || m.metadata["k"] != "ü" {
		t.Errorf("read %v and %v", m.tensors, m.metadata)
	}
	if at := m.places["b"]; at.end-at.begin != 12 || at.begin != int64(8+len(header)+8) {
		t.Errorf("b lies at %d to %d", at.begin, at.end)
	}
}

func TestHeadersOfStrangersAreRefusedByReason(t *testing.T) {
	one := func(entry string) string { return `{"a":` + entry + `}` }
	for name, test := range map[string]struct {
		file   []byte
		reason string
		says   string
	}{
		"empty":           {nil, "HEADER_MALFORMED", "download or save it again"},
		"no header":       {file("", 4), "HEADER_MALFORMED", "does not start"},
		"too long":        {append(binary.LittleEndian.AppendUint64(nil, 1<<40), '{'), "LIMIT_EXCEEDED", "claims 1099511627776"},
		"cut in header":   {append(binary.LittleEndian.AppendUint64(nil, 100), '{'), "HEADER_MALFORMED", "cut short"},
		"no JSON":         {file(`{"a"`, 0), "HEADER_MALFORMED", "cannot be read"},
		"not UTF-8":       {file("{\"\xff\":1}", 0), "HEADER_MALFORMED", "UTF-8"},
		"twice":           {file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2), "HEADER_MALFORMED", "twice"},
		"more after":      {file(`{} {}`, 0), "HEADER_MALFORMED", "does not end"},
		"no shape":        {file(one(`{"dtype":"U8","data_offsets":[0,1]}`), 1), "HEADER_MALFORMED", "exactly dtype"},
		"another key":     {file(one(`{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}`), 1), "HEADER_MALFORMED", "cannot be read"},
		"negative extent": {file(one(`{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}`), 1), "HEADER_MALFORMED", "cannot be read"},
		"fraction":        {file(one(`{"dtype":"U8","shape":[1.5],"data_offsets":[0,1]}`), 1), "HEADER_MALFORMED", "cannot be read"},
		"beyond 2^53":     {file(one(`{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}`), 0), "HEADER_MALFORMED", "beyond 2^53"},
		"wrong length":    {file(one(`{"dtype":"F32","shape":[2],"data_offsets":[0,4]}`), 4), "HEADER_MALFORMED", "needs 8"},
		"backwards":       {file(one(`{"dtype":"U8","shape":[0],"data_offsets":[4,0]}`), 4), "HEADER_MALFORMED", "cannot be"},
		"gap":             {file(one(`{"dtype":"U8","shape":[1],"data_offsets":[1,2]}`), 2), "HEADER_MALFORMED", "must follow"},
		"bytes missing":   {file(one(`{"dtype":"U8","shape":[4],"data_offsets":[0,4]}`), 3), "HEADER_MALFORMED", "1 are missing"},
		"bytes left over": {file(one(`{"dtype":"U8","shape":[4],"data_offsets":[0,4]}`), 5), "HEADER_MALFORMED", "1 bytes after"},
		"metadata number": {file(`{"__metadata__":{"a":1}}`, 0), "HEADER_MALFORMED", "no text"},
		"pickle":          {[]byte("\x80\x02}q\x00."), "FORMAT_REFUSED", "pickled"},
		"zip":             {[]byte("PK\x03\x04aaaaaaaa"), "FORMAT_REFUSED", "PyTorch"},
		"web page":        {[]byte("<!DOCTYPE html>"), "FORMAT_REFUSED", "web page"},
	} {
		if _, err := openBytes(test.file); ReasonOf(err) != test.reason || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v (%s)", name, err, ReasonOf(err))
		}
	}
}

func TestAFolderOfOneModelStandsForIt(t *testing.T) {
	folder := t.TempDir()
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	shard := func(name string) []byte {
		return file(`{"`+name+`":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1)
	}
	if _, err := openPath(context.Background(), folder); ReasonOf(err) != "FILE_NOT_FOUND" {
		t.Errorf("an empty folder: %v", err)
	}
	write("one.safetensors", shard("a"))
	write("two.safetensors", shard("b"))
	if _, err := openPath(context.Background(), folder); ReasonOf(err) != "FIELD_INVALID" {
		t.Errorf("two models: %v", err)
	}
	write("model.safetensors.index.json", []byte(`{"metadata":{"total_size":2},"weight_map":{"a":"one.safetensors","b":"two.safetensors"}}`))
	m, err := openPath(context.Background(), folder)
	if err != nil || len(m.tensors) != 2 || m.metadata["total_size"] != "2" {
		t.Fatalf("an index: %v", err)
	}
	m.close()
	write("model.safetensors.index.json", []byte(`{"weight_map":{"a":"two.safetensors","b":"one.safetensors"}}`))
	if _, err := openPath(context.Background(), folder); ReasonOf(err) != "CORRUPT" {
		t.Errorf("an index that is wrong: %v", err)
	}
	write("model.safetensors.index.json", []byte(`{"weight_map":{"a":"../one.safetensors"}}`))
	if _, err := openPath(context.Background(), folder); ReasonOf(err) != "HEADER_MALFORMED" {
		t.Errorf("an index that leads out of the folder: %v", err)
	}
}

func TestAFileThatChangesWhileItIsReadIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.safetensors")
	data := file(`{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}`, 4)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := openPath(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	if _, err := m.read(context.Background(), "a", 1, 3); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(path, data[:len(data)-2], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := m.read(context.Background(), "a", 0, 4); ReasonOf(err) != "CORRUPT" {
		t.Errorf("a file that was cut: %v", err)
	}
}

func TestArraysMustFitTheirShapes(t *testing.T) {
	for name, tensor := range map[string]Tensor{
		"too few": Float32("a", []int{2, 2}, []float32{1, 2, 3}), "below 0": Float32("a", []int{-1}, nil),
		"unknown": {Name: "a", Dtype: "F128", Shape: []int{0}},
	} {
		if _, err := Tensors("m", []Tensor{tensor}, nil).open(context.Background()); ReasonOf(err) != "SHAPE_MISMATCH" {
			t.Errorf("%s: %v", name, err)
		}
	}
	one := Float32("a", []int{1}, []float32{1})
	if _, err := Tensors("m", []Tensor{one, one}, nil).open(context.Background()); ReasonOf(err) != "DUPLICATE" {
		t.Errorf("twice: %v", err)
	}
}
