package probestream

import (
	"context"
	"fmt"

	pb "probestream.dev/probestream/gen/probestream/v1"
)

// Example is what a query resembles: a text, a model of the catalogue, or a representation.
type Example struct{ wire *pb.Example }

// Text is an example in words, as people would say what a model does: "pixel art".
func Text(text string) Example {
	return Example{&pb.Example{Kind: &pb.Example_Text{Text: text}}}
}

// ModelID is a model of the catalogue as an example. It is not among the hits.
func ModelID(id string) Example {
	return Example{&pb.Example{Kind: &pb.Example_ModelId{ModelId: id}}}
}

// Representation is an example given by its numbers and their space.
func Representation(spaceID string, values []float32) Example {
	return Example{&pb.Example{Kind: &pb.Example_Representation{
		Representation: &pb.Representation{SpaceId: spaceID, Values: floatBytes(values)},
	}}}
}

// Query is one query of a batch.
type Query struct {
	// Positives are what is wanted, one at least; several count as one query, their mean at unit length.
	Positives []Example
	// Negatives are what is not wanted: half of their mean is taken from the query.
	Negatives []Example
	// K models at most; 0 stands for 10.
	K int
	// Filter restricts the models: see Where, And, Or, Not and Exists.
	Filter *Filter
	// Experts whose spaces are searched; empty: all that serve.
	Experts []string
	// Trees that models must belong to; empty: any.
	Trees []string
	// MinScore and MinCosine that a model must have; nil: any.
	MinScore, MinCosine *float64
	// MaxPerBase keeps so many of the best models with the same base; 0: all.
	MaxPerBase int
	// Exact looks at every record, also where the store has an approximate index.
	Exact bool
}

// RetrieveOptions of Retrieve; nil is as good as none.
type RetrieveOptions struct {
	// WithRecords has hits bring their models' records.
	WithRecords bool
}

// Answer is that to one query: hits, the best first, or Err.
type Answer struct {
	Hits []Hit
	// Skipped are spaces that had no say though the query did not exclude them, and why.
	Skipped []SkippedSpace
	// Truncated are texts of the query that a text encoder cut.
	Truncated []TruncatedExample
	// UnknownWords are words of the query's texts that a space's text encoder does not know.
	UnknownWords []UnknownWords
	Err          *Error
}

// Hit is a model that fits a query.
type Hit struct {
	ModelID, SpaceID string
	// Cosine of query and representation, which compares within one space and one query only.
	Cosine float64
	// Score is the probability that the model is what the query means; nil where the expert has no calibration.
	Score *float64
	// Record of the model, if records were asked for.
	Record *Record
}

// String is the model's id with what there is of score and cosine, for people.
func (h Hit) String() string {
	return describe(h.ModelID, "score", h.Score, &h.Cosine)
}

// describe names something and what is known of how well it fits.
func describe(name, word string, probability, cosine *float64) string {
	if probability != nil {
		name += fmt.Sprintf(" %s %.3f", word, *probability)
	}
	if cosine != nil {
		name += fmt.Sprintf(" cosine %.3f", *cosine)
	}
	return name
}

// SkippedSpace is a space that had no say.
type SkippedSpace struct {
	SpaceID, ExpertName string
	Err                 *Error
}

// TruncatedExample is a text of a query that was cut in one space: what lies beyond had no say there.
type TruncatedExample struct {
	// Example is its place among the query's examples, positives before negatives, from 0.
	Example int
	SpaceID string
	// TokenCount is how many tokens it has with the expert's prompt, MaxTokens how many the text encoder takes.
	TokenCount, MaxTokens int
}

// UnknownWords are words of a text of a query that the text encoder of one space does not know: they had no say there.
type UnknownWords struct {
	// Example is the text's place among the query's examples, positives before negatives, from 0.
	Example int
	SpaceID string
	// Words as they stand in the text, each once, the first 32 at most.
	Words []string
}

// Retrieve answers many queries at once, in their order. One that is refused costs the others nothing.
func (c *Client) Retrieve(ctx context.Context, queries []Query, options *RetrieveOptions) ([]Answer, error) {
	var answers []Answer
	err := c.inParts(ctx, len(queries), func(begin, end int) error {
		response, err := c.retrieveOnce(ctx, queries[begin:end], options)
		for _, one := range response.GetAnswers() {
			answers = append(answers, toAnswer(one))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return answers, nil
}

func (c *Client) retrieveOnce(ctx context.Context, queries []Query, options *RetrieveOptions) (*pb.BatchRetrieveResponse, error) {
	request := &pb.BatchRetrieveRequest{WithRecords: options != nil && options.WithRecords}
	for _, query := range queries {
		request.Queries = append(request.Queries, &pb.RetrievalQuery{
			Positives:  toWireExamples(query.Positives),
			Negatives:  toWireExamples(query.Negatives),
			K:          uint32(query.K),
			Filter:     query.Filter,
			Experts:    query.Experts,
			Trees:      query.Trees,
			MinScore:   query.MinScore,
			MinCosine:  query.MinCosine,
			MaxPerBase: uint32(query.MaxPerBase),
			Exact:      query.Exact,
		})
	}
	var response *pb.BatchRetrieveResponse
	err := c.call(ctx, func(ctx context.Context) (err error) {
		response, err = c.retrieval.BatchRetrieve(ctx, request)
		return err
	})
	return response, err
}

func toWireExamples(examples []Example) []*pb.Example {
	var wire []*pb.Example
	for _, example := range examples {
		if example.wire == nil {
			example.wire = &pb.Example{}
		}
		wire = append(wire, example.wire)
	}
	return wire
}

func toAnswer(from *pb.QueryAnswer) Answer {
	if refused := from.GetError(); refused != nil {
		return Answer{Err: fromModelError(refused)}
	}
	answer := Answer{}
	for _, hit := range from.GetHits().GetHits() {
		answer.Hits = append(answer.Hits, Hit{
			ModelID: hit.GetModelId(), SpaceID: hit.GetSpaceId(), Cosine: hit.GetCosine(), Score: hit.Score,
			Record: toRecord(hit.GetRecord()),
		})
	}
	for _, space := range from.GetHits().GetSkipped() {
		answer.Skipped = append(answer.Skipped, SkippedSpace{space.GetSpaceId(), space.GetExpertName(), fromModelError(space.GetError())})
	}
	for _, text := range from.GetHits().GetTruncated() {
		answer.Truncated = append(answer.Truncated, TruncatedExample{int(text.GetExample()), text.GetSpaceId(), int(text.GetTokenCount()), int(text.GetMaxTokens())})
	}
	for _, text := range from.GetHits().GetUnknownWords() {
		answer.UnknownWords = append(answer.UnknownWords, UnknownWords{int(text.GetExample()), text.GetSpaceId(), text.GetWords()})
	}
	return answer
}
