package probestream

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"

	pb "probestream.dev/probestream/gen/probestream/v1"
)

// embedRun is one call of EmbedMany.
type embedRun struct {
	client   *Client
	ctx      context.Context
	cancel   context.CancelFunc
	options  *EmbedOptions
	texts    *pb.FloatMatrix
	progress *progressCounter
	slots    chan struct{}
	// Counts what the server answered to anybody: whether it is there at all.
	answers counter

	mu       sync.Mutex
	results  []Result
	finished []bool
	failure  *Error
	opened   map[*upload]bool
}

// counter is atomic.Int64 for all versions of Go.
type counter struct{ value int64 }

func (c *counter) Add(n int64) { atomic.AddInt64(&c.value, n) }
func (c *counter) Load() int64 { return atomic.LoadInt64(&c.value) }

func (r *embedRun) finish(result Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.finished[result.Index] {
		return
	}
	r.finished[result.Index], r.results[result.Index] = true, result
	r.progress.finish(result.Err != nil)
	if r.options.OnResult != nil {
		r.options.OnResult(result)
	}
	<-r.slots
}

func (r *embedRun) forget(u *upload) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.opened, u)
}

// fail ends the run: other models need not find out for themselves.
func (r *embedRun) fail(err *Error) {
	r.mu.Lock()
	if r.failure == nil {
		r.failure = err
	}
	r.mu.Unlock()
	r.cancel()
}

// run opens models, plans them in batches and streams what the plans want, all at once, and returns when nothing is left.
func (r *embedRun) run(models []Model) {
	opened := make(chan *upload)
	groups := make(chan []*upload)
	go r.open(models, opened)
	go func() {
		defer close(groups)
		var planning sync.WaitGroup
		defer planning.Wait()
		for batch := range batches(opened) {
			batch := batch
			planning.Add(1)
			go func() {
				defer planning.Done()
				r.untilDone(batch, r.planMissing)
				for _, group := range toGroups(batch) {
					groups <- group
				}
			}()
		}
	}()
	concurrency := r.options.Concurrency
	if concurrency <= 0 {
		concurrency = defaultConcurrency
	}
	var streams sync.WaitGroup
	for i := 0; i < min(concurrency, len(models)); i++ {
		streams.Add(1)
		go func() {
			defer streams.Done()
			for group := range groups {
				r.uploadAll(group)
			}
		}()
	}
	streams.Wait()
	for range groups {
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for u := range r.opened {
		u.model.close()
	}
}

func (r *embedRun) open(models []Model, opened chan<- *upload) {
	defer close(opened)
	var opening sync.WaitGroup
	defer opening.Wait()
	permits := make(chan struct{}, openingAtOnce)
	for i, model := range models {
		select {
		case r.slots <- struct{}{}:
		case <-r.ctx.Done():
			return
		}
		permits <- struct{}{}
		i, model := i, model
		opening.Add(1)
		go func() {
			defer opening.Done()
			if u := r.openOne(i, model); u != nil {
				opened <- u
			}
			<-permits
		}()
	}
}

func (r *embedRun) openOne(index int, model Model) *upload {
	if model.open == nil {
		message := "a Model that is empty; make one with Path, URL, Bytes, Reader or Tensors"
		r.finish(Result{Index: index, Err: fail(codes.InvalidArgument, "FIELD_INVALID", message)})
		return nil
	}
	if model.Index != nil {
		if _, err := toWireMetadata(model.Index.Metadata); err != nil {
			r.finish(Result{Index: index, Location: model.location, ModelID: model.id(), Err: err})
			return nil
		}
	}
	file, err := model.open(r.ctx)
	if r.ctx.Err() != nil {
		if err == nil {
			file.close()
		}
		return nil
	}
	if err != nil {
		r.finish(Result{Index: index, Location: model.location, ModelID: model.id(), Err: toError(err)})
		return nil
	}
	u := newUpload(index, model, file, r)
	r.mu.Lock()
	r.opened[u] = true
	r.mu.Unlock()
	return u
}

// batches collects uploads until there are 128, or a quarter of a second has passed.
func batches(opened <-chan *upload) <-chan []*upload {
	out := make(chan []*upload)
	go func() {
		defer close(out)
		var batch []*upload
		timer := time.NewTimer(time.Hour)
		defer timer.Stop()
		for {
			select {
			case u, more := <-opened:
				if more {
					if batch = append(batch, u); len(batch) == 1 {
						timer.Reset(batchWait)
					}
					if len(batch) < batchModels {
						continue
					}
				}
				if len(batch) > 0 {
					out <- batch
				}
				if batch = nil; !more {
					return
				}
			case <-timer.C:
				if len(batch) > 0 {
					out <- batch
				}
				batch = nil
			}
		}
	}()
	return out
}

// toGroups are models that share a stream: all small ones of a batch; the others alone.
func toGroups(batch []*upload) [][]*upload {
	var small []*upload
	var groups [][]*upload
	for _, u := range batch {
		switch {
		case u.plan == nil || u.settled:
		case wantedBytes(u.plan) < smallModelBytes:
			small = append(small, u)
		default:
			groups = append(groups, []*upload{u})
		}
	}
	if len(small) > 0 {
		groups = append([][]*upload{small}, groups...)
	}
	return groups
}
