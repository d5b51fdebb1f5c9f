package probestream

import (
	"context"

	pb "probestream.dev/probestream/gen/probestream/v1"
)

// ClassifyMode says how labels exclude one another.
type ClassifyMode = pb.ClassifyMode

const (
	// AsTrained is what the expert was trained for.
	AsTrained = pb.ClassifyMode_CLASSIFY_MODE_UNSPECIFIED
	// OneOfMany: one label is right, and probabilities add up to 1, also where none of the labels fits.
	OneOfMany = pb.ClassifyMode_CLASSIFY_MODE_ONE_OF_MANY
	// AnyOfMany: each label by itself is right or wrong.
	AnyOfMany = pb.ClassifyMode_CLASSIFY_MODE_ANY_OF_MANY
)

// ClassifyOptions of Classify; nil is as good as none.
type ClassifyOptions struct {
	// Labels to choose from; empty: the expert's label bank.
	Labels []string
	// Experts to ask; empty: the only one that knows a model.
	Experts []string
	// Mode is AsTrained where it is left out.
	Mode ClassifyMode
	// Top labels per model; 0: all.
	Top int
}

// Labels are what fits one model, the best first, or Err.
type Labels struct {
	SpaceID string
	Labels  []Label
	// Calibrated says that probabilities were checked on models that the expert was not trained on, for labels such as these.
	Calibrated bool
	// Unjudged are labels asked for that are not among Labels, and why.
	Unjudged []UnjudgedLabel
	// Doubtful are those of the labels that were judged with less certainty, also beyond Top.
	Doubtful []DoubtfulLabel
	Err      *Error
}

// UnjudgedLabel had no say, for the expert cannot judge it.
type UnjudgedLabel struct {
	Label string
	Err   *Error
}

// DoubtfulLabel was judged with less certainty than probabilities tell.
type DoubtfulLabel struct {
	Label string
	// UnknownWords of it are not known to the text encoder: it is judged by the others.
	UnknownWords []string
	// Unfamiliar says that it is of another kind than the labels that the expert was trained on, so that Calibrated is false.
	Unfamiliar bool
}

// Label is one label of a model.
type Label struct {
	Label string
	// Probability that it is right; nil where the expert has no calibration to tell.
	Probability *float64
	// Cosine of representation and label text; nil for classification experts.
	Cosine *float64
}

// String is the label with what there is of probability and cosine, for people.
func (l Label) String() string {
	return describe(l.Label, "probability", l.Probability, l.Cosine)
}

// Classify says for many models at once, by id or representation, how well labels fit them.
func (c *Client) Classify(ctx context.Context, models []Example, options *ClassifyOptions) ([]Labels, error) {
	if options == nil {
		options = &ClassifyOptions{}
	}
	var answers []Labels
	err := c.inParts(ctx, len(models), func(begin, end int) error {
		request := &pb.ClassifyRequest{
			Models: toWireExamples(models[begin:end]), Labels: options.Labels, Experts: options.Experts, Mode: options.Mode, Top: uint32(options.Top),
		}
		return c.call(ctx, func(ctx context.Context) error {
			response, err := c.retrieval.Classify(ctx, request)
			for _, answer := range response.GetAnswers() {
				answers = append(answers, toLabels(answer, response))
			}
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return answers, nil
}

func toLabels(answer *pb.ClassifyAnswer, response *pb.ClassifyResponse) Labels {
	if refused := answer.GetError(); refused != nil {
		return Labels{Err: fromModelError(refused)}
	}
	scores := answer.GetScores()
	labels := Labels{SpaceID: scores.GetSpaceId(), Calibrated: scores.GetCalibrated()}
	for _, label := range scores.GetLabels() {
		labels.Labels = append(labels.Labels, Label{label.GetLabel(), label.Probability, label.Cosine})
	}
	for _, one := range response.GetUnjudged() {
		if one.GetSpaceId() == labels.SpaceID {
			labels.Unjudged = append(labels.Unjudged, UnjudgedLabel{one.GetLabel(), fromModelError(one.GetError())})
		}
	}
	for _, one := range response.GetDoubtful() {
		if one.GetSpaceId() == labels.SpaceID {
			labels.Doubtful = append(labels.Doubtful, DoubtfulLabel{one.GetLabel(), one.GetUnknownWords(), one.GetUnfamiliar()})
		}
	}
	return labels
}

// DuplicateOptions of FindDuplicates; nil is as good as none.
type DuplicateOptions struct {
	// MinCosine from which on models count as nearly the same; nil: 0.999.
	MinCosine *float64
	// K copies per model at most; 0 stands for 100.
	K int
	// Experts whose spaces are searched; empty: all that serve.
	Experts []string
}

// Duplicates are copies of one model, the nearest first, or Err.
type Duplicates struct {
	Duplicates []Duplicate
	Err        *Error
}

// Duplicate is a model that is nearly the same as another.
type Duplicate struct {
	ModelID, SpaceID string
	Cosine           float64
	// SameWeights says that the streamed weights are the same bytes.
	SameWeights bool
}

// FindDuplicates finds, for each of these models of the catalogue, those that are nearly the same.
func (c *Client) FindDuplicates(ctx context.Context, modelIDs []string, options *DuplicateOptions) ([]Duplicates, error) {
	if options == nil {
		options = &DuplicateOptions{}
	}
	var answers []Duplicates
	err := c.inParts(ctx, len(modelIDs), func(begin, end int) error {
		request := &pb.FindDuplicatesRequest{
			ModelIds: modelIDs[begin:end], MinCosine: options.MinCosine, K: uint32(options.K), Experts: options.Experts,
		}
		return c.call(ctx, func(ctx context.Context) error {
			response, err := c.retrieval.FindDuplicates(ctx, request)
			for _, answer := range response.GetAnswers() {
				answers = append(answers, toDuplicates(answer))
			}
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return answers, nil
}

func toDuplicates(answer *pb.DuplicatesAnswer) Duplicates {
	if refused := answer.GetError(); refused != nil {
		return Duplicates{Err: fromModelError(refused)}
	}
	copies := Duplicates{}
	for _, one := range answer.GetDuplicates().GetDuplicates() {
		copies.Duplicates = append(copies.Duplicates, Duplicate{one.GetModelId(), one.GetSpaceId(), one.GetCosine(), one.GetSameWeights()})
	}
	return copies
}
