package probestream

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
)

// Model is a model to embed: where its weights lie, and what it is to be called. Path, URL, Bytes, Reader and Tensors
// make one; nothing is opened before it is embedded.
type Model struct {
	// ID is what the server calls the model; empty: the end of its location, 200 characters at most.
	ID string
	// Index puts the model into the server's catalogue.
	Index *Index

	location string
	open     func(context.Context) (*openModel, error)
}

// Index is what is to be known of a model in the catalogue.
type Index struct {
	// ModelID in the catalogue; a model that is there under it is replaced. Empty: that of the Model.
	ModelID string
	// Metadata is what the user says of the model: strings, finite numbers and bools.
	Metadata map[string]interface{}
	// FileHash is the SHA-256 of the whole file, lower-case hexadecimal, if it is known.
	FileHash string
	// Base is the base model, if it is known. Empty: what the file says, if it does.
	Base string
	// Fill has a space that is new wait until it is switched to.
	Fill bool
}

// Location is the path, URL or name of the model, fit for messages.
func (m Model) Location() string { return m.location }

func (m Model) id() string {
	if m.ID != "" {
		return m.ID
	}
	at := len(m.location)
	for count := 0; at > 0 && count < maxIDCharacters; count++ {
		_, width := utf8.DecodeLastRuneInString(m.location[:at])
		at -= width
	}
	return m.location[at:]
}

// Characters of a location that make up an id.
const maxIDCharacters = 200

// Path is a model in a file: a .safetensors file, an index of shards (….safetensors.index.json), or a folder that holds
// exactly one of either.
func Path(path string) Model {
	return Model{location: path, open: func(ctx context.Context) (*openModel, error) { return openPath(ctx, path) }}
}

// Bytes is a model that lies in memory as a safetensors file. The bytes must not change while it is embedded.
func Bytes(name string, file []byte) Model {
	return Reader(name, bytes.NewReader(file), int64(len(file)))
}

// Reader is a model behind a reader of size bytes, which hold a safetensors file.
func Reader(name string, reader io.ReaderAt, size int64) Model {
	open := func(context.Context, string) (source, error) { return &readerSource{name, reader, size}, nil }
	return Model{location: name, open: func(ctx context.Context) (*openModel, error) {
		return openSources(ctx, name, false, nil, []string{name}, open)
	}}
}

// tensorInfo is a tensor as a file's header describes it.
type tensorInfo struct {
	name  string
	dtype string
	shape []uint64
}

// place is where a tensor's bytes lie.
type place struct {
	source     source
	begin, end int64
}

// openModel is a model whose headers have been read and whose tensors can be streamed.
type openModel struct {
	location string
	tensors  []tensorInfo
	places   map[string]place
	metadata map[string]string
	// identity is equal where the bytes are, and another each time where nothing tells.
	identity string
	remote   bool
	sources  []source
}

func (m *openModel) close() {
	for _, s := range m.sources {
		s.close()
	}
}

// at is where bytes begin to end of a tensor lie.
func (m *openModel) at(tensor string, begin, end int64) (place, error) {
	whole, found := m.places[tensor]
	if !found || begin < 0 || begin > end || end > whole.end-whole.begin {
		message := fmt.Sprintf("%q has no bytes %d to %d of a tensor %q, which the server wants", m.location, begin, end, tensor)
		return place{}, fail(codes.NotFound, "LAYER_NOT_FOUND", message, "tensor", tensor)
	}
	return place{whole.source, whole.begin + begin, whole.begin + end}, nil
}

// stream reads bytes begin to end of a tensor as they are asked for.
func (m *openModel) stream(ctx context.Context, tensor string, begin, end int64) (io.ReadCloser, error) {
	part, err := m.at(tensor, begin, end)
	if err != nil {
		return nil, err
	}
	return part.source.stream(ctx, part.begin, part.end)
}

// read reads them whole.
func (m *openModel) read(ctx context.Context, tensor string, begin, end int64) ([]byte, error) {
	part, err := m.at(tensor, begin, end)
	if err != nil {
		return nil, err
	}
	return readRange(ctx, part.source, part.begin, part.end)
}

// openSources opens files and reads their headers. An index says which tensors are part of the model, and where.
func openSources(ctx context.Context, location string, remote bool, index *modelIndex, shards []string, open func(context.Context, string) (source, error)) (m *openModel, err error) {
	m = &openModel{location: location, places: map[string]place{}, metadata: map[string]string{}, remote: remote}
	defer func() {
		if err != nil {
			m.close()
		}
	}()
	if index != nil {
		for key, value := range index.metadata {
			m.metadata[key] = value
		}
	}
	hash := sha256.New()
	for _, shard := range shards {
		opened, err := open(ctx, shard)
		if err != nil {
			return m, err
		}
		m.sources = append(m.sources, opened)
		header, err := readHeader(ctx, opened)
		if err != nil {
			return m, err
		}
		if len(shards) > 1 {
			// Models have hundreds of shards, and processes often no more than 1,024 files.
			opened.close()
		}
		fmt.Fprintf(hash, "%q %x ", opened.fingerprint(), header.digest)
		for key, value := range header.metadata {
			if _, known := m.metadata[key]; !known {
				m.metadata[key] = value
			}
		}
		if err := m.add(header, opened, index, shard); err != nil {
			return m, err
		}
	}
	if index != nil {
		if err := index.assertComplete(m); err != nil {
			return m, err
		}
	}
	m.identity = hex.EncodeToString(hash.Sum(nil))
	return m, nil
}

func (m *openModel) add(header *safetensorsHeader, from source, index *modelIndex, shard string) error {
	for _, tensor := range header.tensors {
		if index != nil {
			home, listed := index.weightMap[tensor.name]
			if !listed {
				continue
			}
			if home != index.nameOf[shard] {
				return index.corrupt(fmt.Sprintf("tensor %q is in %q", tensor.name, index.nameOf[shard]))
			}
		}
		m.tensors = append(m.tensors, tensor.tensorInfo)
		m.places[tensor.name] = place{from, tensor.begin, tensor.end}
	}
	return nil
}
