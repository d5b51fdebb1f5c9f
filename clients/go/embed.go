package probestream

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
)

// EmbedOptions of Embed and EmbedMany. All may be left out, and the options too.
type EmbedOptions struct {
	// Experts by name, space id or an unambiguous prefix of one. Empty: the only one that fits a model, or the one that
	// the weights choose.
	Experts []string
	// Texts are vectors to compare representations with, all of one length: text encoder embeddings.
	Texts [][]float32
	// Concurrency is the number of streams at once. 0 stands for 4.
	Concurrency int
	// Progress hears of every change, from one goroutine at a time. It must not block.
	Progress func(Progress)
	// OnResult hears of each result as it comes, from one goroutine at a time, not in order. Taking them slowly slows the
	// rest down.
	OnResult func(Result)
}

// Progress says how far embedding is.
type Progress struct {
	// Models there are, and those that have a result or an error, and those that have an error.
	Models, ModelsDone, ModelsFailed int
	// BytesWanted of the models planned so far; of these, BytesDone were sent or were there from an earlier upload.
	BytesWanted, BytesDone int64
	// BytesSent, those sent again after a failure included.
	BytesSent int64
}

// Result is what became of one model of many: either Embedding or Err is nil.
type Result struct {
	// Index among the models.
	Index int
	// Location of the model, fit for messages.
	Location string
	// ModelID is what the server called it.
	ModelID   string
	Embedding *Embedding
	Err       *Error
}

const (
	defaultConcurrency = 4
	// Three batches: one streams, one is planned and one is opened. Processes often have 1,024 files.
	maxOpenModels = 384
	openingAtOnce = 16
	// Enough that the round trips of plan and answer, one each per batch, weigh little at 35 KB a model.
	batchModels = 128
	// A batch that does not fill up is planned after so long.
	batchWait = 250 * time.Millisecond
	// Models that want less share a stream, others have one to themselves.
	smallModelBytes = 1 << 20
)

// Embed embeds one model: it reads the model's header, asks the server which bytes are wanted, and streams those. An
// upload that breaks off is resumed where the server had got to.
func (c *Client) Embed(ctx context.Context, model Model, options *EmbedOptions) (*Embedding, error) {
	results, err := c.EmbedMany(ctx, []Model{model}, options)
	if err != nil {
		return nil, err
	}
	if results[0].Err != nil {
		return nil, results[0].Err
	}
	return results[0].Embedding, nil
}

// EmbedMany embeds models, many at a time. Small ones share streams; the next batches are opened and planned while one is
// streamed. One model's failure stops no other: results, in the order of the models, hold it as a value.
//
// The error is that of the whole: the context ended, the server does not take the token, it could not be reached any more,
// or it said nothing for as long as Options.Deadline. Models that have no result then have this error in theirs.
//
// Memory: three chunks per stream, the headers of 384 models, and the results.
func (c *Client) EmbedMany(ctx context.Context, models []Model, options *EmbedOptions) ([]Result, error) {
	if options == nil {
		options = &EmbedOptions{}
	}
	if err := c.checkOpen(); err != nil {
		return nil, err
	}
	texts, err := toMatrix(options.Texts)
	if err != nil {
		return nil, err
	}
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &embedRun{
		client: c, ctx: inner, cancel: cancel, options: options, texts: texts,
		progress: &progressCounter{listener: options.Progress, counts: Progress{Models: len(models)}},
		results:  make([]Result, len(models)),
		finished: make([]bool, len(models)),
		slots:    make(chan struct{}, maxOpenModels),
		opened:   map[*upload]bool{},
	}
	r.run(models)
	var whole error
	for i, model := range models {
		if r.finished[i] {
			continue
		}
		if whole == nil {
			whole = r.reason(ctx)
		}
		r.results[i] = Result{Index: i, Location: model.location, ModelID: model.id(), Err: toError(whole)}
	}
	return r.results, whole
}

// reason says why a run left models without a result.
func (r *embedRun) reason(ctx context.Context) *Error {
	switch {
	case ctx.Err() != nil:
		return toError(ctx.Err())
	case r.failure != nil:
		return r.failure
	}
	return fail(codes.Internal, "INTERNAL", "a model was left without a result")
}
