package probestream

import (
	"context"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	pb "probestream.dev/probestream/gen/probestream/v1"
)

// 1 MiB - 4 KiB, where a plan does not say how long a chunk is best.
const defaultChunkBytes = 1<<20 - 4<<10

// modelStream is one EmbedModel call. Its context, cancelled, ends it at once, and nothing unfinished is committed.
type modelStream struct {
	call grpc.ClientStream
	// Whether the server has answered already: what is still sent is lost.
	answered bool
}

// send waits until there is room: that is the backpressure.
func (s *modelStream) send(message interface{}) {
	if !s.answered && s.call.SendMsg(message) != nil {
		// The answer tells what there is to tell.
		s.answered = true
	}
}

func (s *modelStream) finish() (*pb.EmbedModelResponse, error) {
	if !s.answered {
		s.call.CloseSend()
	}
	answer := &pb.EmbedModelResponse{}
	return answer, s.call.RecvMsg(answer)
}

// piece is a chunk that was read, or why there is none.
type piece struct {
	message rawMessage
	length  int
	err     error
}

// sendModel sends header, chunks and footer. Its error is that of reading the model: then no further model may follow on
// this stream. The next chunk is read and hashed while the last one is sent.
//
// Memory: three chunks, of which gRPC has one.
func (u *upload) sendModel(ctx context.Context, stream *modelStream, texts *pb.FloatMatrix) *Error {
	header, failed := u.header(texts)
	if failed != nil {
		return failed
	}
	stream.send(&pb.EmbedModelRequest{Part: &pb.EmbedModelRequest_Header{Header: header}})
	ctx, cancel := context.WithCancel(ctx)
	digest := newUploadDigest()
	pieces := make(chan piece)
	go func() {
		defer close(pieces)
		u.read(ctx, digest, pieces)
	}()
	defer func() {
		cancel()
		// The reader has let go of the file when its channel is closed.
		for range pieces {
		}
	}()
	for next := range pieces {
		if next.err != nil {
			return toReadError(next.err, u.model.location)
		}
		if stream.send(next.message); stream.answered {
			return nil
		}
		u.count(next.length)
	}
	if ctx.Err() != nil {
		return toError(ctx.Err())
	}
	footer := &pb.EmbedModelFooter{TotalBytes: uint64(wantedBytes(u.plan)), Digest: digest.sum()}
	stream.send(&pb.EmbedModelRequest{Part: &pb.EmbedModelRequest_Footer{Footer: footer}})
	return nil
}

// read gives the wanted chunks of all tensors, in order.
func (u *upload) read(ctx context.Context, digest *uploadDigest, pieces chan<- piece) {
	give := func(p piece) bool {
		select {
		case pieces <- p:
			return p.err == nil
		case <-ctx.Done():
			return false
		}
	}
	chunkBytes := int64(u.plan.GetChunkBytes())
	if chunkBytes <= 0 {
		chunkBytes = defaultChunkBytes
	}
	for i, wanted := range u.plan.GetTensors() {
		var offset int64
		if i < len(u.plan.GetStarts()) {
			offset = int64(u.plan.GetStarts()[i].GetOffset())
			digest.addSegments(u.plan.GetStarts()[i].GetSegmentDigests())
		}
		begin, end := int64(wanted.GetBeginByte()), int64(wanted.GetEndByte())
		reader, err := u.model.stream(ctx, wanted.GetTensor().GetName(), begin+offset, end)
		if err != nil {
			give(piece{err: err})
			return
		}
		for offset < end-begin {
			length := int(min(chunkBytes, end-begin-offset))
			message, data := newChunk(i, offset, length)
			if _, err = io.ReadFull(reader, data); err != nil {
				break
			}
			digest.add(data)
			if !give(piece{message: message, length: length}) {
				reader.Close()
				return
			}
			offset += int64(length)
		}
		if closed := reader.Close(); err == nil {
			err = closed
		}
		if err != nil {
			give(piece{err: err})
			return
		}
		digest.endRange()
	}
}

// streamOnce sends planned models through one stream, in order, and settles those that it gets an outcome for. It
// returns what kept it from settling any, or an error of single models that may pass; broken says that the call failed.
func (r *embedRun) streamOnce(uploads []*upload) (failure *Error, broken bool) {
	var ready []*upload
	for _, u := range uploads {
		if u.hasSoundStart(r.ctx) {
			ready = append(ready, u)
		}
	}
	if len(ready) == 0 {
		return nil, false
	}
	limits, err := r.client.recentLimits(r.ctx)
	if err != nil {
		return toError(err), true
	}
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	call, err := r.client.conn.NewStream(ctx, uploadStream, uploadMethod, grpc.ForceCodec(rawCodec{}))
	if err != nil {
		return fromStatus(r.ctx, err, r.client.target), true
	}
	stream := &modelStream{call: call}
	var sent []*upload
	var unread *upload
	var readError *Error
	for _, u := range ready[:min(len(ready), int(limits.GetMaxStreamModels()))] {
		if stream.answered || unread != nil {
			break
		}
		texts := r.texts
		if len(sent) > 0 {
			texts = nil
		}
		sent = append(sent, u)
		if readError = u.sendModel(ctx, stream, texts); readError != nil {
			// Without its footer no header may follow: the stream ends here, and the rest takes another.
			unread = u
		}
	}
	answer, err := stream.finish()
	if err != nil {
		if unread != nil && r.ctx.Err() == nil {
			unread.settle(nil, readError)
		}
		return fromStatus(r.ctx, err, r.client.target), true
	}
	r.answers.Add(1)
	return r.settleAnswers(sent, unread, readError, answer), false
}

func (r *embedRun) settleAnswers(sent []*upload, unread *upload, readError *Error, answer *pb.EmbedModelResponse) *Error {
	settledOne := unread != nil
	if unread != nil {
		// Of a model that broke off, the server can only tell that it did.
		unread.settle(nil, readError)
	}
	var setback *Error
	for i, u := range sent {
		if u.settled || i >= len(answer.GetResults()) {
			continue
		}
		switch outcome := answer.GetResults()[i].GetOutcome().(type) {
		case *pb.ModelResult_Embedding:
			settledOne = true
			u.settle(toEmbedding(outcome.Embedding), nil)
		case *pb.ModelResult_Error:
			settledOne = true
			err := fromModelError(outcome.Error)
			if toRemedy(err) == resume {
				u.plan, setback = nil, err
			} else {
				u.settleOrRestart(err)
			}
		}
	}
	if !settledOne {
		return fail(codes.Aborted, "FOOTER_MISSING", "a stream was answered without a word on any of its models")
	}
	return setback
}
