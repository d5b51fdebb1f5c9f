package probestream

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"

	"google.golang.org/grpc/codes"

	pb "probestream.dev/probestream/gen/probestream/v1"
)

// upload is one model on its way: its plan, how far it got, and how it ended.
type upload struct {
	index    int
	model    *openModel
	id       string
	entry    *Index
	experts  []string
	uploadID string
	progress *progressCounter

	plan *pb.PlannedModel
	// What the server had at the last plan: failures in between are measured against it.
	reached            int64
	wanted, done       int64
	restarted, retuned bool
	settled            bool
	settle             func(*Embedding, *Error)
}

func newUpload(index int, from Model, opened *openModel, run *embedRun) *upload {
	u := &upload{index: index, model: opened, id: from.id(), entry: from.Index, experts: run.options.Experts, progress: run.progress}
	// It follows from the file and the experts, so that a later process goes on with it.
	sum := sha256.Sum256([]byte(fmt.Sprintf("%s %q", opened.identity, u.experts)))
	u.uploadID = hex.EncodeToString(sum[:20])
	var once sync.Once
	u.settle = func(embedding *Embedding, err *Error) {
		once.Do(func() {
			u.settled = true
			u.progress.add(0, u.wanted-u.done, 0)
			opened.close()
			run.forget(u)
			run.finish(Result{Index: index, Location: from.location, ModelID: u.id, Embedding: embedding, Err: err})
		})
	}
	return u
}

// begin takes a plan over. One too small to be resumed gets an id of its own: two runs must not push each other out.
func (u *upload) begin(plan *pb.PlannedModel) {
	wanted := wantedBytes(plan)
	if wanted < segmentBytes {
		plan.UploadId = newID()
	}
	var done int64
	for _, start := range plan.GetStarts() {
		done += int64(start.GetOffset())
	}
	u.plan, u.reached = plan, done
	u.progress.add(wanted-u.wanted, done-u.done, 0)
	u.wanted, u.done = wanted, done
}

func (u *upload) count(bytes int) {
	u.done += int64(bytes)
	u.progress.add(0, int64(bytes), int64(bytes))
}

func wantedBytes(plan *pb.PlannedModel) int64 {
	var sum int64
	for _, wanted := range plan.GetTensors() {
		sum += int64(wanted.GetEndByte() - wanted.GetBeginByte())
	}
	return sum
}

// remedy is what can be done about an error of an upload.
type remedy int

const (
	// Nothing.
	none remedy = iota
	// Go on with it under the same id, after a while.
	resume
	// Begin it again under another id.
	restart
	// Begin it again under the same id, for the expert that the error names.
	reroute
)

func toRemedy(err *Error) remedy {
	switch err.Reason {
	case "PLAN_STALE", "UPLOAD_MISMATCH", "DIGEST_MISMATCH", "UPLOAD_IN_USE":
		return restart
	case "REROUTED":
		return reroute
	case "BACKEND_UNAVAILABLE":
		return none
	case "MEMORY_BUDGET":
		return resume
	}
	if err.Code == codes.Unavailable || err.Code == codes.Aborted {
		return resume
	}
	return none
}

// settleOrRestart ends an upload with an error, unless it can begin anew; once each way.
func (u *upload) settleOrRestart(err *Error) {
	switch what := toRemedy(err); {
	case what == restart && !u.restarted:
		u.restarted, u.uploadID, u.plan = true, newID(), nil
	case what == reroute && !u.retuned:
		u.retuned, u.experts, u.plan = true, []string{err.Metadata["spaceId"]}, nil
	default:
		u.settle(nil, err)
	}
}

// hasSoundStart says whether what an earlier upload brought is what the file holds. Local files are read again, which is
// cheaper than to find out at the end; of remote ones, whose state their ETag tells, the server's digests are believed.
func (u *upload) hasSoundStart(ctx context.Context) bool {
	if u.plan == nil || u.model.remote {
		return u.plan != nil
	}
	for i, start := range u.plan.GetStarts() {
		if start.GetOffset() == 0 || i >= len(u.plan.GetTensors()) {
			continue
		}
		wanted := u.plan.GetTensors()[i]
		name, begin := wanted.GetTensor().GetName(), int64(wanted.GetBeginByte())
		reader, err := u.model.stream(ctx, name, begin, begin+int64(start.GetOffset()))
		equal := false
		if err == nil {
			equal, err = haveDigests(ctx, reader, start.GetSegmentDigests())
			if closed := reader.Close(); err == nil {
				err = closed
			}
		}
		switch {
		case ctx.Err() != nil:
			return false
		case err != nil:
			u.settleOrRestart(toReadError(err, u.model.location))
			return false
		case !equal:
			message := fmt.Sprintf("the first %d bytes of %q are not those of the upload that was to be resumed", start.GetOffset(), name)
			u.settleOrRestart(fail(codes.DataLoss, "DIGEST_MISMATCH", message, "tensor", name, "offset", start.GetOffset()))
			return false
		}
	}
	return true
}

// header opens the model on a stream.
func (u *upload) header(texts *pb.FloatMatrix) (*pb.EmbedModelHeader, *Error) {
	header := &pb.EmbedModelHeader{
		ModelId:     u.id,
		UploadId:    u.plan.GetUploadId(),
		Tensors:     u.plan.GetTensors(),
		Routed:      u.plan.GetRouted(),
		TextVectors: texts,
	}
	for _, target := range u.plan.GetTargets() {
		header.SpaceIds = append(header.SpaceIds, target.GetSpaceId())
	}
	for _, start := range u.plan.GetStarts() {
		header.StartOffsets = append(header.StartOffsets, start.GetOffset())
	}
	if u.entry == nil {
		return header, nil
	}
	metadata, err := toWireMetadata(u.entry.Metadata)
	if err != nil {
		return nil, err
	}
	header.Index = &pb.IndexRequest{
		ModelId: u.entry.ModelID, Metadata: metadata, Claims: map[string]string{},
		FileHash: u.entry.FileHash, Base: u.entry.Base, Fill: u.entry.Fill,
	}
	for key, value := range u.model.metadata {
		if len(value) <= maxClaimBytes {
			header.Index.Claims[key] = value
		}
	}
	return header, nil
}
