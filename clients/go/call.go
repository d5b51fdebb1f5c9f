package probestream

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"

	pb "probestream.dev/probestream/gen/probestream/v1"
)

const (
	// Some 1.4 s: people wait for an answer.
	maxCallRetries = 3
	// Each pause is twice as long as the last.
	firstPause   = 200 * time.Millisecond
	longestPause = 10 * time.Second
)

// call makes a call that changes nothing, or the same however often it is made: again while the server is unavailable,
// until the deadline.
func (c *Client) call(ctx context.Context, once func(context.Context) error) error {
	if err := c.checkOpen(); err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, c.deadline)
	defer cancel()
	var last *Error
	for failures := 0; ; failures++ {
		err := once(bounded)
		if err == nil {
			return nil
		}
		failure := c.toCallError(ctx, err)
		if failure.Code == codes.DeadlineExceeded && last != nil && ctx.Err() == nil {
			// What kept it from being answered in time says more.
			return last
		}
		last = failure
		if failure.Code != codes.Unavailable || failures == min(c.retries, maxCallRetries) {
			return failure
		}
		if pause(bounded, failures+1) != nil {
			return c.toCallError(ctx, failure)
		}
	}
}

// callOnce makes a call that must not be made twice.
func (c *Client) callOnce(ctx context.Context, once func(context.Context) error) error {
	if err := c.checkOpen(); err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, c.deadline)
	defer cancel()
	if err := once(bounded); err != nil {
		return c.toCallError(ctx, err)
	}
	return nil
}

// Items of one call that any server takes.
const certainItems = 100

// inParts makes calls for items begin to end that the server takes at once; it is asked how many those are only where
// there are many.
func (c *Client) inParts(ctx context.Context, count int, part func(begin, end int) error) error {
	most := count
	if count > certainItems {
		var limits *pb.Limits
		err := c.call(ctx, func(ctx context.Context) (err error) {
			limits, err = c.recentLimits(ctx)
			return err
		})
		if err != nil {
			return err
		}
		if most = int(limits.GetMaxQueries()); most == 0 {
			most = certainItems
		}
	}
	for begin := 0; ; begin += most {
		if err := part(begin, min(begin+most, count)); err != nil || begin+most >= count {
			return err
		}
	}
}

func (c *Client) toCallError(ctx context.Context, err error) *Error {
	return fromStatus(ctx, err, c.target)
}

// pause waits before attempt number failures+1. Half of it is random, so that clients that failed together do not come
// back together.
func pause(ctx context.Context, failures int) error {
	longest := longestPause
	if failures < 8 && firstPause<<(failures-1) < longestPause {
		longest = firstPause << (failures - 1)
	}
	timer := time.NewTimer(longest/2 + time.Duration(time.Now().UnixNano())%(longest/2))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
