package main

import (
	"context"
	"encoding/json"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"

	"probestream.dev/probestream"
)

type driver struct {
	client *probestream.Client
	target string
}

type verb func(d *driver, ctx context.Context, args json.RawMessage) (object, error)

var verbs = map[string]verb{
	"embed":           embed,
	"raw_embed":       rawEmbed,
	"retrieve":        retrieve,
	"classify":        classify,
	"find_duplicates": findDuplicates,
	"spaces":          spaces,
	"get":             get,
	"list":            list,
	"update":          update,
	"delete":          remove,
	"export":          export,
	"import_records":  importRecords,
	"switch_spaces":   switchSpaces,
	"drop_space":      dropSpace,
	"experts":         experts,
	"get_expert":      getExpert,
	"route":           route,
	"server_info":     serverInfo,
}

func decode(args json.RawMessage, into interface{}) {
	if err := json.Unmarshal(args, into); err != nil {
		panic(err)
	}
}

func toFilter(filter json.RawMessage) *probestream.Filter {
	if filter == nil {
		return nil
	}
	parsed := &probestream.Filter{}
	if err := protojson.Unmarshal(filter, parsed); err != nil {
		panic(err)
	}
	return parsed
}

type example struct {
	Text           *string `json:"text"`
	ModelID        *string `json:"model_id"`
	Representation *struct {
		SpaceID string    `json:"space_id"`
		Values  []float32 `json:"values"`
	} `json:"representation"`
}

func toExamples(from []example) []probestream.Example {
	var examples []probestream.Example
	for _, one := range from {
		switch {
		case one.Text != nil:
			examples = append(examples, probestream.Text(*one.Text))
		case one.ModelID != nil:
			examples = append(examples, probestream.ModelID(*one.ModelID))
		case one.Representation != nil:
			examples = append(examples, probestream.Representation(one.Representation.SpaceID, one.Representation.Values))
		default:
			examples = append(examples, probestream.Example{})
		}
	}
	return examples
}

func retrieve(d *driver, ctx context.Context, raw json.RawMessage) (object, error) {
	var args struct {
		Queries []struct {
			Positives  []example       `json:"positives"`
			Negatives  []example       `json:"negatives"`
			K          int             `json:"k"`
			Filter     json.RawMessage `json:"filter"`
			Experts    []string        `json:"experts"`
			Trees      []string        `json:"trees"`
			MinScore   *float64        `json:"min_score"`
			MinCosine  *float64        `json:"min_cosine"`
			MaxPerBase int             `json:"max_per_base"`
			Exact      bool            `json:"exact"`
		} `json:"queries"`
		WithRecords bool `json:"with_records"`
	}
	decode(raw, &args)
	var queries []probestream.Query
	for _, query := range args.Queries {
		queries = append(queries, probestream.Query{
			Positives: toExamples(query.Positives), Negatives: toExamples(query.Negatives), K: query.K,
			Filter: toFilter(query.Filter), Experts: query.Experts, Trees: query.Trees, MinScore: query.MinScore,
			MinCosine: query.MinCosine, MaxPerBase: query.MaxPerBase, Exact: query.Exact,
		})
	}
	answers, err := d.client.Retrieve(ctx, queries, &probestream.RetrieveOptions{WithRecords: args.WithRecords})
	out := []object{}
	for _, answer := range answers {
		if answer.Err != nil {
			out = append(out, object{"error": toError(answer.Err)})
			continue
		}
		hits, skipped := []object{}, []object{}
		for _, hit := range answer.Hits {
			one := object{"model_id": hit.ModelID, "space_id": hit.SpaceID, "cosine": hit.Cosine}
			if hit.Score != nil {
				one["score"] = *hit.Score
			}
			if hit.Record != nil {
				one["record"] = toRecord(*hit.Record)
			}
			hits = append(hits, one)
		}
		for _, space := range answer.Skipped {
			skipped = append(skipped, object{"space_id": space.SpaceID, "expert_name": space.ExpertName, "error": toError(space.Err)})
		}
		unknownWords := []object{}
		for _, one := range answer.UnknownWords {
			unknownWords = append(unknownWords, object{"example": one.Example, "space_id": one.SpaceID, "words": one.Words})
		}
		out = append(out, object{"hits": hits, "skipped": skipped, "unknown_words": unknownWords})
	}
	return object{"answers": out}, err
}

func classify(d *driver, ctx context.Context, raw json.RawMessage) (object, error) {
	var args struct {
		Models  []example `json:"models"`
		Labels  []string  `json:"labels"`
		Experts []string  `json:"experts"`
		Mode    string    `json:"mode"`
		Top     int       `json:"top"`
	}
	decode(raw, &args)
	mode := map[string]probestream.ClassifyMode{"one_of_many": probestream.OneOfMany, "any_of_many": probestream.AnyOfMany}[args.Mode]
	options := &probestream.ClassifyOptions{Labels: args.Labels, Experts: args.Experts, Mode: mode, Top: args.Top}
	answers, err := d.client.Classify(ctx, toExamples(args.Models), options)
	out := []object{}
	for _, answer := range answers {
		if answer.Err != nil {
			out = append(out, object{"error": toError(answer.Err)})
			continue
		}
		labels := []object{}
		for _, label := range answer.Labels {
			one := object{"label": label.Label}
			if label.Probability != nil {
				one["probability"] = *label.Probability
			}
			if label.Cosine != nil {
				one["cosine"] = *label.Cosine
			}
			labels = append(labels, one)
		}
		unjudged, doubtful := []object{}, []object{}
		for _, one := range answer.Unjudged {
			unjudged = append(unjudged, object{"label": one.Label, "error": toError(one.Err)})
		}
		for _, one := range answer.Doubtful {
			doubtful = append(doubtful, object{"label": one.Label, "unknown_words": texts(one.UnknownWords), "unfamiliar": one.Unfamiliar})
		}
		out = append(out, object{
			"space_id": answer.SpaceID, "labels": labels, "calibrated": answer.Calibrated, "unjudged": unjudged, "doubtful": doubtful,
		})
	}
	return object{"answers": out}, err
}

func findDuplicates(d *driver, ctx context.Context, raw json.RawMessage) (object, error) {
	var args struct {
		ModelIDs  []string `json:"model_ids"`
		MinCosine *float64 `json:"min_cosine"`
		K         int      `json:"k"`
		Experts   []string `json:"experts"`
	}
	decode(raw, &args)
	options := &probestream.DuplicateOptions{MinCosine: args.MinCosine, K: args.K, Experts: args.Experts}
	answers, err := d.client.FindDuplicates(ctx, args.ModelIDs, options)
	out := []object{}
	for _, answer := range answers {
		if answer.Err != nil {
			out = append(out, object{"error": toError(answer.Err)})
			continue
		}
		duplicates := []object{}
		for _, one := range answer.Duplicates {
			duplicates = append(duplicates, object{"model_id": one.ModelID, "space_id": one.SpaceID, "cosine": one.Cosine, "same_weights": one.SameWeights})
		}
		out = append(out, object{"duplicates": duplicates})
	}
	return object{"answers": out}, err
}

func experts(d *driver, ctx context.Context, _ json.RawMessage) (object, error) {
	found, err := d.client.Experts(ctx)
	if err != nil {
		return nil, err
	}
	all, unusable := []object{}, []object{}
	for _, expert := range found.Experts {
		all = append(all, toExpert(expert))
	}
	for _, folder := range found.Unusable {
		unusable = append(unusable, object{"name": folder.Name, "error": toError(folder.Err)})
	}
	return object{"experts": all, "unusable": unusable}, nil
}

func getExpert(d *driver, ctx context.Context, raw json.RawMessage) (object, error) {
	var args struct {
		Expert string `json:"expert"`
	}
	decode(raw, &args)
	expert, err := d.client.Expert(ctx, args.Expert)
	return object{"expert": toExpert(expert)}, err
}

func toExpert(e *probestream.Expert) object {
	return object{
		"name": e.GetName(), "space_id": e.GetSpaceId(), "objective": enumName(e.GetObjective().String(), "OBJECTIVE_"),
		"layer":      object{"module": e.GetLayer().GetModule()},
		"layer_rows": e.GetLayerRows(), "layer_columns": e.GetLayerColumns(),
		"representation_width": e.GetRepresentationWidth(), "text_width": e.GetTextWidth(),
	}
}

func enumName(name, prefix string) string { return strings.ToLower(strings.TrimPrefix(name, prefix)) }

func route(d *driver, ctx context.Context, raw json.RawMessage) (object, error) {
	var args struct {
		Source  modelSource `json:"source"`
		Experts []string    `json:"experts"`
	}
	decode(raw, &args)
	answer, err := d.client.Route(ctx, args.Source.toModel(), args.Experts...)
	if err != nil {
		return nil, err
	}
	candidates := []object{}
	for _, one := range answer.GetCandidates() {
		candidates = append(candidates, object{"space_id": one.GetSpaceId(), "expert_name": one.GetExpertName(), "possible": one.GetPossible()})
	}
	return object{"decision": enumName(answer.GetDecision().String(), "ROUTE_DECISION_"), "candidates": candidates}, nil
}

func serverInfo(d *driver, ctx context.Context, _ json.RawMessage) (object, error) {
	info, err := d.client.ServerInfo(ctx)
	if err != nil {
		return nil, err
	}
	backends := []object{}
	for _, one := range info.GetBackends() {
		backends = append(backends, object{"name": one.GetName(), "device": one.GetDevice(), "available": one.GetAvailable()})
	}
	limits := info.GetLimits()
	return object{
		"version": info.GetVersion(), "backends": backends, "store": info.GetStore(), "text_encoders": info.GetTextEncoders(),
		"limits": object{
			"max_chunk_bytes": limits.GetMaxChunkBytes(), "best_chunk_bytes": limits.GetBestChunkBytes(),
			"segment_bytes": limits.GetSegmentBytes(), "max_queries": limits.GetMaxQueries(),
		},
	}, nil
}
