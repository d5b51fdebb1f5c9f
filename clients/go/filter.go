package probestream

import pb "probestream.dev/probestream/gen/probestream/v1"

// Filter is a condition on models as the contract has it. Where, And, Or, Not and Exists make one; a nil Filter takes all.
type Filter = pb.Filter

// Comparison says how a field is compared.
type Comparison = pb.Comparison

const (
	Eq  = pb.Comparison_COMPARISON_EQ
	Ne  = pb.Comparison_COMPARISON_NE
	In  = pb.Comparison_COMPARISON_IN
	Lt  = pb.Comparison_COMPARISON_LT
	Lte = pb.Comparison_COMPARISON_LTE
	Gt  = pb.Comparison_COMPARISON_GT
	Gte = pb.Comparison_COMPARISON_GTE
)

// Where compares a field: `id`, `tree`, `base`, `created_ms`, `meta.NAME`, `claim.NAME` and others that the contract
// lists. Values are strings, numbers and bools: one, or several for In. Others are refused by the server.
func Where(field string, comparison Comparison, values ...interface{}) *Filter {
	condition := &pb.FieldCondition{Field: field, Comparison: comparison}
	for _, value := range values {
		wire, err := toWireValue(value)
		if err != nil {
			wire = &pb.MetadataValue{}
		}
		condition.Values = append(condition.Values, wire)
	}
	return &Filter{Kind: &pb.Filter_Condition{Condition: condition}}
}

// And holds where all filters do.
func And(filters ...*Filter) *Filter {
	return &Filter{Kind: &pb.Filter_And{And: &pb.FilterList{Filters: filters}}}
}

// Or holds where one filter does.
func Or(filters ...*Filter) *Filter {
	return &Filter{Kind: &pb.Filter_Or{Or: &pb.FilterList{Filters: filters}}}
}

// Not holds where the filter does not.
func Not(filter *Filter) *Filter { return &Filter{Kind: &pb.Filter_Not{Not: filter}} }

// Exists holds where the model has the field; a tree, a base and hashes exist where they are not empty.
func Exists(field string) *Filter { return &Filter{Kind: &pb.Filter_Exists{Exists: field}} }
