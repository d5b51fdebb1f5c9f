package probestream

import (
	"google.golang.org/grpc/codes"

	pb "probestream.dev/probestream/gen/probestream/v1"
)

// attempt gets some uploads on. failure is what kept it from getting on with some of them; broken says that the call
// itself failed.
type attempt func([]*upload) (failure *Error, broken bool)

// uploadAll sends models until each is settled, through as many streams as it takes: one that broke is followed by
// another, which goes on where the server had got to.
func (r *embedRun) uploadAll(uploads []*upload) {
	for pending := unsettled(uploads); len(pending) > 0 && r.ctx.Err() == nil; pending = unsettled(pending) {
		r.untilDone(pending, func(open []*upload) (*Error, bool) {
			if failure, broken := r.planMissing(open); failure != nil {
				return failure, broken
			}
			return r.streamOnce(unsettled(open))
		})
	}
}

// untilDone makes an attempt, again after failures that may pass. One that fails for good is made for each half of the
// models, lest one of them stop the others. Once all retries failed, or a call's deadline passed, and nobody has heard
// from the server meanwhile, it is gone, and the run ends.
func (r *embedRun) untilDone(uploads []*upload, try attempt) {
	pending := unsettled(uploads)
	var reached int64
	answersBefore, sentBefore := r.answers.Load(), r.progress.bytesSent()
	for failures := 0; len(pending) > 0; failures++ {
		failure, broken := try(pending)
		if r.ctx.Err() != nil {
			return
		}
		if pending = unsettled(pending); failure == nil || len(pending) == 0 {
			return
		}
		// An upload of hours may meet any number of failures, as long as it gets on between them.
		var start int64
		for _, u := range pending {
			start += u.reached
		}
		if start > reached {
			failures, reached = 0, start
		}
		silent := broken && r.answers.Load() == answersBefore
		if silent && failure.Code == codes.DeadlineExceeded && r.progress.bytesSent() == sentBefore {
			r.fail(failure)
			return
		}
		if toRemedy(failure) != resume {
			r.settleOrSplit(pending, failure, try)
			return
		}
		if failures >= r.client.retries {
			if silent && failure.Code == codes.Unavailable {
				r.fail(failure)
				return
			}
			settleAll(pending, failure)
			return
		}
		answersBefore, sentBefore = r.answers.Load(), r.progress.bytesSent()
		forgetPlans(pending)
		if pause(r.ctx, failures+1) != nil {
			return
		}
	}
}

func (r *embedRun) settleOrSplit(pending []*upload, failure *Error, try attempt) {
	// A token that is not taken for these models is taken for none.
	if failure.Code == codes.Unauthenticated {
		r.fail(failure)
		return
	}
	concernsAll := false
	switch failure.Code {
	// Whoever may not call at all need not find out model by model, nor wait for as many deadlines.
	case codes.Unavailable, codes.PermissionDenied, codes.DeadlineExceeded:
		concernsAll = true
	}
	if len(pending) == 1 || concernsAll {
		settleAll(pending, failure)
		return
	}
	middle := (len(pending) + 1) / 2
	for _, half := range [][]*upload{pending[:middle], pending[middle:]} {
		forgetPlans(half)
		r.untilDone(half, try)
	}
}

// planMissing asks for the plans that are missing.
func (r *embedRun) planMissing(uploads []*upload) (*Error, bool) {
	for {
		var missing []*upload
		var manifests []*pb.Manifest
		for _, u := range unsettled(uploads) {
			if u.plan == nil {
				missing = append(missing, u)
				manifests = append(manifests, toManifest(u.model, u.id, u.uploadID, u.experts))
			}
		}
		if len(missing) == 0 {
			return nil, false
		}
		outcomes, err := r.client.plan(r.ctx, manifests)
		if err != nil {
			return toError(err), true
		}
		r.answers.Add(1)
		for i, u := range missing {
			if outcomes[i].err != nil {
				if u.settleOrRestart(outcomes[i].err); u.settled {
					continue
				}
			} else if outcomes[i].model != nil {
				u.begin(outcomes[i].model)
			} else {
				u.settle(nil, fail(codes.Internal, "INTERNAL", "the server answered with an empty plan"))
			}
		}
	}
}

func unsettled(uploads []*upload) []*upload {
	var open []*upload
	for _, u := range uploads {
		if !u.settled {
			open = append(open, u)
		}
	}
	return open
}

func settleAll(uploads []*upload, failure *Error) {
	for _, u := range uploads {
		u.settle(nil, failure)
	}
}

// Where the server has got to is unknown: only another plan can tell.
func forgetPlans(uploads []*upload) {
	for _, u := range uploads {
		u.plan = nil
	}
}
