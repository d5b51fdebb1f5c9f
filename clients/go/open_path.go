package probestream

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"google.golang.org/grpc/codes"
)

const (
	indexSuffix = ".safetensors.index.json"
	// 600,000 tensors, at about 100 bytes each.
	maxIndexBytes = 64 << 20
	maxShards     = 2048
	// PEFT writes an adapter's scale into a file beside it; servers look for its text under this key.
	adapterConfigName = "adapter_config.json"
	adapterConfigKey  = "peft.adapter_config"
	maxConfigBytes    = 1 << 20
)

// modelIndex is what a ….safetensors.index.json says: which shard each tensor lies in.
type modelIndex struct {
	location  string
	shards    []string
	weightMap map[string]string
	metadata  map[string]string
	// nameOf has the shard's name by its location.
	nameOf map[string]string
}

// parseIndex parses an index. Shard names are plain file names: none leads out of the folder.
func parseIndex(text []byte, location string) (*modelIndex, error) {
	var parsed struct {
		Metadata  map[string]interface{} `json:"metadata"`
		WeightMap map[string]string      `json:"weight_map"`
	}
	if err := json.Unmarshal(text, &parsed); err != nil || parsed.WeightMap == nil {
		return nil, malformed("The index %q has no weight_map from tensors to files: %v.", location, err)
	}
	index := &modelIndex{location: location, weightMap: parsed.WeightMap, metadata: map[string]string{}, nameOf: map[string]string{}}
	seen := map[string]bool{}
	for _, shard := range parsed.WeightMap {
		if seen[shard] {
			continue
		}
		seen[shard] = true
		if shard == "" || shard == "." || shard == ".." || strings.ContainsAny(shard, "/\\\x00") || len(shard) > 255 {
			return nil, malformed("The index %q names the shard %q; it must be the name of a file beside the index.", location, shard)
		}
		index.shards = append(index.shards, shard)
	}
	if len(index.shards) > maxShards {
		message := fmt.Sprintf("The index %q has %d shards; at most %d are allowed.", location, len(index.shards), maxShards)
		return nil, fail(codes.ResourceExhausted, "LIMIT_EXCEEDED", message, "shards", len(index.shards), "maxShards", maxShards)
	}
	sort.Strings(index.shards)
	for key, value := range parsed.Metadata {
		switch value.(type) {
		case string, float64:
			index.metadata[key] = fmt.Sprint(value)
		}
	}
	return index, nil
}

func readIndex(ctx context.Context, from source) (*modelIndex, error) {
	if from.size() > maxIndexBytes {
		message := fmt.Sprintf("The index %q has %d bytes; at most %d are allowed.", from.name(), from.size(), maxIndexBytes)
		return nil, fail(codes.ResourceExhausted, "LIMIT_EXCEEDED", message, "fileSize", from.size(), "maxBytes", maxIndexBytes)
	}
	text, err := readRange(ctx, from, 0, from.size())
	if err != nil {
		return nil, err
	}
	return parseIndex(text, from.name())
}

func (i *modelIndex) corrupt(what string) error {
	message := fmt.Sprintf("%s, against what the index %q says. The files belong to different models or are damaged: download them again.", what, i.location)
	return fail(codes.DataLoss, "CORRUPT", message, "index", i.location)
}

func (i *modelIndex) assertComplete(m *openModel) error {
	for tensor, shard := range i.weightMap {
		if _, found := m.places[tensor]; !found {
			return i.corrupt(fmt.Sprintf("tensor %q is not in %q", tensor, shard))
		}
	}
	return nil
}

// openLocation opens a file or an index, here or remote; besides gives the location of a file in the same folder.
func openLocation(ctx context.Context, location, shown string, remote bool, besides func(string) string, open func(context.Context, string) (source, error)) (*openModel, error) {
	var index *modelIndex
	locations := []string{location}
	if strings.HasSuffix(shown, indexSuffix) {
		from, err := open(ctx, location)
		if err != nil {
			return nil, err
		}
		index, err = readIndex(ctx, from)
		from.close()
		if err != nil {
			return nil, err
		}
		locations = nil
		for _, shard := range index.shards {
			index.nameOf[besides(shard)] = shard
			locations = append(locations, besides(shard))
		}
	}
	m, err := openSources(ctx, shown, remote, index, locations, open)
	if err != nil {
		return nil, err
	}
	if filepath.Base(shown) == "adapter_model.safetensors" {
		if err := m.addAdapterConfig(ctx, besides(adapterConfigName), open); err != nil {
			m.close()
			return nil, err
		}
	}
	return m, nil
}

func (m *openModel) addAdapterConfig(ctx context.Context, location string, open func(context.Context, string) (source, error)) error {
	from, err := open(ctx, location)
	if ReasonOf(err) == "FILE_NOT_FOUND" {
		return nil
	}
	if err != nil {
		return err
	}
	defer from.close()
	if from.size() > maxConfigBytes {
		message := fmt.Sprintf("%q has %d bytes; an adapter's configuration has at most %d.", from.name(), from.size(), maxConfigBytes)
		return fail(codes.ResourceExhausted, "LIMIT_EXCEEDED", message, "fileSize", from.size(), "maxBytes", maxConfigBytes)
	}
	text, err := readRange(ctx, from, 0, from.size())
	if err != nil {
		return err
	}
	m.metadata[adapterConfigKey] = string(text)
	return nil
}

func openPath(ctx context.Context, path string) (*openModel, error) {
	file, err := toModelPath(path)
	if err != nil {
		return nil, err
	}
	besides := func(name string) string { return filepath.Join(filepath.Dir(file), name) }
	return openLocation(ctx, file, file, false, besides, func(_ context.Context, path string) (source, error) {
		opened, err := openFile(path)
		if err != nil {
			return nil, err
		}
		return opened, nil
	})
}

// toModelPath is the file that a path stands for: itself, or the one model of a folder.
func toModelPath(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", toFileError(err, path)
	}
	if !info.IsDir() {
		return path, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return "", toFileError(err, path)
	}
	var models []string
	shards := map[string]bool{}
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), indexSuffix) {
			continue
		}
		models = append(models, entry.Name())
		text, err := os.ReadFile(filepath.Join(path, entry.Name()))
		if err != nil {
			return "", toFileError(err, path)
		}
		index, err := parseIndex(text, filepath.Join(path, entry.Name()))
		if err != nil {
			return "", err
		}
		for _, shard := range index.shards {
			shards[shard] = true
		}
	}
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), ".safetensors") && !shards[entry.Name()] {
			models = append(models, entry.Name())
		}
	}
	if len(models) == 1 {
		return filepath.Join(path, models[0]), nil
	}
	if len(models) == 0 {
		message := fmt.Sprintf("%q holds no .safetensors file and no index of shards; name a folder or file that does.", path)
		return "", fail(codes.NotFound, "FILE_NOT_FOUND", message, "path", path)
	}
	named := strings.Join(models[:min(len(models), 8)], ", ")
	message := fmt.Sprintf("%q holds %d models; name one of them: %s.", path, len(models), named)
	return "", fail(codes.InvalidArgument, "FIELD_INVALID", message, "path", path, "models", len(models))
}
