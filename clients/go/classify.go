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
	// OneOfMany: one label is right, and probabilities add up to 1.
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
	Mode    ClassifyMode
	// Top labels per model; 0: all.
	Top int
}

// Labels are what fits one model, the best first, or Err.
type Labels struct {
	SpaceID string
	Labels  []Label
	// Calibrated says that probabilities were checked on models that the expert was not trained on.
	Calibrated bool
	Err        *Error
}

// Label is one label of a model.
type Label struct {
	Label string
	// Probability that it is right; nil where the expert has no calibration to tell.
	Probability *float64
	// Cosine of representation and label text; nil for classification experts.
	Cosine *float64
}

// Classify says for many models at once, by id or representation, how well labels fit them.
func (c *Client) Classify(ctx context.Context, models []Example, options *ClassifyOptions) ([]Labels, error) {
	if options == nil {
		options = &ClassifyOptions{}
	}
	request := &pb.ClassifyRequest{
		Models: toWireExamples(models), Labels: options.Labels, Experts: options.Experts, Mode: options.Mode, Top: uint32(options.Top),
	}
	var response *pb.ClassifyResponse
	err := c.call(ctx, func(ctx context.Context) (err error) {
		response, err = c.retrieval.Classify(ctx, request)
		return err
	})
	if err != nil {
		return nil, err
	}
	answers := make([]Labels, len(response.GetAnswers()))
	for i, answer := range response.GetAnswers() {
		if refused := answer.GetError(); refused != nil {
			answers[i].Err = fromModelError(refused)
			continue
		}
		scores := answer.GetScores()
		answers[i].SpaceID, answers[i].Calibrated = scores.GetSpaceId(), scores.GetCalibrated()
		for _, label := range scores.GetLabels() {
			answers[i].Labels = append(answers[i].Labels, Label{label.GetLabel(), label.Probability, label.Cosine})
		}
	}
	return answers, nil
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
	request := &pb.FindDuplicatesRequest{ModelIds: modelIDs, MinCosine: options.MinCosine, K: uint32(options.K), Experts: options.Experts}
	var response *pb.FindDuplicatesResponse
	err := c.call(ctx, func(ctx context.Context) (err error) {
		response, err = c.retrieval.FindDuplicates(ctx, request)
		return err
	})
	if err != nil {
		return nil, err
	}
	answers := make([]Duplicates, len(response.GetAnswers()))
	for i, answer := range response.GetAnswers() {
		if refused := answer.GetError(); refused != nil {
			answers[i].Err = fromModelError(refused)
			continue
		}
		for _, one := range answer.GetDuplicates().GetDuplicates() {
			answers[i].Duplicates = append(answers[i].Duplicates, Duplicate{one.GetModelId(), one.GetSpaceId(), one.GetCosine(), one.GetSameWeights()})
		}
	}
	return answers, nil
}
