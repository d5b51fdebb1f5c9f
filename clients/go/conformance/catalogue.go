package main

import (
	"context"
	"encoding/json"

	"probestream.dev/probestream"
)

type wireRecord struct {
	ModelID        string                 `json:"model_id"`
	SpaceID        string                 `json:"space_id"`
	Representation []float32              `json:"representation"`
	WeightsHash    string                 `json:"weights_hash"`
	FileHash       string                 `json:"file_hash"`
	Tree           string                 `json:"tree"`
	Base           string                 `json:"base"`
	Metadata       map[string]interface{} `json:"metadata"`
	Claims         map[string]string      `json:"claims"`
}

func toRecord(r probestream.Record) wireRecord {
	record := wireRecord{r.ModelID, r.SpaceID, r.Representation, r.WeightsHash, r.FileHash, r.Tree, r.Base, r.Metadata, r.Claims}
	if record.Claims == nil {
		record.Claims = map[string]string{}
	}
	return record
}

func toRecords(from []probestream.Record) object {
	records := []wireRecord{}
	for _, record := range from {
		records = append(records, toRecord(record))
	}
	return object{"records": records}
}

func spaces(d *driver, ctx context.Context, _ json.RawMessage) (object, error) {
	found, err := d.client.Spaces(ctx)
	if err != nil {
		return nil, err
	}
	all := []object{}
	for _, s := range found.Spaces {
		all = append(all, object{
			"space_id": s.GetSpaceId(), "expert_name": s.GetExpertName(), "width": s.GetWidth(),
			"state": enumName(s.GetState().String(), "SPACE_STATE_"), "model_count": s.GetModelCount(),
			"fields": texts(s.GetFields()), "expert_present": s.GetExpertPresent(), "calibrated": s.GetCalibrated(),
		})
	}
	return object{"spaces": all, "store": found.Store}, nil
}

func switchSpaces(d *driver, ctx context.Context, raw json.RawMessage) (object, error) {
	var args struct {
		Serve  []string `json:"serve"`
		Retire []string `json:"retire"`
	}
	decode(raw, &args)
	return object{}, d.client.SwitchSpaces(ctx, args.Serve, args.Retire)
}

func dropSpace(d *driver, ctx context.Context, raw json.RawMessage) (object, error) {
	var args struct {
		SpaceID string `json:"space_id"`
	}
	decode(raw, &args)
	return object{}, d.client.DropSpace(ctx, args.SpaceID)
}

func get(d *driver, ctx context.Context, raw json.RawMessage) (object, error) {
	var args struct {
		ModelIDs            []string `json:"model_ids"`
		WeightsHashes       []string `json:"weights_hashes"`
		Spaces              []string `json:"spaces"`
		WithRepresentations bool     `json:"with_representations"`
	}
	decode(raw, &args)
	records, err := d.client.Get(ctx, probestream.GetRequest(args))
	return toRecords(records), err
}

func list(d *driver, ctx context.Context, raw json.RawMessage) (object, error) {
	var args struct {
		Space               string          `json:"space"`
		Filter              json.RawMessage `json:"filter"`
		PageSize            int             `json:"page_size"`
		WithRepresentations bool            `json:"with_representations"`
	}
	decode(raw, &args)
	var records []probestream.Record
	request := probestream.ListRequest{
		Space: args.Space, Filter: toFilter(args.Filter), PageSize: args.PageSize, WithRepresentations: args.WithRepresentations,
	}
	err := d.client.List(ctx, request, collect(&records))
	return toRecords(records), err
}

func collect(into *[]probestream.Record) func(probestream.Record) error {
	return func(record probestream.Record) error {
		*into = append(*into, record)
		return nil
	}
}

func update(d *driver, ctx context.Context, raw json.RawMessage) (object, error) {
	var args struct {
		ModelID string                 `json:"model_id"`
		Set     map[string]interface{} `json:"set"`
		Remove  []string               `json:"remove"`
	}
	decode(raw, &args)
	records, err := d.client.Update(ctx, args.ModelID, args.Set, args.Remove...)
	return toRecords(records), err
}

func remove(d *driver, ctx context.Context, raw json.RawMessage) (object, error) {
	var args struct {
		ModelIDs []string `json:"model_ids"`
		Space    string   `json:"space"`
	}
	decode(raw, &args)
	count, err := d.client.Delete(ctx, args.ModelIDs, args.Space)
	return object{"deleted_count": count}, err
}

func export(d *driver, ctx context.Context, raw json.RawMessage) (object, error) {
	var args struct {
		Space  string          `json:"space"`
		Filter json.RawMessage `json:"filter"`
	}
	decode(raw, &args)
	var records []probestream.Record
	err := d.client.Export(ctx, args.Space, toFilter(args.Filter), collect(&records))
	return toRecords(records), err
}

func importRecords(d *driver, ctx context.Context, raw json.RawMessage) (object, error) {
	var args struct {
		Records    []wireRecord `json:"records"`
		SpaceID    string       `json:"space_id"`
		ExpertName string       `json:"expert_name"`
		Fill       bool         `json:"fill"`
	}
	decode(raw, &args)
	var records []probestream.Record
	for _, r := range args.Records {
		records = append(records, probestream.Record{
			ModelID: r.ModelID, SpaceID: r.SpaceID, Representation: r.Representation, WeightsHash: r.WeightsHash,
			FileHash: r.FileHash, Tree: r.Tree, Base: r.Base, Metadata: r.Metadata, Claims: r.Claims,
		})
	}
	request := probestream.ImportRequest{SpaceID: args.SpaceID, ExpertName: args.ExpertName, Fill: args.Fill}
	count, err := d.client.ImportAll(ctx, request, records)
	return object{"imported_count": count}, err
}
