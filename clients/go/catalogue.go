package probestream

import (
	"context"
	"errors"
	"io"

	pb "probestream.dev/probestream/gen/probestream/v1"
)

// Space is a space of the catalogue as the contract has it: one per expert that models were indexed under.
type Space = pb.Space

// SpaceList is what a catalogue has.
type SpaceList struct {
	// Spaces by expert name and space id.
	Spaces []*Space
	// Store is the name and place of the store, for people.
	Store string
}

// Spaces lists the spaces of the catalogue.
func (c *Client) Spaces(ctx context.Context) (*SpaceList, error) {
	var answer *pb.ListSpacesResponse
	err := c.call(ctx, func(ctx context.Context) (err error) {
		answer, err = c.catalogue.ListSpaces(ctx, &pb.ListSpacesRequest{})
		return err
	})
	if err != nil {
		return nil, err
	}
	return &SpaceList{answer.GetSpaces(), answer.GetStore()}, nil
}

// SwitchSpaces lets spaces that were filled take the place of others, all at once.
func (c *Client) SwitchSpaces(ctx context.Context, serve, retire []string) error {
	return c.callOnce(ctx, func(ctx context.Context) error {
		_, err := c.catalogue.SwitchSpaces(ctx, &pb.SwitchSpacesRequest{Serve: serve, Retire: retire})
		return err
	})
}

// DropSpace removes a space and all its records.
func (c *Client) DropSpace(ctx context.Context, spaceID string) error {
	return c.callOnce(ctx, func(ctx context.Context) error {
		_, err := c.catalogue.DropSpace(ctx, &pb.DropSpaceRequest{SpaceId: spaceID})
		return err
	})
}

// GetRequest names models.
type GetRequest struct {
	// ModelIDs, WeightsHashes, or both.
	ModelIDs, WeightsHashes []string
	// Spaces to look in; empty: all.
	Spaces              []string
	WithRepresentations bool
}

// Get gets records of models, one per model and space. What is not there is left out.
func (c *Client) Get(ctx context.Context, request GetRequest) ([]Record, error) {
	ids := len(request.ModelIDs)
	var records []Record
	err := c.inParts(ctx, ids+len(request.WeightsHashes), func(begin, end int) error {
		part := &pb.GetModelsRequest{
			ModelIds:      request.ModelIDs[min(begin, ids):min(end, ids)],
			WeightsHashes: request.WeightsHashes[max(begin, ids)-ids : max(end, ids)-ids],
			Spaces:        request.Spaces, WithRepresentations: request.WithRepresentations,
		}
		return c.call(ctx, func(ctx context.Context) error {
			answer, err := c.catalogue.GetModels(ctx, part)
			records = append(records, toRecords(answer.GetRecords())...)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return records, nil
}

// ListRequest names models of a space.
type ListRequest struct {
	// Space id, an unambiguous prefix, or an expert's name; empty: the only space that serves.
	Space  string
	Filter *Filter
	// PageSize is how many come in one answer of the server; 0 stands for 100.
	PageSize            int
	WithRepresentations bool
}

// List gives each record of a space, ordered by id, page by page; an error of each ends it and is returned.
func (c *Client) List(ctx context.Context, request ListRequest, each func(Record) error) error {
	wire := &pb.ListModelsRequest{
		Space: request.Space, Filter: request.Filter, PageSize: uint32(request.PageSize),
		WithRepresentations: request.WithRepresentations,
	}
	for {
		var page *pb.ListModelsResponse
		err := c.call(ctx, func(ctx context.Context) (err error) {
			page, err = c.catalogue.ListModels(ctx, wire)
			return err
		})
		if err != nil {
			return err
		}
		for _, record := range page.GetRecords() {
			if err := each(*toRecord(record)); err != nil {
				return err
			}
		}
		if wire.PageToken = page.GetNextPageToken(); wire.PageToken == "" {
			return nil
		}
	}
}

// Update sets metadata of a model and takes some away, in all spaces at once, and returns its records.
func (c *Client) Update(ctx context.Context, modelID string, set map[string]interface{}, remove ...string) ([]Record, error) {
	metadata, failed := toWireMetadata(set)
	if failed != nil {
		return nil, failed
	}
	var answer *pb.UpdateModelResponse
	err := c.call(ctx, func(ctx context.Context) (err error) {
		answer, err = c.catalogue.UpdateModel(ctx, &pb.UpdateModelRequest{ModelId: modelID, Set: metadata, Remove: remove})
		return err
	})
	return toRecords(answer.GetRecords()), err
}

// Delete removes models from a space, or from all where it is empty, and says how many were there.
func (c *Client) Delete(ctx context.Context, modelIDs []string, space string) (int, error) {
	count := 0
	err := c.inParts(ctx, len(modelIDs), func(begin, end int) error {
		// A second attempt could not tell how many the first one removed.
		return c.callOnce(ctx, func(ctx context.Context) error {
			answer, err := c.catalogue.DeleteModels(ctx, &pb.DeleteModelsRequest{ModelIds: modelIDs[begin:end], Space: space})
			count += int(answer.GetDeletedCount())
			return err
		})
	})
	return count, err
}

// Export gives each record of a space with its representation, ordered by id; an error of each ends it and is returned.
// The call lasts as long as it takes, or as the context allows.
func (c *Client) Export(ctx context.Context, space string, filter *Filter, each func(Record) error) error {
	if err := c.checkOpen(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.catalogue.ExportModels(ctx, &pb.ExportModelsRequest{Space: space, Filter: filter})
	if err != nil {
		return fromStatus(ctx, err, c.target)
	}
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fromStatus(ctx, err, c.target)
		}
		for _, record := range message.GetRecords() {
			if err := each(*toRecord(record)); err != nil {
				return err
			}
		}
	}
}

// ImportRequest says where records go.
type ImportRequest struct {
	// SpaceID of the space; it is made if it is not there, as wide as the first representation.
	SpaceID string
	// ExpertName, for a new space.
	ExpertName string
	// Fill has a new space wait until it is switched to.
	Fill bool
}

// Most bytes of records in one message, about; servers take messages of 4 MiB, and 1,000 records.
const (
	importBytes   = 1 << 20
	importRecords = 1000
)

// Import writes the records that next gives, until it says that there are no more, and returns how many were written.
// What is there already is replaced.
func (c *Client) Import(ctx context.Context, request ImportRequest, next func() (Record, bool, error)) (int, error) {
	if err := c.checkOpen(); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.catalogue.ImportModels(ctx)
	if err != nil {
		return 0, fromStatus(ctx, err, c.target)
	}
	message := &pb.ImportModelsRequest{SpaceId: request.SpaceID, ExpertName: request.ExpertName, Fill: request.Fill}
	size := 0
	for {
		record, more, err := next()
		if err != nil {
			return 0, err
		}
		if len(message.Records) > 0 && (!more || size >= importBytes || len(message.Records) == importRecords) {
			if stream.Send(message) != nil {
				// The answer tells what there is to tell.
				break
			}
			message.Records, size = nil, 0
		}
		if !more {
			break
		}
		wire, failed := record.toWire()
		if failed != nil {
			return 0, failed
		}
		message.Records = append(message.Records, wire)
		size += 4*len(record.Representation) + 512
	}
	answer, err := stream.CloseAndRecv()
	if err != nil {
		return 0, fromStatus(ctx, err, c.target)
	}
	return int(answer.GetImportedCount()), nil
}

// ImportAll is Import of records that lie in memory.
func (c *Client) ImportAll(ctx context.Context, request ImportRequest, records []Record) (int, error) {
	at := -1
	return c.Import(ctx, request, func() (Record, bool, error) {
		if at++; at < len(records) {
			return records[at], true, nil
		}
		return Record{}, false, nil
	})
}
