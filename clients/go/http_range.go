package probestream

import (
	"context"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc/codes"
)

// transient is a failure that may pass.
type transient struct {
	what  string
	after time.Duration
	cause error
}

func (t transient) Error() string { return t.what }

// recover waits if another attempt may help, and fails otherwise.
func (s *httpSource) recover(ctx context.Context, err error, failures int) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	passing, isPassing := err.(transient)
	if !isPassing {
		return err
	}
	if failures >= httpAttempts {
		message := fmt.Sprintf("%s could not be read: %s, %d times in a row. Try again later.", s.name(), passing.what, failures)
		return fail(codes.Unavailable, "SOURCE_UNAVAILABLE", message, "url", s.name(), "attempts", failures).because(passing.cause)
	}
	if passing.after == 0 {
		return pause(ctx, failures+1)
	}
	select {
	case <-time.After(passing.after):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// httpRange is a range under way. Where a connection breaks off it asks for the rest.
type httpRange struct {
	ctx      context.Context
	of       *httpSource
	body     *httpBody
	at, end  int64
	failures int
	since    int64
}

func (r *httpRange) Read(buffer []byte) (int, error) {
	if r.at >= r.end {
		return 0, io.EOF
	}
	if left := r.end - r.at; int64(len(buffer)) > left {
		buffer = buffer[:left]
	}
	for {
		n, err := r.readOnce(buffer)
		if n > 0 {
			r.at += int64(n)
			if r.since += int64(n); r.since >= 64<<10 {
				// Long downloads survive many breaks, as long as they get on between them.
				r.failures, r.since = 0, 0
			}
			return n, nil
		}
		if r.body != nil {
			r.body.Close()
			r.body = nil
		}
		r.failures++
		if err := r.of.recover(r.ctx, err, r.failures); err != nil {
			return 0, err
		}
	}
}

func (r *httpRange) readOnce(buffer []byte) (int, error) {
	if r.body == nil {
		body, err := r.of.request(r.ctx, r.at, r.end)
		if err != nil {
			return 0, err
		}
		r.body = body
	}
	n, err := r.body.Read(buffer)
	if err != nil {
		err = transient{what: "the connection broke off", cause: err}
	}
	return n, err
}

func (r *httpRange) Close() error {
	if r.body != nil {
		r.body.Close()
	}
	return nil
}
