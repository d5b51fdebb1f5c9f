package probestream

import (
	"context"

	pb "probestream.dev/probestream/gen/probestream/v1"
)

// ServerInfo is what a server is and what it allows, as the contract has it.
type ServerInfo = pb.GetServerInfoResponse

// Expert is an expert as the contract has it: what it reads, and what it answers.
type Expert = pb.Expert

// UnusableExpert is a folder of a server's experts that could not be loaded.
type UnusableExpert struct {
	// Name of the folder.
	Name string
	// Err says why.
	Err *Error
}

// ExpertList is what a server has.
type ExpertList struct {
	// Experts by name and space id.
	Experts []*Expert
	// Unusable folders.
	Unusable []UnusableExpert
}

// ServerInfo says what the server is and what it allows.
func (c *Client) ServerInfo(ctx context.Context) (*ServerInfo, error) {
	var info *ServerInfo
	err := c.call(ctx, func(ctx context.Context) (err error) {
		info, err = c.server.GetServerInfo(ctx, &pb.GetServerInfoRequest{})
		return err
	})
	return info, err
}

// Experts lists all experts of the server.
func (c *Client) Experts(ctx context.Context) (*ExpertList, error) {
	list := &ExpertList{}
	request := &pb.ListExpertsRequest{PageSize: 1000}
	for {
		var page *pb.ListExpertsResponse
		err := c.call(ctx, func(ctx context.Context) (err error) {
			page, err = c.experts.ListExperts(ctx, request)
			return err
		})
		if err != nil {
			return nil, err
		}
		list.Experts = append(list.Experts, page.GetExperts()...)
		if request.PageToken == "" {
			for _, one := range page.GetUnusable() {
				list.Unusable = append(list.Unusable, UnusableExpert{Name: one.GetName(), Err: fromModelError(one.GetError())})
			}
		}
		if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
			return list, nil
		}
	}
}

// Expert gets one expert by its name, its space id or an unambiguous prefix of that.
func (c *Client) Expert(ctx context.Context, reference string) (*Expert, error) {
	var answer *pb.GetExpertResponse
	err := c.call(ctx, func(ctx context.Context) (err error) {
		answer, err = c.experts.GetExpert(ctx, &pb.GetExpertRequest{Expert: reference})
		return err
	})
	return answer.GetExpert(), err
}
